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
class Moves:
    """What the sequencer does in a cycle."""

    begins: Signal
    """A job begins."""
    runs: Signal
    """There are steps left."""
    next_step: Signal
    """The next step of the round's first sum is next."""
    next_round: Signal
    """With `next_step`: the step was the sums' last one."""


class Sequencer(wiring.Component):
    """Turns a job (see job_layout) into its steps, one a cycle.

    Sums are computed in rounds: the first step of each sum of a round, then the second step of each, and so on. A round
    has `loop` sums, so that no step has to wait for the sum's previous step; the last round has all remaining sums,
    fewer than `2 * loop`. Where a job has fewer than `loop` sums, nothing is offered until the first one's previous
    step is `loop` cycles old: the tile never lets a step wait.

    What is compared is compared a step or a sum ahead, and kept in a flip-flop.

    Latency: the first step is offered two cycles after `start` is taken. Throughput: one step a cycle.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    start : stream of job_layout, in
        Jobs; one is taken while none runs.
    fetch : stream of fetch_layout, always ready, out
        The steps.
    finished : 1, in
        High for one cycle for each sum whose result has been written.
    done : 1, out
        High for one cycle when all sums of the job are finished.
    """

    latency = 2

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "start": In(stream.Signature(job_layout(geometry))),
                "fetch": Out(stream.Signature(fetch_layout(geometry), always_ready=True)),
                "finished": In(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        fetch, new = self.fetch.payload, self.start.payload
        job, busy = Signal.like(new), Signal()
        moves = Moves(*(Signal(name=name) for name in ("begins", "runs", "next_step", "next_round")))
        m.d.comb += [self.start.ready.eq(~busy), moves.begins.eq(self.start.valid & ~busy)]
        with m.If(moves.begins):
            m.d.sync += [job.eq(new), busy.eq(1)]
        with m.Elif(self.done):
            m.d.sync += busy.eq(0)
        self._finish(m, moves)

        step, last_step = self._steps(m, job, moves)
        offers = self._slots(m, moves, last_step)
        window = self._windows(m, job, moves)
        here = self._places(m, job, moves)
        m.d.sync += [
            self.fetch.valid.eq(offers),
            fetch.a.eq(here.a + step),
            fetch.b.eq(here.b + window),
            fetch.d.eq(here.d),
        ]
        return m

    def _finish(self, m: Module, moves: Moves) -> None:
        """Counts the sums that are not finished."""
        new = self.start.payload
        unfinished, one = Signal.like(new.sums), Signal()
        m.d.comb += self.done.eq(self.finished & one)
        with m.If(moves.begins):
            m.d.sync += [unfinished.eq(new.sums), one.eq(new.sums == 1)]
        with m.Elif(self.finished):
            m.d.sync += [unfinished.eq(unfinished - 1), one.eq(unfinished == 2)]

    def _slots(self, m: Module, moves: Moves, last_step: Signal) -> Signal:
        """Counts the sums of a round, and the rounds. Returns whether the slot has a sum."""
        loop, sums = timing(self.geometry).loop, self.start.payload.sums
        slot = Signal.like(self.fetch.payload.slot)
        # The last slot with a sum, and the last before the next step: they differ where there are fewer than `loop`
        # sums.
        last, end = Signal.like(slot), Signal.like(slot)
        left, last_round, rests, offers = Signal.like(sums), Signal(), Signal(), Signal()
        # Whether the slot is `end`. The first slot is only where a step has no other, in a loop of one cycle.
        at_end = Signal()
        ends = moves.runs & last_round & last_step & (slot == last)
        m.d.comb += [
            moves.next_step.eq(moves.runs & at_end),
            moves.next_round.eq(moves.next_step & last_step),
            offers.eq(moves.runs & ~rests),
        ]
        m.d.sync += [self.fetch.payload.slot.eq(slot), slot.eq(slot + 1), at_end.eq(slot + 1 == end)]
        with m.If(slot == last):
            m.d.sync += rests.eq(1)
        with m.If(moves.next_step | moves.begins):
            m.d.sync += [slot.eq(0), rests.eq(0), at_end.eq(loop == 1)]
        with m.If(moves.next_round):
            # At least `loop` sums are left after this round, unless it is the last one.
            final = left < 3 * loop
            size = Mux(final, left - (loop + 1), loop - 1)
            m.d.sync += [left.eq(left - loop), last_round.eq(final), last.eq(size), end.eq(size)]
        with m.If(ends):
            m.d.sync += moves.runs.eq(0)
        with m.If(moves.begins):
            only = sums < 2 * loop
            size = Mux(only, sums - 1, loop - 1)
            m.d.sync += [
                moves.runs.eq(1),
                left.eq(sums),
                last_round.eq(only),
                last.eq(size),
                end.eq(Mux(sums < loop, loop - 1, size)),
            ]
        return offers

    def _steps(self, m: Module, job: Any, moves: Moves) -> tuple[Signal, Signal]:
        """Counts the steps of a round's sums. Returns the step, and whether it is the last."""
        new, fetch = self.start.payload, self.fetch.payload
        step, last, only = Signal.like(job.steps), Signal(), Signal()
        last_but_one = Signal.like(job.steps)
        m.d.sync += [fetch.first.eq(step == 0), fetch.last.eq(last)]
        with m.If(moves.next_step):
            m.d.sync += [step.eq(step + 1), last.eq(step == last_but_one)]
        with m.If(moves.next_round):
            m.d.sync += [step.eq(0), last.eq(only)]
        with m.If(moves.begins):
            one = new.steps == 1
            m.d.sync += [step.eq(0), last.eq(one), only.eq(one), last_but_one.eq(new.steps - 2)]
        return step, last

    def _windows(self, m: Module, job: Any, moves: Moves) -> Signal:
        """Counts the windows of B that the steps need, and the steps of a dense matrix within each. Returns the
        window."""
        window = Signal.like(self.fetch.payload.b)
        phase = Signal(bits_for(self.geometry.phases))
        dense: Any = Const(0) if self.geometry.pattern.dense else job.dense
        with m.If(moves.next_step):
            m.d.sync += phase.eq(phase + 1)
            with m.If(~dense | (phase == self.geometry.phases - 1)):
                m.d.sync += [phase.eq(0), window.eq(window + 1)]
        with m.If(moves.next_round | moves.begins):
            m.d.sync += [phase.eq(0), window.eq(0)]
        if not self.geometry.pattern.dense:
            m.d.sync += [self.fetch.payload.dense.eq(job.dense), self.fetch.payload.phase.eq(phase)]
        return window

    def _places(self, m: Module, job: Any, moves: Moves) -> Any:
        """The place of the sum: its row of tiles, and the words of its first step. From sum to sum it goes down the
        rows of tiles, then to the next column of tiles; from step to step it goes back to the round's first sum."""
        new, fetch = self.start.payload, self.fetch.payload
        fields = {"row": len(job.rows), "last_row": 1, "a": len(fetch.a), "b": len(fetch.b), "d": len(fetch.d)}
        place = data.StructLayout(fields)
        head, here, after = Signal(place), Signal(place), Signal(place)
        last_but_one, only = Signal.like(job.rows), Signal()
        m.d.comb += after.d.eq(here.d + 1)
        with m.If(here.last_row):
            m.d.comb += [
                after.row.eq(0),
                after.last_row.eq(only),
                after.a.eq(job.a_base),
                after.b.eq(here.b + job.windows),
            ]
        with m.Else():
            m.d.comb += [
                after.row.eq(here.row + 1),
                after.last_row.eq(here.row == last_but_one),
                after.a.eq(here.a + job.steps),
                after.b.eq(here.b),
            ]
        m.d.sync += here.eq(after)
        with m.If(moves.next_round):
            m.d.sync += head.eq(after)
        with m.Elif(moves.next_step):
            m.d.sync += here.eq(head)
        with m.If(moves.begins):
            one = new.rows == 1
            begin = {"row": 0, "last_row": one, "a": new.a_base, "b": new.b_base, "d": new.d_base}
            for name, value in begin.items():
                m.d.sync += [head[name].eq(value), here[name].eq(value)]
            m.d.sync += [last_but_one.eq(new.rows - 2), only.eq(one)]
        return here
