"""Turns a job of the mapping unit into passes over the lists."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import job_layout, run_layout
from zeroskip.rtl.ports import lookup_port

_PLACES = ("first", "end", "following")


class Sequencer(wiring.Component):
    """Gives both readers their runs, pass by pass.

    A map is one pass: for each offset, list a (the outputs), moved by the offset's shift, and list b (the inputs). A
    sort begins with a pass in which reader a brings the list to the block sorter; then, pass by pass, pairs of sorted
    runs are merged into runs twice as long. The passes write to `target` and `spare` in turn, and the last to `target`.
    A ranking is one pass in which list a is read for each query: word by word for `together` queries in turn.
    Farthest-point sampling is one pass for each sample.

    Latency: the first runs are offered in the cycle after `start` was taken, those of a next pass in the cycle after
    `finished`, or after `proceed` in farthest-point sampling. Throughput: a run a cycle for each reader.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    start : stream of job_layout, in
        Jobs; one is taken while none runs.
    shift : lookup_port(offsets, key_bits), out
        The table of shifts.
    a : stream of run_layout, out
        The runs of the first reader.
    b : stream of run_layout, out
        The runs of the second reader.
    origin : key_bits, in
        Minus the key of the last sample.
    proceed : 1, in
        High for one cycle before `origin` is that of the last pass's sample.
    finished : 1, in
        High for one cycle when all of a pass has been written, or has left.
    sort : 1, out
        The job is a sort.
    rank : 1, out
        The job is a ranking.
    farthest : 1, out
        The job is farthest-point sampling, a kind of ranking.
    presort : 1, out
        The pass sorts blocks.
    first : 1, out
        It is the job's first pass.
    last : 1, out
        It is the job's last pass.
    into : address_bits, out
        The first word that the pass writes.
    list_a : address_bits, out
        The first word of the job's first list.
    list_b : address_bits, out
        The first word of its second list.
    unique : 1, out
        That of the job, in its last pass.
    renumber : 1, out
        That of the job, in its last pass.
    nearest : range(width + 1), out
        That of the job, if it is a ranking, else 0.
    limit : key_bits, out
        That of the job.
    done : 1, out
        High for one cycle at the end of the job, with `finished`.
    """

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "start": In(stream.Signature(job_layout(geometry))),
                "shift": Out(lookup_port(geometry.offsets, geometry.key_bits)),
                "a": Out(stream.Signature(run_layout(geometry))),
                "b": Out(stream.Signature(run_layout(geometry))),
                "origin": In(geometry.key_bits),
                "proceed": In(1),
                "finished": In(1),
                "sort": Out(1),
                "rank": Out(1),
                "farthest": Out(1),
                "presort": Out(1),
                "first": Out(1),
                "last": Out(1),
                "into": Out(geometry.address_bits),
                "list_a": Out(geometry.address_bits),
                "list_b": Out(geometry.address_bits),
                "unique": Out(1),
                "renumber": Out(1),
                "nearest": Out(bits_for(geometry.width + 1)),
                "limit": Out(geometry.key_bits),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        job, busy = Signal(job_layout(self.geometry)), Signal()
        # The words of list a, and those of the runs that are merged.
        words, length, b_words = (Signal.like(self.a.payload.end) for _ in range(3))
        to_target, begin = Signal(), Signal()
        # The number of the last offset, query or sample.
        last_number = Signal.like(job.offsets)
        passes = Signal.like(job.offsets)
        new = self.start.payload
        starts = Signal()
        m.d.comb += [
            self.start.ready.eq(~busy),
            starts.eq(self.start.valid & ~busy),
            begin.eq(starts | Mux(job.farthest, self.proceed, self.finished & ~self.last)),
            self.sort.eq(job.sort),
            self.rank.eq(job.rank),
            self.farthest.eq(job.farthest),
            self.first.eq(passes == 0),
            self.list_a.eq(job.a_base),
            self.list_b.eq(job.b_base),
            self.nearest.eq(Mux(job.rank, job.nearest, 0)),
            self.limit.eq(job.limit),
            self.done.eq(self.finished & self.last),
            self.unique.eq(job.unique & self.last),
            self.renumber.eq(job.renumber & self.last),
        ]
        # A pass takes longer than these registers take to follow.
        m.d.sync += [
            self.last.eq(
                Mux(
                    job.sort,
                    ~self.presort & (length << 1 >= words),
                    ~job.farthest | (passes == last_number),
                )
            ),
            self.into.eq(Mux(to_target | job.rank, job.target, job.spare) + Mux(job.farthest, passes, 0)),
        ]
        with m.If(starts):
            m.d.sync += [
                job.eq(new),
                busy.eq(1),
                passes.eq(0),
                last_number.eq(new.offsets - 1),
                words.eq(self._blocks(new.a_count)),
                b_words.eq(self._blocks(new.b_count)),
                length.eq(1),
                self.presort.eq(new.sort),
                to_target.eq(self._even_merges(m, self._blocks(new.a_count))),
            ]
        with m.Elif(self.finished):
            m.d.sync += [busy.eq(~self.last), passes.eq(passes + 1), self.presort.eq(0), to_target.eq(~to_target)]
            with m.If(~self.presort):
                m.d.sync += length.eq(length << 1)
        next_length = Mux(starts, 1, Mux(self.presort, length, length << 1))
        source = Mux(self.presort, job.a_base, Mux(to_target, job.spare, job.target))
        sorts = Mux(starts, new.sort, job.sort)
        shared = {"begin": begin, "last_number": last_number, "words": words, "source": source}
        lengths = {"length": length, "next_length": next_length}
        self._runs_of_a(m, job, sorts=sorts, **shared, **lengths)
        self._runs_of_b(m, job, b_words=b_words, **shared, **lengths)
        return m

    def _blocks(self, count: Value) -> Value:
        """Words of a list; an empty one is read as one word."""
        words = (count + self.geometry.width - 1) >> self.geometry.levels
        return Mux(count == 0, 1, words)

    def _even_merges(self, m: Module, words: Value) -> Signal:
        """Whether a list of so many words takes an even number of merging passes: max(1, ceil(log2(words)))."""
        even = Signal()
        below = Signal.like(self.a.payload.end)
        m.d.comb += [below.eq(words - 1), even.eq(0)]
        for bit in range(1, len(below)):
            with m.If(below[bit]):
                m.d.comb += even.eq(bit % 2)
        return even

    def _runs_of_a(
        self,
        m: Module,
        job: Any,
        *,
        begin: Value,
        sorts: Value,
        last_number: Signal,
        words: Signal,
        length: Signal,
        next_length: Value,
        source: Value,
    ) -> None:
        run, offering = self.a.payload, Signal()
        # The first word of this run, the one after its last, and the first word of the next run.
        first, end, following = (Signal.like(self.a.payload.first, name=f"a_{name}") for name in _PLACES)
        number = Signal.like(job.offsets)
        in_turn, place, turn_ends, list_ends = Signal(), Signal(range(self.geometry.together)), Signal(), Signal()
        m.d.comb += [
            in_turn.eq(job.rank & ~job.farthest),
            turn_ends.eq((place == self.geometry.together - 1) | (number == last_number)),
            list_ends.eq(following == words),
            self.a.valid.eq(offering),
            self.shift.addr.eq(number),
            run.single.eq(in_turn),
            run.count.eq(job.a_count),
            run.kept.eq(Mux(self.presort, job.kept, Const(-1, len(run.kept)))),
            run.first.eq(first),
        ]
        with m.If(job.sort):
            m.d.comb += [
                run.shift.eq(0),
                run.source.eq(0),
                run.base.eq(source),
                run.end.eq(Mux(self.presort, words, _least(end, words))),
                run.final.eq(self.presort | (following >= words)),
            ]
        with m.Else():
            m.d.comb += [
                run.base.eq(job.a_base),
                run.end.eq(words),
                run.shift.eq(Mux(job.farthest & ~self.first, self.origin, self.shift.data)),
                run.source.eq(~job.rank),
                run.final.eq(job.farthest | ((number == last_number) & (~in_turn | list_ends))),
            ]
        with m.If(begin):
            m.d.sync += [
                offering.eq(1),
                first.eq(0),
                end.eq(next_length),
                following.eq(Mux(sorts, next_length << 1, 1)),
                number.eq(0),
                place.eq(0),
            ]
        with m.Elif(self.a.valid & self.a.ready):
            m.d.sync += [offering.eq(~run.final), number.eq(number + 1)]
            with m.If(job.sort):
                m.d.sync += [
                    first.eq(following),
                    end.eq(end + (length << 1)),
                    following.eq(following + (length << 1)),
                ]
            with m.If(in_turn):
                m.d.sync += place.eq(Mux(turn_ends, 0, place + 1))
                # The next word, for the same queries; or the next queries.
                with m.If(turn_ends & list_ends):
                    m.d.sync += [first.eq(0), following.eq(1)]
                with m.Elif(turn_ends):
                    m.d.sync += [first.eq(following), following.eq(following + 1), number.eq(number - place)]

    def _runs_of_b(
        self,
        m: Module,
        job: Any,
        *,
        begin: Value,
        b_words: Signal,
        last_number: Signal,
        words: Signal,
        length: Signal,
        next_length: Value,
        source: Value,
    ) -> None:
        run, offering = self.b.payload, Signal()
        first, following = (Signal.like(self.b.payload.first, name=f"b_{name}") for name in ("first", "following"))
        number = Signal.like(job.offsets)
        m.d.comb += self.b.valid.eq(offering & ~self.presort & (~job.rank | job.farthest))
        # Inputs are read as they are. Constants for a part of the payload stand in each branch: those outside would be
        # emitted as initial values, which Verilator drops from a signal that is driven elsewhere too.
        as_they_are = [
            run.kept.eq(Const(-1, len(run.kept))),
            run.shift.eq(0),
            run.source.eq(0),
            run.single.eq(0),
        ]
        with m.If(job.sort):
            # The last run may have no partner: then its partner is a word behind the list.
            m.d.comb += [
                *as_they_are,
                run.base.eq(source),
                run.count.eq(job.a_count),
                run.first.eq(first),
                run.end.eq(Mux(first < words, _least(following, words), first + 1)),
                run.final.eq(following >= words),
            ]
        with m.Else():
            m.d.comb += [
                *as_they_are,
                run.base.eq(job.b_base),
                run.count.eq(job.b_count),
                run.first.eq(0),
                run.end.eq(b_words),
                run.final.eq(job.farthest | (number == last_number)),
            ]
        with m.If(begin):
            m.d.sync += [offering.eq(1), first.eq(next_length), following.eq(next_length << 1), number.eq(0)]
        with m.Elif(self.b.valid & self.b.ready):
            m.d.sync += [offering.eq(~run.final), number.eq(number + 1)]
            with m.If(job.sort):
                m.d.sync += [first.eq(first + (length << 1)), following.eq(following + (length << 1))]


def _least(x: Value, y: Value) -> Value:
    return Mux(x < y, x, y)
