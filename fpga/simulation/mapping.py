"""A simulated board with a mapping unit."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.fpga.identity import BUFFER
from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
from zeroskip.fpga.mapping.linked import LinkedMapper
from zeroskip.fpga.simulation.boards import SimulatedBoard


def simulated_board(
    geometry: LinkedMapperGeometry,
    *,
    pins: bool,
    clock: float,
    buffer: int = BUFFER,
    seed: int = 0,
    announce: Callable[[str], None] = lambda _: None,
) -> SimulatedBoard:
    """A board whose clock has `clock` Hz (SimulatedBoard)."""
    return SimulatedBoard(
        lambda: LinkedMapper(geometry, buffer=buffer, clock=round(clock)),
        component=LinkedMapper,
        key=f"{geometry} {buffer} {clock}",
        pins=pins,
        clock=clock,
        seed=seed,
        announce=announce,
    )
