"""Reads sorted runs of keys from the memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import block_layout, run_layout, word_layout
from zeroskip.rtl.ports import read_port


class Reader(wiring.Component):
    """Turns runs into blocks of entries: reads a word a cycle, clears bits of the keys, and adds the run's shift.

        next      the run that follows
        run       the run that is read, word by word
        asked     the memory shows a word
        fetched   a register holds it: a memory shows its words late in a cycle
        o         the word with its run's bits and shift

    Latency: the first block of a run is at `o` five cycles after the run was taken. Throughput: one block a cycle,
    also from run to run.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    run : stream of run_layout, in
        What to read.
    memory : read_port of word_layout, out
        The memory's read port.
    o : stream of block_layout, out
        The blocks, run by run.
    """

    latency = 5

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "run": In(stream.Signature(run_layout(geometry))),
                "memory": Out(read_port(geometry.words, word_layout(geometry))),
                "o": Out(stream.Signature(block_layout(geometry))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layout = run_layout(self.geometry)
        following, run = Signal(layout), Signal(layout)
        waiting, reading, last, ends, ask, leave, load = (Signal() for _ in range(7))
        at, address = Signal.like(run.first), Signal.like(self.memory.addr)
        fields = {name: layout[name].shape for name in ("kept", "shift", "source")}
        flags = {"valid": 1, "present": self.geometry.width, "begins": 1, "last": 1, "final": 1}
        asked = Signal(data.StructLayout({**flags, **fields}))
        fetched = Signal(data.StructLayout({**flags, **fields, "word": word_layout(self.geometry)}))
        # The memory keeps a word until the next is asked for, which happens when it has left.
        onward, step = ~fetched.valid | leave, Signal()
        m.d.comb += [
            leave.eq(~self.o.valid | self.o.ready),
            step.eq(~asked.valid | onward),
            ask.eq(reading & step),
            load.eq(~reading | (ask & ends)),
            self.memory.en.eq(ask),
            self.memory.addr.eq(address),
            self.run.ready.eq(~waiting | load),
        ]
        with m.If(self.run.ready):
            m.d.sync += [following.eq(self.run.payload), waiting.eq(self.run.valid)]
        # Whether a word is the last one of its list, and of its run, is known before it is read.
        with m.If(load):
            m.d.sync += [
                run.eq(following),
                reading.eq(waiting),
                at.eq(following.first),
                address.eq(following.base + following.first),
                last.eq(following.first + 1 == following.end),
                ends.eq(following.single | (following.first + 1 == following.end)),
            ]
        with m.Elif(ask):
            m.d.sync += [
                at.eq(at + 1),
                address.eq(address + 1),
                last.eq(at + 2 == run.end),
                ends.eq(at + 2 == run.end),
            ]
        with m.If(step):
            m.d.sync += [
                asked.valid.eq(ask),
                asked.present.eq(self._present(run, at)),
                asked.begins.eq(at == 0),
                asked.last.eq(last),
                asked.final.eq(last & run.final),
                *(asked[name].eq(run[name]) for name in fields),
            ]
        with m.If(onward):
            m.d.sync += [
                *(fetched[name].eq(asked[name]) for name in (*flags, *fields)),
                fetched.word.eq(self.memory.data),
            ]
        with m.If(leave):
            m.d.sync += [
                self.o.valid.eq(fetched.valid),
                self.o.payload.begins.eq(fetched.begins),
                self.o.payload.last.eq(fetched.last),
                self.o.payload.final.eq(fetched.final),
            ]
            for lane in range(self.geometry.width):
                stored, entry = fetched.word[lane], self.o.payload.entries[lane]
                m.d.sync += [
                    entry.key.eq((stored.key & fetched.kept) + fetched.shift),
                    entry.index.eq(stored.index),
                    entry.source.eq(fetched.source),
                    entry.absent.eq(~fetched.present[lane]),
                ]
        return m

    def _present(self, run: Any, at: Signal) -> Any:
        """Which places of word `at` belong to the list."""
        full, rest = run.count[self.geometry.levels :], run.count[: self.geometry.levels]
        return Cat((at < full) | ((at == full) & (lane < rest)) for lane in range(self.geometry.width))
