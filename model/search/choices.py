"""What can be chosen by name in searches and fine-tuning. Imports nothing heavy, so that help can show it."""

from __future__ import annotations

from typing import Literal, get_args

from zeroskip.model.cores import CORES

ScheduleName = Literal["one-shot", "iterative", "cubic"]
"""How the densities fall over the rounds of pruning."""

CriterionName = Literal["auto", "l1", "l2", "taylor", "random"]
"""By what the weights or channels that stay are ranked. "auto" is what a layer loses after the fit, for channels that
are removed at once and with the fit, and else the magnitude, "l1"."""

Order = Literal["auto", "l1"]
"""The criteria of a search."""

PenaltyName = Literal["l1", "l2", "group-lasso", "growing"]
"""The regularisation while pruning."""

Method = Literal["sensitivity", "amc", "netadapt"]
"""How a plan is searched."""

METHODS: tuple[Method, ...] = get_args(Method)

WORK_UNITS: dict[str, str] = {"sensitivity": "accuracies", "amc": "plans", "netadapt": "percent"}
"""In what the progress of each method is counted."""

Granularity = Literal["weights", "nm", "channels"]
"""What is pruned: single weights, weights by an N:M pattern, or whole channels."""

SIZES = ("macs", "params", "bytes")
"""The costs that are sizes: multiplications by kept weights, the number of these weights, and their memory."""

CORE_COSTS = tuple(cost for core in CORES.values() for cost in core.costs)
"""The costs in cycles of a core, for one image."""

COSTS = (*CORE_COSTS, *SIZES, "latency")
"""What a budget can count: cycles of an image on a core, a size, or seconds of an image on one thread of this
machine's CPU."""
