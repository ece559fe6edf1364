"""The N:M tile, with its memories, behind registers and windows; what joins them to a bus is around it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus.mma_map import gemm_map
from zeroskip.rtl.bus.ports import access_port
from zeroskip.rtl.bus.register_map import REGISTER_BITS
from zeroskip.rtl.bus.registers import Registers, reported
from zeroskip.rtl.bus.windows import Windows
from zeroskip.rtl.mma.gemm import Gemm
from zeroskip.rtl.mma.layouts import MatrixTarget

TARGETS = {"A": MatrixTarget.A, "B": MatrixTarget.B, "C": MatrixTarget.C}
"""The memories behind the windows that are written."""


class GemmShell(wiring.Component):
    """A Gemm with the registers and windows of `gemm_map`, and an interrupt.

    Latency: an access to a register is done after two cycles. Throughput: a job starts two cycles after the write of
    START is done.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    access : access_port, in
        Accesses to the map.
    irq : 1, out
        An event is set that is enabled in INTERRUPTS.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        self.described = gemm_map(geometry)
        super().__init__({"access": In(access_port(self.described.address_bits)), "irq": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.gemm = gemm = Gemm(self.geometry)
        m.submodules.registers = registers = Registers(self.described)
        m.submodules.windows = windows = Windows(self.described)
        wiring.connect(m, wiring.flipped(self.access), registers.access)
        wiring.connect(m, registers.window, windows.access)
        self._memories(m, gemm, windows)
        self._control(m, gemm, registers)
        return m

    def _memories(self, m: Module, gemm: Gemm, windows: Windows) -> None:
        """The windows are the memories' own words."""
        word = windows.load.payload
        written = [window.name for window in self.described.windows if window.written]
        with m.Switch(word.window):
            for number, name in enumerate(written):
                with m.Case(number):
                    m.d.comb += gemm.load.payload.target.eq(TARGETS[name])
        m.d.comb += [
            gemm.load.payload.bank.eq(word.instance),
            gemm.load.payload.address.eq(word.address),
            gemm.load.payload.data.eq(word.data),
            gemm.load.valid.eq(windows.load.valid),
            windows.load.ready.eq(gemm.load.ready),
            gemm.read.payload.bank.eq(windows.read.payload.instance),
            gemm.read.payload.address.eq(windows.read.payload.address),
            gemm.read.valid.eq(windows.read.valid),
            windows.read.ready.eq(gemm.read.ready),
            windows.result.payload.eq(gemm.result.payload.as_value()),
            windows.result.valid.eq(gemm.result.valid),
            gemm.result.ready.eq(windows.result.ready),
        ]

    def _control(self, m: Module, gemm: Gemm, registers: Registers) -> None:
        """Starts jobs, counts their cycles, and reports their end."""
        settings, status, events = registers.settings, registers.status, registers.events.events
        starting, running = Signal(), Signal()
        cycles, jobs, busy = (Signal(REGISTER_BITS, name=name) for name in ("cycles", "jobs", "busy_cycles"))
        begins = Signal()
        code = Signal()
        m.d.comb += [
            gemm.start.valid.eq(starting),
            begins.eq(gemm.start.valid & gemm.start.ready),
            *(gemm.start.payload[name].eq(settings[name][name]) for name, _ in gemm.start.payload.shape()),
            registers.locked.eq(starting | running),
        ]
        with m.If(registers.pulses.start.start):
            m.d.sync += starting.eq(1)
        with m.If(begins):
            m.d.sync += [starting.eq(0), running.eq(1), cycles.eq(1)]
        with m.If(running):
            m.d.sync += busy.eq(busy + 1)
            with m.If(gemm.done):
                m.d.sync += [running.eq(0), jobs.eq(jobs + 1), code.eq(gemm.illegal)]
            with m.Else():
                m.d.sync += cycles.eq(cycles + 1)
        m.d.comb += [
            status.status.running.eq(starting | running),
            status.status.code.eq(code),
            status.cycles.cycles.eq(cycles),
            status.jobs.jobs.eq(jobs),
            status.busy_cycles.busy_cycles.eq(busy),
            events.done.eq(running & gemm.done),
            events.code.eq(running & gemm.done & gemm.illegal),
            *reported(registers, self.irq),
        ]
