"""Compile settings of the EIE array."""

from __future__ import annotations

from dataclasses import dataclass, field

from zeroskip.model.eie.geometry import MEMORIES, EieGeometry


@dataclass(frozen=True, kw_only=True)
class EieSettings:
    """`geometry` is the array. Its memories named in `fit` (of geometry.MEMORIES) are made as large as the network
    needs, to the next power of two. With `balance_load` the rows of fully connected layers are assigned to PEs so that
    the load is balanced, otherwise in turn."""

    geometry: EieGeometry = field(default_factory=EieGeometry)
    fit: tuple[str, ...] = MEMORIES
    balance_load: bool = True
