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

    Latency: the first block of a run is at `o` three cycles after the run was taken. Throughput: one block a cycle,
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

    latency = 3

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
        run = Signal(run_layout(self.geometry))
        reading, last, ask, leave = Signal(), Signal(), Signal(), Signal()
        at = Signal.like(run.first)
        asked = Signal(
            data.StructLayout(
                {
                    "valid": 1,
                    "present": self.geometry.width,
                    "last": 1,
                    "final": 1,
                    **{name: run_layout(self.geometry)[name].shape for name in ("kept", "shift", "source")},
                }
            )
        )
        # The memory keeps a word until the next is asked for, which happens when it has left.
        step = ~asked.valid | leave
        m.d.comb += [
            leave.eq(~self.o.valid | self.o.ready),
            ask.eq(reading & step),
            last.eq(at + 1 == run.end),
            self.memory.en.eq(ask),
            self.memory.addr.eq(run.base + at),
            self.run.ready.eq(~reading | (ask & last)),
        ]
        with m.If(self.run.valid & self.run.ready):
            m.d.sync += [run.eq(self.run.payload), at.eq(self.run.payload.first), reading.eq(1)]
        with m.Elif(ask):
            m.d.sync += [at.eq(at + 1), reading.eq(~last)]
        with m.If(step):
            m.d.sync += [
                asked.valid.eq(ask),
                asked.present.eq(self._present(run, at)),
                asked.last.eq(last),
                asked.final.eq(last & run.final),
                *(asked[name].eq(run[name]) for name in ("kept", "shift", "source")),
            ]
        with m.If(leave):
            m.d.sync += [
                self.o.valid.eq(asked.valid),
                self.o.payload.last.eq(asked.last),
                self.o.payload.final.eq(asked.final),
            ]
            for lane in range(self.geometry.width):
                stored, entry = self.memory.data[lane], self.o.payload.entries[lane]
                m.d.sync += [
                    entry.key.eq((stored.key & asked.kept) + asked.shift),
                    entry.index.eq(stored.index),
                    entry.source.eq(asked.source),
                    entry.absent.eq(~asked.present[lane]),
                ]
        return m

    def _present(self, run: Any, at: Signal) -> Any:
        """Which places of word `at` belong to the list."""
        full, rest = run.count[self.geometry.levels :], run.count[: self.geometry.levels]
        return Cat((at < full) | ((at == full) & (lane < rest)) for lane in range(self.geometry.width))
