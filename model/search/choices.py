"""What can be chosen by name in searches and fine-tuning. Imports nothing heavy, so that help can show it."""

from __future__ import annotations

from typing import Literal

ScheduleName = Literal["one-shot", "iterative", "cubic"]
"""How the densities fall over the rounds of pruning."""

CriterionName = Literal["l1", "l2", "taylor", "random"]
"""By what the weights or channels that stay are ranked."""

PenaltyName = Literal["l1", "l2", "group-lasso", "growing"]
"""The regularisation while pruning."""
