"""A simulated board with an EIE array."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.fpga.eie.boot import boot_memory
from zeroskip.fpga.eie.linked import LinkedArray
from zeroskip.fpga.identity import BUFFER
from zeroskip.fpga.simulation.boards import SimulatedBoard
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry


def simulated_board(
    geometry: EieGeometry,
    *,
    carrier: str,
    clock: float,
    network: EieNetwork | None = None,
    buffer: int = BUFFER,
    seed: int = 0,
    announce: Callable[[str], None] = lambda _: None,
) -> SimulatedBoard:
    """A board whose clock has `clock` Hz (SimulatedBoard). `network` is in its boot memory; its matrices are not in the
    block RAMs."""
    told = "usb" if carrier == "usb" else "uart"
    boot = boot_memory(geometry, network, buffer=buffer, clock=round(clock), carrier=told)
    return SimulatedBoard(
        lambda: LinkedArray(geometry, boot=boot, buffer=buffer),
        component=LinkedArray,
        key=f"{geometry} {buffer} {boot.contents!r}",
        carrier=carrier,
        clock=clock,
        seed=seed,
        announce=announce,
    )
