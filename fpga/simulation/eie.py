"""A simulated board with an EIE array."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.fpga.eie.boot import boot_memory
from zeroskip.fpga.eie.linked import BUFFER, LinkedArray
from zeroskip.fpga.simulation.boards import SimulatedBoard
from zeroskip.model.eie.geometry import EieGeometry


def simulated_array(
    geometry: EieGeometry,
    *,
    pins: bool,
    clock: float,
    buffer: int = BUFFER,
    seed: int = 0,
    announce: Callable[[str], None] = lambda _: None,
) -> SimulatedBoard:
    """A board without a network inside, whose clock has `clock` Hz (SimulatedBoard)."""
    boot = boot_memory(geometry, buffer=buffer, clock=round(clock))
    return SimulatedBoard(
        lambda: LinkedArray(geometry, boot=boot, buffer=buffer),
        component=LinkedArray,
        key=f"{geometry} {buffer} {boot.contents!r}",
        pins=pins,
        clock=clock,
        seed=seed,
        announce=announce,
    )
