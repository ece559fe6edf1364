"""What all cores behind a link have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.link.link import Link
from zeroskip.rtl.link.ports import CoreSizes


class LinkedCore(wiring.Component):
    """A core with a link (zeroskip.rtl.link), which every board's top wraps. `text` and `records` are the contents of
    the boot memory, and `buffer` the bytes of the link's buffer for requests (Link).

    Ports
    -----
    i : stream of 8, in
        Bytes from the host.
    broken : 1, in
        High for a cycle when the line that carries `i` reports an error.
    o : stream of 8, out
        Bytes to the host.
    """

    def __init__(self, sizes: CoreSizes, *, text: bytes, records: bytes, buffer: int) -> None:
        self.sizes = sizes
        self.text = text
        self.records = records
        self.buffer = buffer
        super().__init__({"i": In(stream.Signature(8)), "broken": In(1), "o": Out(stream.Signature(8))})

    @property
    def boot_bytes(self) -> bytes:
        """The whole boot memory."""
        return self.text + self.records

    @abstractmethod
    def wire(self, m: Module, core: Any) -> None:
        """Adds the core to `m`, and wires it to the link's port `core` (zeroskip.rtl.link.ports)."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        link = Link(self.sizes, text=self.text, records=self.records, buffer=self.buffer)
        self.wire(m, link.core)
        m.submodules.link = link
        wiring.connect(m, wiring.flipped(self.i), link.i)
        wiring.connect(m, link.o, wiring.flipped(self.o))
        m.d.comb += link.broken.eq(self.broken)
        return m


def loads(core: Any, unit: Any) -> list[Any]:
    """Statements that join `load` of the link's port to that of a unit, without its payload."""
    return [unit.load.valid.eq(core.load.valid), core.load.ready.eq(unit.load.ready)]


def reads(core: Any, unit: Any) -> list[Any]:
    """Statements that join `read` and `result` of the link's port to those of a unit, without the payload of `read`."""
    return [
        unit.read.valid.eq(core.read.valid),
        core.read.ready.eq(unit.read.ready),
        core.result.valid.eq(unit.result.valid),
        core.result.payload.eq(unit.result.payload),
        unit.result.ready.eq(core.result.ready),
    ]


def jobs(m: Module, core: Any, unit: Any) -> list[Any]:
    """Statements that join the `start` stream of a unit to the link's port, and `idle` and `done` back. A job runs from
    the cycle after it was taken until the unit says `done`."""
    running = Signal()
    with m.If(unit.done):
        m.d.sync += running.eq(0)
    with m.If(core.start.valid & core.start.ready):
        m.d.sync += running.eq(1)
    return [
        unit.start.valid.eq(core.start.valid),
        unit.start.payload.eq(core.start.payload),
        core.start.ready.eq(unit.start.ready),
        core.idle.eq(~running),
        core.done.eq(unit.done),
    ]
