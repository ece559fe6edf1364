"""Default settings of training that several parts share. Imports nothing heavy."""

from __future__ import annotations

WEIGHT_DECAY = 2e-4
"""The weight decay of SGD for a user's network."""
