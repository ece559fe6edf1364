"""Generates the steps of a product of two matrices."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.layouts import fetch_layout, job_layout, timing


class Sequencer(wiring.Component):
    """Turns a job (see job_layout) into its steps, one a cycle.

    Sums are computed in rounds: each sum of a round makes one step, then each makes its next. A round has as many sums
    as the tile needs to continue each without waiting (`loop`); the last round has all that are left, fewer than twice
    as many.

    Latency: the first step is offered in the cycle after `start` is taken. Throughput: one step a cycle.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    start : stream of job_layout, in
        Jobs; one is taken while none runs.
    fetch : stream of fetch_layout, out
        The steps.
    finished : 1, in
        High for one cycle for each sum whose result has been written.
    done : 1, out
        High for one cycle when all sums of the job are finished.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "start": In(stream.Signature(job_layout(geometry))),
                "fetch": Out(stream.Signature(fetch_layout(geometry))),
                "finished": In(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry, loop = self.geometry, timing(self.geometry).loop
        fetch, new = self.fetch.payload, self.start.payload
        job = Signal.like(new)
        dense: Any = Const(0) if geometry.pattern.dense else job.dense

        # Where a sum's step lies: its row of tiles, and the words of its first step.
        place = data.StructLayout(
            {"row": len(job.rows), "a": len(fetch.a), "b": len(fetch.b), "d": len(fetch.d)},
        )
        head, here, after = Signal(place), Signal(place), Signal(place)
        m.d.comb += after.d.eq(here.d + 1)
        with m.If(here.row == job.rows - 1):
            m.d.comb += [after.row.eq(0), after.a.eq(job.a_base), after.b.eq(here.b + job.windows)]
        with m.Else():
            m.d.comb += [after.row.eq(here.row + 1), after.a.eq(here.a + job.steps), after.b.eq(here.b)]

        busy, running = Signal(), Signal()
        left, unfinished = Signal(len(job.sums)), Signal(len(job.sums))
        slot = Signal(len(fetch.slot))
        step, window, phase = Signal(len(job.steps)), Signal(len(fetch.b)), Signal(bits_for(geometry.phases))
        last_phase, last_step, last_slot, last_round = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            last_phase.eq(~dense | (phase == geometry.phases - 1)),
            last_step.eq(step == job.steps - 1),
            last_round.eq(left < 2 * loop),
            last_slot.eq(slot == Mux(last_round, left - 1, loop - 1)),
            self.fetch.valid.eq(running),
            fetch.a.eq(here.a + step),
            fetch.b.eq(here.b + window),
            fetch.d.eq(here.d),
            fetch.first.eq(step == 0),
            fetch.last.eq(last_step),
            fetch.slot.eq(slot),
        ]
        if not geometry.pattern.dense:
            m.d.comb += [fetch.dense.eq(dense), fetch.phase.eq(phase)]

        with m.If(self.fetch.valid & self.fetch.ready):
            m.d.sync += [slot.eq(slot + 1), here.eq(after)]
            with m.If(last_slot):
                m.d.sync += [slot.eq(0), here.eq(head), step.eq(step + 1), phase.eq(phase + 1)]
                with m.If(last_phase):
                    m.d.sync += [phase.eq(0), window.eq(window + 1)]
                with m.If(last_step):
                    m.d.sync += [
                        step.eq(0),
                        window.eq(0),
                        phase.eq(0),
                        here.eq(after),
                        head.eq(after),
                        left.eq(left - loop),
                    ]
                    with m.If(last_round):
                        m.d.sync += running.eq(0)

        with m.If(self.finished):
            m.d.sync += unfinished.eq(unfinished - 1)
        m.d.comb += [
            self.done.eq(self.finished & (unfinished == 1)),
            self.start.ready.eq(~busy),
        ]
        with m.If(self.done):
            m.d.sync += busy.eq(0)
        with m.If(self.start.valid & self.start.ready):
            begin = {"row": 0, "a": new.a_base, "b": new.b_base, "d": new.d_base}
            for name, value in begin.items():
                m.d.sync += [head[name].eq(value), here[name].eq(value)]
            m.d.sync += [
                job.eq(new),
                busy.eq(1),
                running.eq(1),
                left.eq(new.sums),
                unfinished.eq(new.sums),
                slot.eq(0),
                step.eq(0),
                window.eq(0),
                phase.eq(0),
            ]
        return m
