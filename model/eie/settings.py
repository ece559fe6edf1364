"""Compile settings of the EIE array."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from zeroskip.model.eie.geometry import MEMORIES, EieGeometry

POSITIONS = 16
"""Positions that a start computes at most, where nothing else is asked for. Measured with a pruned LeNet-5 on 8, 16 and
64 PEs: from 16 to 64 positions the array gets 0 to 20 % faster, from 1 to 16 positions 1.3 to 6.6 times."""


Sharing = Literal["plain", "weighted", "feedback", "scaled"]
"""How the 15 shared values of a layer are found, and which weight gets which: by the weights alone, or also by what the
layer reads (zeroskip.model.eie.calibrated_sharing)."""


@dataclass(frozen=True, kw_only=True)
class EieSettings:
    """`geometry` is the array. Its memories named in `fit` (of geometry.MEMORIES) are made as large as the network
    needs, to the next power of two. With `balance_load` the rows of fully connected layers are assigned to PEs so that
    the load is balanced, otherwise in turn. A convolution computes up to `positions` positions in a start, which stores
    its kernel as many times (zeroskip.model.eie.tiles)."""

    geometry: EieGeometry = field(default_factory=EieGeometry)
    fit: tuple[str, ...] = MEMORIES
    balance_load: bool = True
    positions: int = POSITIONS

    def __post_init__(self) -> None:
        if self.positions < 1:
            raise ValueError(f"positions must be at least 1, not {self.positions}")
