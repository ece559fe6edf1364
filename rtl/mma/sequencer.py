"""Generates the steps of a product of two matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.layouts import fetch_layout, job_layout, timing


@dataclass(frozen=True)
class Counters:
    """The progress of a job."""

    left: Signal
    """Sums of this round and of all later ones."""
    slot: Signal
    """The sum of the round."""
    step: Signal
    """The step of each of these sums."""
    window: Signal
    """The window that the step needs."""
    phase: Signal
    """The step of a dense matrix within its window."""


class Sequencer(wiring.Component):
    """Turns a job (see job_layout) into its steps, one a cycle.

    Sums are computed in rounds: the first step of each sum of a round, then the second step of each, and so on. A round
    has `loop` sums, so that no step has to wait for the sum's previous step; the last round has all remaining sums,
    fewer than `2 * loop`.

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
        fetch, new = self.fetch.payload, self.start.payload
        job = Signal.like(new)
        busy = Signal()
        running = Signal()
        # The place of a sum: its row of tiles, and the words of its first step. `head` is the place of the round's
        # first sum, `here` that of the current sum.
        place = data.StructLayout({"row": len(job.rows), "a": len(fetch.a), "b": len(fetch.b), "d": len(fetch.d)})
        head = Signal(place)
        here = Signal(place)
        after = self._next(m, job, here)
        counters = Counters(
            left=Signal(len(job.sums), name="left"),
            slot=Signal(len(fetch.slot), name="slot"),
            step=Signal(len(job.steps), name="step"),
            window=Signal(len(fetch.b), name="window"),
            phase=Signal(bits_for(self.geometry.phases), name="phase"),
        )
        m.d.comb += self.fetch.valid.eq(running)
        self._offer(m, job, here, counters)
        with m.If(self.fetch.valid & self.fetch.ready):
            self._advance(m, job, counters, head=head, here=here, after=after, running=running)

        unfinished = Signal(len(job.sums))
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
                unfinished.eq(new.sums),
                counters.left.eq(new.sums),
                counters.slot.eq(0),
                counters.step.eq(0),
                counters.window.eq(0),
                counters.phase.eq(0),
            ]
        return m

    def _next(self, m: Module, job: Any, here: Any) -> Any:
        """The place of the next sum: down the rows of tiles, then the next column of tiles."""
        after = Signal(here.shape(), name="after")
        m.d.comb += after.d.eq(here.d + 1)
        with m.If(here.row == job.rows - 1):
            m.d.comb += [after.row.eq(0), after.a.eq(job.a_base), after.b.eq(here.b + job.windows)]
        with m.Else():
            m.d.comb += [after.row.eq(here.row + 1), after.a.eq(here.a + job.steps), after.b.eq(here.b)]
        return after

    def _offer(self, m: Module, job: Any, here: Any, counters: Counters) -> None:
        """Offers the current step."""
        fetch = self.fetch.payload
        m.d.comb += [
            fetch.a.eq(here.a + counters.step),
            fetch.b.eq(here.b + counters.window),
            fetch.d.eq(here.d),
            fetch.first.eq(counters.step == 0),
            fetch.last.eq(counters.step == job.steps - 1),
            fetch.slot.eq(counters.slot),
        ]
        if not self.geometry.pattern.dense:
            m.d.comb += [fetch.dense.eq(job.dense), fetch.phase.eq(counters.phase)]

    def _advance(
        self, m: Module, job: Any, counters: Counters, *, head: Any, here: Any, after: Any, running: Signal
    ) -> None:
        """Goes to the next sum of the round; after the last sum, to the next step of the first; after the last step, to
        the next round."""
        loop = timing(self.geometry).loop
        left, slot, step = counters.left, counters.slot, counters.step
        window, phase = counters.window, counters.phase
        dense: Any = Const(0) if self.geometry.pattern.dense else job.dense
        last_phase = ~dense | (phase == self.geometry.phases - 1)
        last_round = left < 2 * loop
        last_slot = slot == Mux(last_round, left - 1, loop - 1)

        m.d.sync += [slot.eq(slot + 1), here.eq(after)]
        with m.If(last_slot):
            m.d.sync += [slot.eq(0), here.eq(head), step.eq(step + 1), phase.eq(phase + 1)]
            with m.If(last_phase):
                m.d.sync += [phase.eq(0), window.eq(window + 1)]
            with m.If(self.fetch.payload.last):
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
