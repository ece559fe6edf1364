"""A board's top in a simulator, as the pipe to a host."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from amaranth.lib import wiring

from zeroskip.cosim.player import Player
from zeroskip.cosim.simulator import Simulator, SimulatorError
from zeroskip.cosim.usb.host import UsbError
from zeroskip.fpga.host.pipe import LineLost
from zeroskip.fpga.identity import BUFFER
from zeroskip.fpga.simulation.carriers import CARRIERS

PATIENCE_CYCLES = 50_000
"""Cycles without an answer after which the host counts it as lost."""


class SimulatedBoard:
    """A board's top in a simulator, as a context and a Pipe. The simulation stands still while the host works.

    `linked` makes the component with the ports of LinkedArray; `component` is its class, and `key` its parameters.
    `carrier` (CARRIERS) carries the bytes. `clock` (Hz) turns the host's seconds into cycles. Raises SimulatorError
    where the simulator is missing or fails.
    """

    def __init__(
        self,
        linked: Callable[[], wiring.Component],
        *,
        component: type,
        key: str,
        carrier: str,
        clock: float,
        seed: int = 0,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = "the simulated board"
        self.cycles = 0
        self.patience = PATIENCE_CYCLES / clock
        self._clock = clock
        self.carrier = CARRIERS[carrier](clock)
        self._seed = seed
        self._announce = announce
        self._out = b""
        self._design = self.carrier.design(linked, component, key)

    def __enter__(self) -> SimulatedBoard:
        build = self._design.build(Simulator.VERILATOR, announce=self._announce)
        self._player = Player(build, seed=self._seed, plusargs=self.carrier.plusargs(), bench=self.carrier.bench)
        self._player.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._player.__exit__(kind, error, at)

    def write(self, data: bytes) -> None:
        self._out += data

    def read(self, timeout: float) -> bytes:
        # Each frame is answered by one, and zeros that follow a zero end no frame.
        frames = sum(1 for part in self._out.split(b"\0")[:-1] if part)
        quiet = max(1, min(int(timeout * self._clock), 2**32 - 1))
        out, self._out = self._out, b""
        try:
            come, cycles = self.carrier.exchange(self._player, out, frames, quiet)
        except (SimulatorError, UsbError) as error:
            raise LineLost(f"the line to {self.name} was lost: {error}") from error
        self.cycles += cycles
        return come


def loaded_board(
    component: type[wiring.Component],
    geometry: Any,
    *,
    carrier: str,
    clock: float,
    buffer: int = BUFFER,
    seed: int = 0,
    announce: Callable[[str], None] = lambda _: None,
) -> SimulatedBoard:
    """A board with a core that the host loads: `component` is the class, LinkedTile or LinkedMapper. Its clock has
    `clock` Hz (SimulatedBoard)."""
    return SimulatedBoard(
        lambda: component(geometry, buffer=buffer, clock=round(clock), carrier="usb" if carrier == "usb" else "uart"),
        component=component,
        key=f"{geometry} {buffer} {clock}",
        carrier=carrier,
        clock=clock,
        seed=seed,
        announce=announce,
    )
