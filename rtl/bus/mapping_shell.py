"""The mapping unit behind registers, windows and a stream of triples; what joins them to a bus is around it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.bus.mapping_map import JobKind, mapper_map
from zeroskip.rtl.bus.ports import access_port, beat_stream
from zeroskip.rtl.bus.register_map import REGISTER_BITS
from zeroskip.rtl.bus.registers import Registers, reported
from zeroskip.rtl.bus.triples import TRIPLE_BITS, TripleSender
from zeroskip.rtl.bus.windows import Windows
from zeroskip.rtl.mapping.layouts import MapperTarget
from zeroskip.rtl.mapping.mapper import Mapper

TARGETS = {"SHIFTS": MapperTarget.SHIFTS, "KEYS": MapperTarget.KEYS}
"""The memories behind the windows that are written."""


class MapperShell(wiring.Component):
    """A Mapper with the registers and windows of `mapper_map`, a stream of triples, and an interrupt.

    Latency: an access to a register is done after two cycles. Throughput: a job starts two cycles after the write of
    START is done; triples leave as fast as the unit finds them.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    access : access_port, in
        Accesses to the map.
    triples : stream of beat_layout, out
        The triples of each map (TripleSender).
    irq : 1, out
        An event is set that is enabled in INTERRUPTS.
    """

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        self.described = mapper_map(geometry)
        super().__init__(
            {
                "access": In(access_port(self.described.address_bits)),
                "triples": Out(beat_stream(geometry.pairs, TRIPLE_BITS)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.mapper = mapper = Mapper(self.geometry)
        m.submodules.registers = registers = Registers(self.described)
        m.submodules.windows = windows = Windows(self.described)
        m.submodules.sender = sender = TripleSender(self.geometry)
        wiring.connect(m, wiring.flipped(self.access), registers.access)
        wiring.connect(m, registers.window, windows.access)
        wiring.connect(m, mapper.triples, sender.i)
        wiring.connect(m, sender.o, wiring.flipped(self.triples))
        self._memories(m, mapper, windows)
        self._job(m, mapper, registers)
        self._control(m, mapper, registers, sender)
        return m

    def _memories(self, m: Module, mapper: Mapper, windows: Windows) -> None:
        """The windows are the memories' own words."""
        word = windows.load.payload
        written = [window.name for window in self.described.windows if window.written]
        with m.Switch(word.window):
            for number, name in enumerate(written):
                with m.Case(number):
                    m.d.comb += mapper.load.payload.target.eq(TARGETS[name])
        m.d.comb += [
            mapper.load.payload.address.eq(word.address),
            mapper.load.payload.data.eq(word.data),
            mapper.load.valid.eq(windows.load.valid),
            windows.load.ready.eq(mapper.load.ready),
            mapper.read.payload.eq(windows.read.payload.address),
            mapper.read.valid.eq(windows.read.valid),
            windows.read.ready.eq(mapper.read.ready),
            windows.result.payload.eq(mapper.result.payload.as_value()),
            windows.result.valid.eq(mapper.result.valid),
            mapper.result.ready.eq(windows.result.ready),
        ]

    def _job(self, m: Module, mapper: Mapper, registers: Registers) -> None:
        """The job of the registers. Only fields that its kind has count, so that none of them means another job."""
        settings, job = registers.settings, mapper.start.payload
        kind = settings.kind.kind
        farthest = kind == JobKind.FARTHEST

        def wide(name: str) -> Value:
            return Cat(settings[f"{name}_low"][f"{name}_low"], settings[f"{name}_high"][f"{name}_high"])

        m.d.comb += [
            job.sort.eq(kind == JobKind.SORT),
            job.rank.eq((kind == JobKind.RANK) | farthest),
            job.farthest.eq(farthest),
            job.unique.eq(job.sort & settings.kind.unique),
            job.renumber.eq(job.sort & settings.kind.renumber),
            *(
                job[name].eq(settings[name][name])
                for name in ("a_base", "a_count", "b_base", "b_count", "offsets", "target", "spare")
            ),
            job.kept.eq(wide("kept")),
            job.nearest.eq(Mux(farthest, 1, settings.nearest.nearest)),
            job.limit.eq(Mux(farthest, -1, wide("limit"))),
        ]

    def _control(self, m: Module, mapper: Mapper, registers: Registers, sender: TripleSender) -> None:
        """Starts jobs, counts their cycles, and reports their end: that of a map when its triples have been taken."""
        settings, status, events = registers.settings, registers.status, registers.events.events
        starting, running, sending = Signal(), Signal(), Signal()
        cycles, jobs, busy, triples, waiting = (
            Signal(REGISTER_BITS, name=name)
            for name in ("cycles", "jobs", "busy_cycles", "triples_sent", "waiting_cycles")
        )
        maps, done, ended = Signal(), Signal(), Signal()
        m.d.comb += [
            mapper.start.valid.eq(starting),
            maps.eq(settings.kind.kind == JobKind.MAP),
            done.eq(running & mapper.done),
            sender.end.eq(done & maps),
            ended.eq((done & ~maps) | (sending & ~sender.busy)),
            registers.locked.eq(starting | running | sending),
        ]
        with m.If(registers.pulses.start.start):
            m.d.sync += starting.eq(1)
        with m.If(mapper.start.valid & mapper.start.ready):
            m.d.sync += [starting.eq(0), running.eq(1), cycles.eq(1)]
        with m.If(running):
            m.d.sync += busy.eq(busy + 1)
            with m.If(mapper.done):
                m.d.sync += [running.eq(0), sending.eq(maps)]
            with m.Else():
                m.d.sync += cycles.eq(cycles + 1)
        with m.If(sending & ~sender.busy):
            m.d.sync += sending.eq(0)
        with m.If(ended):
            m.d.sync += jobs.eq(jobs + 1)
        with m.If(mapper.triples.valid & mapper.triples.ready):
            m.d.sync += triples.eq(triples + mapper.triples.payload["count"])
        with m.If(sender.o.valid & ~sender.o.ready):
            m.d.sync += waiting.eq(waiting + 1)
        m.d.comb += [
            status.status.running.eq(starting | running | sending),
            status.status.disordered.eq(mapper.disordered),
            status.cycles.cycles.eq(cycles),
            status.sorted.sorted.eq(mapper.sorted),
            status.jobs.jobs.eq(jobs),
            status.busy_cycles.busy_cycles.eq(busy),
            status.triples.triples.eq(triples),
            status.waiting_cycles.waiting_cycles.eq(waiting),
            events.done.eq(ended),
            events.disordered.eq(ended & maps & mapper.disordered),
            *reported(registers, self.irq),
        ]
