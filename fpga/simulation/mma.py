"""A simulated board with an N:M tile."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.fpga.identity import BUFFER
from zeroskip.fpga.mma.linked import LinkedTile
from zeroskip.fpga.simulation.boards import SimulatedBoard
from zeroskip.model.mma.geometry import TileGeometry


def simulated_board(
    geometry: TileGeometry,
    *,
    pins: bool,
    clock: float,
    buffer: int = BUFFER,
    seed: int = 0,
    announce: Callable[[str], None] = lambda _: None,
) -> SimulatedBoard:
    """A board whose clock has `clock` Hz (SimulatedBoard)."""
    return SimulatedBoard(
        lambda: LinkedTile(geometry, buffer=buffer, clock=round(clock)),
        component=LinkedTile,
        key=f"{geometry} {buffer} {clock}",
        pins=pins,
        clock=clock,
        seed=seed,
        announce=announce,
    )
