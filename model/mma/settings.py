"""Compile settings of the N:M tile."""

from __future__ import annotations

from dataclasses import dataclass, field

from zeroskip.model.mma.geometry import TileGeometry


@dataclass(frozen=True, kw_only=True)
class MmaSettings:
    """`geometry` is the tile, with the pattern and the number formats."""

    geometry: TileGeometry = field(default_factory=TileGeometry)
