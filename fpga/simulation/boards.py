"""A board's top in a simulator, as the pipe to a host."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from amaranth.lib import wiring

from zeroskip.cosim.build import Design
from zeroskip.cosim.emit import emit_verilog
from zeroskip.cosim.player import BENCH, Player
from zeroskip.cosim.simulator import Simulator, SimulatorError
from zeroskip.fpga.host.pipe import LineLost
from zeroskip.fpga.identity import BUFFER
from zeroskip.fpga.tops.serial import SerialTop
from zeroskip.model.sources import PACKAGE, closure_hash

BIT_CYCLES = 8
"""Cycles of a bit on the simulated serial line. On a board they are more; that only takes longer."""

CYCLE_NS = 2

PATIENCE_CYCLES = 50_000
"""Cycles without an answer after which the host counts it as lost."""


class SimulatedBoard:
    """A board's top in a simulator, as a context and a Pipe. The simulation stands still while the host works.

    `linked` makes the component with the ports of LinkedArray; `component` is its class, and `key` its parameters. With
    `pins`, bytes go over the serial pins of a SerialTop, with BIT_CYCLES a bit, otherwise straight into the component's
    streams. `clock` (Hz) turns the host's seconds into cycles. Raises SimulatorError where the simulator is missing or
    fails.
    """

    def __init__(
        self,
        linked: Callable[[], wiring.Component],
        *,
        component: type,
        key: str,
        pins: bool,
        clock: float,
        seed: int = 0,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = "the simulated board"
        self.cycles = 0
        self.patience = PATIENCE_CYCLES / clock
        self._clock = clock
        self._pins = pins
        self._seed = seed
        self._announce = announce
        self._out = b""
        self._design = _pins_design(linked, component, key) if pins else _streams_design(linked, component, key)

    def __enter__(self) -> SimulatedBoard:
        build = self._design.build(Simulator.VERILATOR, announce=self._announce)
        bench = "zeroskip.fpga.simulation.pins_bench" if self._pins else BENCH
        times = {"clock": str(CYCLE_NS), "bit": str(BIT_CYCLES * CYCLE_NS)} if self._pins else {}
        self._player = Player(build, seed=self._seed, plusargs=times, bench=bench)
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
        program = frames.to_bytes(4, "big") + quiet.to_bytes(4, "big") + self._out
        self._out = b""
        try:
            record = self._player.play([program])
        except SimulatorError as error:
            raise LineLost(f"the line to {self.name} was lost: {error}") from error
        come, cycles = record.decode().split(" ")
        self.cycles += int(cycles)
        return bytes.fromhex(come)


def loaded_board(
    component: type[wiring.Component],
    geometry: Any,
    *,
    pins: bool,
    clock: float,
    buffer: int = BUFFER,
    seed: int = 0,
    announce: Callable[[str], None] = lambda _: None,
) -> SimulatedBoard:
    """A board with a core that the host loads: `component` is the class, LinkedTile or LinkedMapper. Its clock has
    `clock` Hz (SimulatedBoard)."""
    return SimulatedBoard(
        lambda: component(geometry, buffer=buffer, clock=round(clock)),
        component=component,
        key=f"{geometry} {buffer} {clock}",
        pins=pins,
        clock=clock,
        seed=seed,
        announce=announce,
    )


def _streams_design(linked: Callable[[], Any], component: type, key: str) -> Design:
    return Design(
        component=component,
        key=key,
        top="player",
        verilog=lambda: emit_verilog(linked(), "linked"),
        sources=(PACKAGE / "cosim/sram.v", PACKAGE / "fpga/simulation/stream_player.v"),
        included=(PACKAGE / "cosim/common_player.v",),
    )


def _pins_design(linked: Callable[[], Any], component: type, key: str) -> Design:
    return Design(
        component=SerialTop,
        key=f"{key} {BIT_CYCLES} {closure_hash(component.__module__)}",
        top="top",
        verilog=lambda: emit_verilog(SerialTop(linked(), clock=BIT_CYCLES * 1e6, baud=1e6), "top"),
        sources=(PACKAGE / "cosim/sram.v",),
    )
