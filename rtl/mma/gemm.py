"""A whole matrix product on the tile, from memories."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Signal
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

    A lies in `m` banks, a tile's row each, B in `n`, a tile's column each, and D in `m`. `load` fills them (see
    MatrixTarget), `start` takes a job (see job_layout) while none runs, `done` is high for one cycle when all of D is
    written, and `read` asks for a word of D, which `result` gives in order. Loading what the job at hand does not use,
    and reading, may go on beside it; a transfer to C waits while D is written. A word of B is read once for all sums
    of a round that share it.

    `illegal` tells that a code of the last job was illegal (zeroskip.rtl.mma.tile); the tile's results are those of its
    multiplexers.

    zeroskip.model.mma.golden computes D, bit for bit, and zeroskip.model.mma.cycles the cycles from `start` to `done`.
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
        fetch, step = sequencer.fetch.payload, tile.step.payload

        def banks(name: str, count: int, *, depth: int, width: int) -> list[Sram]:
            memories = [Sram(depth=depth, width=width) for _ in range(count)]
            for index, bank in enumerate(memories):
                m.submodules[f"{name}{index}"] = bank
            return memories

        row_of_a, column_of_b = a_row_layout(geometry), window_layout(geometry).elem_shape
        row_of_d = results_layout(geometry).elem_shape
        a = banks("a", geometry.m, depth=geometry.a_words, width=row_of_a.size)
        b = banks("b", geometry.n, depth=geometry.b_words, width=column_of_b.size)
        d = banks("d", geometry.m, depth=geometry.d_words, width=row_of_d.size)

        # A job's steps, a cycle behind their addresses: `fetched` is what the memories show.
        fetched = Signal(fetch_layout(geometry))
        holding, take = Signal(), Signal()
        m.d.comb += [
            take.eq(~holding | tile.step.ready),
            sequencer.fetch.ready.eq(take),
            sequencer.start.payload.eq(self.start.payload),
            sequencer.start.valid.eq(self.start.valid),
            self.start.ready.eq(sequencer.start.ready),
            tile.clear.eq(self.start.valid & self.start.ready),
            tile.step.valid.eq(holding),
            self.done.eq(sequencer.done),
            self.illegal.eq(tile.illegal),
        ]
        with m.If(take):
            m.d.sync += [holding.eq(sequencer.fetch.valid), fetched.eq(fetch)]

        asked = Signal()
        b_known, b_at = Signal(), Signal.like(fetch.b)
        m.d.comb += asked.eq(sequencer.fetch.valid & take)
        with m.If(asked):
            m.d.sync += [b_known.eq(1), b_at.eq(fetch.b)]
        with m.If(self.start.valid & self.start.ready):
            m.d.sync += b_known.eq(0)
        for bank in a:
            m.d.comb += [bank.r_en.eq(asked), bank.r_addr.eq(fetch.a)]
        for bank in b:
            m.d.comb += [bank.r_en.eq(asked & ~(b_known & (b_at == fetch.b))), bank.r_addr.eq(fetch.b)]

        words = [data.View(row_of_a, bank.r_data) for bank in a]
        m.d.comb += [
            *(step.a[row].eq(word["values"]) for row, word in enumerate(words)),
            *(step.b[column].eq(bank.r_data) for column, bank in enumerate(b)),
            *(step.c[row].eq(bank.r_data) for row, bank in enumerate(d)),
            step.first.eq(fetched.first),
            step.last.eq(fetched.last),
            step.slot.eq(fetched.slot),
        ]
        if not geometry.pattern.dense:
            m.d.comb += [step.dense.eq(fetched.dense), step.phase.eq(fetched.phase)]
            m.d.comb += [step.codes[row].eq(word["codes"]) for row, word in enumerate(words)]

        # Results come in the order of C: tile by tile from the job's first word.
        target = Signal.like(fetch.d)
        with m.If(self.start.valid & self.start.ready):
            m.d.sync += target.eq(self.start.payload.d_base)
        with m.Elif(tile.result.valid):
            m.d.sync += target.eq(target + 1)
        m.d.comb += [tile.result.ready.eq(1), sequencer.finished.eq(tile.result.valid)]

        load = self.load.payload
        loading = self.load.valid & self.load.ready
        m.d.comb += self.load.ready.eq(~tile.result.valid | (load.target != MatrixTarget.C))
        for matrix, memories in ((MatrixTarget.A, a), (MatrixTarget.B, b), (MatrixTarget.C, d)):
            for index, bank in enumerate(memories):
                m.d.comb += [
                    bank.w_en.eq(loading & (load.target == matrix) & (load.bank == index)),
                    bank.w_addr.eq(load.address),
                    bank.w_data.eq(load.data),
                ]
        for row, bank in enumerate(d):
            with m.If(tile.result.valid):
                m.d.comb += [bank.w_en.eq(1), bank.w_addr.eq(target), bank.w_data.eq(tile.result.payload[row])]

        # C is read for the first step of a sum alone; the port serves `read` in other cycles.
        reads_c = asked & fetch.first
        answering, answer, bank_read = Signal(), Signal(row_of_d.size), Signal.like(self.read.payload.bank)
        fresh = Signal()
        chosen = Array(bank.r_data for bank in d)[bank_read]
        m.d.comb += [
            # C, which a first step needs, is taken in the one cycle that the memories show it.
            self.read.ready.eq(~reads_c & ~fresh & (~answering | self.result.ready)),
            self.result.valid.eq(answering),
            self.result.payload.eq(answer),
        ]
        asking = self.read.valid & self.read.ready
        for bank in d:
            m.d.comb += [
                bank.r_en.eq(reads_c | asking),
                bank.r_addr.eq(fetch.d),
            ]
            with m.If(asking):
                m.d.comb += bank.r_addr.eq(self.read.payload.address)
        m.d.sync += fresh.eq(asking)
        with m.If(asking):
            m.d.sync += bank_read.eq(self.read.payload.bank)
        with m.If(fresh):
            m.d.sync += [answer.eq(chosen), answering.eq(1)]
        with m.Elif(self.result.ready):
            m.d.sync += answering.eq(0)
        return m
