"""The link: a core behind two streams of bytes."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.link.cobs import CobsEncoder
from zeroskip.rtl.link.executor import Executor
from zeroskip.rtl.link.ports import CoreSizes, core_port
from zeroskip.rtl.link.reader import RequestReader
from zeroskip.rtl.link.receiver import Receiver
from zeroskip.rtl.link.seal import Seal
from zeroskip.rtl.sram import Sram


class Link(wiring.Component):
    """Obeys the requests of a host (zeroskip.rtl.link.protocol).

        i -> receiver -> buffer -> reader -> executor -> seal -> encoder -> o
                           boot memory ->        |
                                               core

    A damaged, cut, oversized or unknown frame is answered by an error that names it, and has no other effect. After a
    reset, the requests of the boot memory come first; the host's wait in the buffer.

    Throughput: a byte in at most ten cycles, in each direction; a frame's head takes some more, and a word a cycle for
    each byte that it lacks to the widest.

    Parameters
    ----------
    sizes : CoreSizes
        The core's port.
    text : bytes
        What answers IDENTIFY, not empty.
    records : bytes
        Requests that are obeyed after a reset (zeroskip.rtl.link.boot). They follow the text in the boot memory.
    buffer : int
        Bytes of the buffer for requests, a power of two from 64 to 65,536. ValueError for others.

    Ports
    -----
    i : stream of 8, in
        Bytes from the host.
    broken : 1, in
        High for a cycle when the line that carries `i` reports an error.
    o : stream of 8, out
        Bytes to the host.
    core : core_port, out
        The core.
    """

    def __init__(self, sizes: CoreSizes, *, text: bytes, records: bytes, buffer: int) -> None:
        if not text:
            raise ValueError("text must not be empty")
        self.sizes = sizes
        self.text = text
        self.boot = text + records
        self.receiver = Receiver(buffer)
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "broken": In(1),
                "o": Out(stream.Signature(8)),
                "core": Out(core_port(sizes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        buffer, boot = self.receiver.buffer, len(self.boot)
        m.submodules.receiver = receiver = self.receiver
        m.submodules.buffer = storage = Sram(depth=buffer, width=8)
        m.submodules.boot = rom = memory.Memory(
            shape=8, depth=boot, init=self.boot, attrs={"ram_style": "block", "rom_style": "block"}
        )
        m.submodules.reader = reader = RequestReader(buffer=buffer, boot=boot)
        m.submodules.executor = executor = Executor(self.sizes, text=len(self.text), boot=boot)
        m.submodules.seal = seal = Seal()
        m.submodules.encoder = encoder = CobsEncoder()
        rom_read = rom.read_port()
        wiring.connect(m, wiring.flipped(self.i), receiver.i)
        wiring.connect(m, receiver.write, storage.write)
        wiring.connect(m, reader.buffer_read, storage.read)
        wiring.connect(m, reader.o, executor.i)
        wiring.connect(m, executor.o, seal.i)
        wiring.connect(m, seal.o, encoder.i)
        wiring.connect(m, encoder.o, wiring.flipped(self.o))
        wiring.connect(m, executor.core, wiring.flipped(self.core))
        m.d.comb += [
            receiver.broken.eq(self.broken),
            receiver.released.eq(reader.released),
            reader.committed.eq(receiver.committed),
            reader.boot.eq(executor.booting),
            reader.jump.eq(executor.jump),
            reader.place.eq(executor.place),
            rom_read.en.eq(reader.boot_read.en),
            rom_read.addr.eq(reader.boot_read.addr),
            reader.boot_read.data.eq(rom_read.data),
        ]
        return m
