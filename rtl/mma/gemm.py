"""A whole matrix product on the tile, from memories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.layouts import (
    MatrixTarget,
    a_row_layout,
    fetch_layout,
    job_layout,
    load_layout,
    read_layout,
    results_layout,
    window_layout,
)
from zeroskip.rtl.mma.sequencer import Sequencer
from zeroskip.rtl.mma.tile import Tile
from zeroskip.rtl.sram import Sram


class Gemm(wiring.Component):
    """D = A B + C, with A sparse or dense, for matrices of any size that fit the memories; D overwrites C.

    A lies in `m` banks, one for each row of the tile, B in `n`, one for each column, and C and D in `m`. During a
    job, words that it does not use may be loaded and read; a transfer to C waits while D is written. A word
    of B is read once for all sums of a round that share it.

    zeroskip.model.mma.golden computes D, bit for bit, and zeroskip.model.mma.cycles the cycles from `start` to `done`.

    Latency: `result` follows `read` by two cycles. Throughput: one step of the job and one transfer of `load` a cycle;
    one word of D in two cycles.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    load : stream of load_layout, in
        Words for the banks (see MatrixTarget). A word of A or B is written a cycle after its transfer.
    start : stream of job_layout, in
        Jobs; one is taken while none runs.
    done : 1, out
        High for one cycle when all of D is written.
    illegal : 1, out
        High if a code of the last job was illegal (zeroskip.rtl.mma.tile); the results are those of the multiplexers.
    read : stream of read_layout, in
        Requests for words of D.
    result : stream of a row of results_layout, out
        These words, in order.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "load": In(stream.Signature(load_layout(geometry))),
                "start": In(stream.Signature(job_layout(geometry))),
                "done": Out(1),
                "illegal": Out(1),
                "read": In(stream.Signature(read_layout(geometry))),
                "result": Out(stream.Signature(results_layout(geometry).elem_shape)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        m.submodules.sequencer = sequencer = Sequencer(geometry)
        m.submodules.tile = tile = Tile(geometry)

        def banks(name: str, count: int, *, depth: int, width: int) -> list[Sram]:
            memories = [Sram(depth=depth, width=width) for _ in range(count)]
            for index, bank in enumerate(memories):
                m.submodules[f"{name}{index}"] = bank
            return memories

        a = banks("a", geometry.m, depth=geometry.a_words, width=a_row_layout(geometry).size)
        b = banks("b", geometry.n, depth=geometry.b_words, width=window_layout(geometry).elem_shape.size)
        d = banks("d", geometry.m, depth=geometry.d_words, width=results_layout(geometry).elem_shape.size)

        wiring.connect(m, wiring.flipped(self.start), sequencer.start)
        m.d.comb += [
            tile.clear.eq(self._begins),
            self.done.eq(sequencer.done),
            self.illegal.eq(tile.illegal),
        ]
        shown = self._fetch(m, sequencer, a, b)
        self._feed(m, shown, tile, a, b, d)
        # `_write` comes after `_load`: writing D has priority.
        self._load(m, tile, a, b, d)
        self._write(m, sequencer, tile, d)
        self._answer(m, shown, d)
        return m

    @property
    def _begins(self) -> Value:
        """A job begins."""
        return self.start.valid & self.start.ready

    def _fetch(self, m: Module, sequencer: Sequencer, a: Sequence[Sram], b: Sequence[Sram]) -> Any:
        """Reads A and B for each step. Returns the step whose words the memories show, and whether there is one."""
        fetch, asked = sequencer.fetch.payload, sequencer.fetch.valid
        shown = Signal(data.StructLayout({"valid": 1, "step": fetch_layout(self.geometry)}))
        m.d.sync += [shown.valid.eq(asked), shown.step.eq(fetch)]

        # A word of B stays at the memories' outputs as long as the steps share it.
        b_known = Signal()
        b_at = Signal.like(fetch.b)
        with m.If(asked):
            m.d.sync += [b_known.eq(1), b_at.eq(fetch.b)]
        with m.If(self._begins):
            m.d.sync += b_known.eq(0)
        for bank in a:
            m.d.comb += [bank.read.en.eq(asked), bank.read.addr.eq(fetch.a)]
        for bank in b:
            m.d.comb += [bank.read.en.eq(asked & ~(b_known & (b_at == fetch.b))), bank.read.addr.eq(fetch.b)]
        return shown

    def _feed(self, m: Module, shown: Any, tile: Tile, a: Sequence[Sram], b: Sequence[Sram], d: Sequence[Sram]) -> None:
        """Gives the words to the tile, a cycle after the memories showed them: block RAM is slow, and the selectors
        come next. C goes straight into a register of the tile: it is read a cycle later. The tile is always ready,
        because the sequencer keeps the steps of a sum apart, and results are taken at once."""
        step = tile.step.payload
        words = [data.View(a_row_layout(self.geometry), bank.read.data) for bank in a]
        m.d.sync += [
            tile.step.valid.eq(shown.valid),
            *(step[name].eq(shown.step[name]) for name in ("first", "last", "slot")),
            *(step.a[row].eq(word["values"]) for row, word in enumerate(words)),
            *(step.b[column].eq(bank.read.data) for column, bank in enumerate(b)),
        ]
        m.d.comb += [step.c[row].eq(bank.read.data) for row, bank in enumerate(d)]
        if not self.geometry.pattern.dense:
            m.d.sync += [
                *(step[name].eq(shown.step[name]) for name in ("dense", "phase")),
                *(step.codes[row].eq(word["codes"]) for row, word in enumerate(words)),
            ]

    def _load(self, m: Module, tile: Tile, a: Sequence[Sram], b: Sequence[Sram], d: Sequence[Sram]) -> None:
        load = self.load.payload
        loading = self.load.valid & self.load.ready
        m.d.comb += self.load.ready.eq(~tile.result.valid | (load.target != MatrixTarget.C))
        # The block RAMs of large memories lie all over an FPGA: words of A and B come a cycle later, out of registers.
        held = Signal.like(load)
        m.d.sync += held.eq(load)
        ways = ((MatrixTarget.A, a, "sync", held), (MatrixTarget.B, b, "sync", held), (MatrixTarget.C, d, "comb", load))
        for matrix, banks, domain, word in ways:
            for index, bank in enumerate(banks):
                m.d[domain] += bank.write.en.eq(loading & (load.target == matrix) & (load.bank == index))
                m.d.comb += [bank.write.addr.eq(word.address), bank.write.data.eq(word.data)]

    def _write(self, m: Module, sequencer: Sequencer, tile: Tile, d: Sequence[Sram]) -> None:
        """Writes the results, which come in the order of C: tile by tile from the job's first word."""
        target = Signal.like(sequencer.fetch.payload.d)
        with m.If(self._begins):
            m.d.sync += target.eq(self.start.payload.d_base)
        with m.Elif(tile.result.valid):
            m.d.sync += target.eq(target + 1)
        m.d.comb += [tile.result.ready.eq(1), sequencer.finished.eq(tile.result.valid)]
        for row, bank in enumerate(d):
            with m.If(tile.result.valid):
                m.d.comb += [
                    bank.write.en.eq(1),
                    bank.write.addr.eq(target),
                    bank.write.data.eq(tile.result.payload[row]),
                ]

    def _answer(self, m: Module, shown: Any, d: Sequence[Sram]) -> None:
        """Reads C for the first step of each sum, and D for `read` in other cycles."""
        reads_c = shown.valid & shown.step.first
        answering = Signal()
        fresh = Signal()
        # A register for each bank: block RAM is slow, and choosing comes next.
        answers = [Signal.like(bank.read.data, name=f"answer{index}") for index, bank in enumerate(d)]
        bank_read = Signal.like(self.read.payload.bank)
        m.d.comb += [
            # The memories show C for one cycle, in which the first step takes it: D may be read in the next cycle.
            self.read.ready.eq(~reads_c & ~fresh & (~answering | self.result.ready)),
            self.result.valid.eq(answering),
            self.result.payload.eq(Array(answers)[bank_read]),
        ]
        asking = self.read.valid & self.read.ready
        for bank in d:
            m.d.comb += [bank.read.en.eq(reads_c | asking), bank.read.addr.eq(shown.step.d)]
            with m.If(asking):
                m.d.comb += bank.read.addr.eq(self.read.payload.address)
        m.d.sync += fresh.eq(asking)
        with m.If(asking):
            m.d.sync += bank_read.eq(self.read.payload.bank)
        with m.If(fresh):
            m.d.sync += [*(answer.eq(bank.read.data) for answer, bank in zip(answers, d, strict=True)), answering.eq(1)]
        with m.Elif(self.result.ready):
            m.d.sync += answering.eq(0)
