"""Merges two streams of entries, one a cycle."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.bitonic import less
from zeroskip.rtl.mapping.layouts import lane_layout


class LaneQueue(wiring.Component):
    """Four places for entries. Whether there is room depends on a register: what leaves makes room in the next cycle.
    The second place alone gives the head, so that both can be compared without a choice before.

    Latency: two cycles. Throughput: one entry a cycle.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of lane_layout, in
        Entries.
    valid : 1, out
        There is a head, the oldest entry.
    valid_next : 1, out
        `valid` of the next cycle.
    empty_next : 1, out
        There is no entry at all in the next cycle.
    head : lane_layout, out
        The head.
    second : lane_layout, out
        The entry that becomes the head.
    comes : 1, out
        It does so, in the next cycle.
    load : 1, out
        The head leaves, or there was none; the next one comes, if there is one.
    pop : 1, in
        The head leaves.
    pause : 1, in
        None comes in this cycle, unless with `pop`.
    """

    latency = 2

    def __init__(self, geometry: MapperGeometry) -> None:
        entry = lane_layout(geometry)
        super().__init__(
            {
                "i": In(stream.Signature(entry)),
                "valid": Out(1),
                "valid_next": Out(1),
                "empty_next": Out(1),
                "head": Out(entry),
                "second": Out(entry),
                "comes": Out(1),
                "load": Out(1),
                "pop": In(1),
                "pause": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        third, fourth = Signal.like(self.head), Signal.like(self.head)
        has_second, has_third, has_fourth, push = (Signal() for _ in range(4))
        m.d.comb += [
            self.i.ready.eq(~has_fourth),
            push.eq(self.i.valid & ~has_fourth),
            self.load.eq(self.pop | (~self.valid & ~self.pause)),
            self.comes.eq(self.load & has_second),
            self.valid_next.eq(Mux(self.load, has_second, self.valid)),
            self.empty_next.eq(~((self.valid & ~self.pop) | has_second | push)),
        ]
        m.d.sync += self.valid.eq(self.valid_next)
        # Without an entry, the head is any: it need not know whether one comes.
        with m.If(self.pop | ~self.valid):
            m.d.sync += self.head.eq(self.second)
        with m.If(self.load):
            m.d.sync += [
                has_second.eq(has_third | push),
                has_third.eq(has_fourth | (has_third & push)),
                has_fourth.eq(0),
            ]
        with m.Elif(push):
            m.d.sync += [has_second.eq(1), has_third.eq(has_second), has_fourth.eq(has_third)]
        # A place that holds nothing takes what comes, which may have gone to the one before.
        with m.If(self.load | ~has_second):
            m.d.sync += self.second.eq(Mux(has_third, third, self.i.payload))
        with m.If(self.load | ~has_third):
            m.d.sync += third.eq(Mux(has_fourth, fourth, self.i.payload))
        with m.If(~has_fourth):
            m.d.sync += fourth.eq(self.i.payload)
        return m


class MergerLane(wiring.Component):
    """Merges pairs of sorted runs of entries, one of each stream. All lanes of a merger go on together.

    Absent entries are the last of a run.

        queues    the next entries of both streams, their heads; a register says which one is less
        choose    one leaves its queue. Meanwhile, that which follows it is compared with the other one
        o         gives the one that was chosen

    New heads come one after the other, each to be compared with the other one.

    Latency: an entry is at `o` five cycles after it came, if one of the other stream came in the same cycle: two for
    its queue, one more in which the other head comes, and those two. Throughput: one entry a cycle.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    a : stream of lane_layout, in
        Sorted runs.
    b : stream of lane_layout, in
        Sorted runs, as many.
    a_stops : 1, in
        Nothing comes at `a` before some lane has taken an entry of it. Where lists are not sorted, the next entry may
        then be missing here: that of the other stream is taken, so that nothing hangs.
    b_stops : 1, in
        The same for `b`.
    can : 1, out
        There is an entry to take in the next cycle.
    go : 1, in
        It is taken.
    advance : 1, in
        What was taken goes on.
    o : lane_layout, out
        The smaller one of both streams' next entries. `last` ends a pair of runs.
    """

    latency = 5

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        entry = lane_layout(geometry)
        super().__init__(
            {
                "a": In(stream.Signature(entry)),
                "b": In(stream.Signature(entry)),
                "a_stops": In(1),
                "b_stops": In(1),
                "can": Out(1),
                "go": In(1),
                "advance": In(1),
                "o": Out(entry),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.queue_a = queue_a = LaneQueue(self.geometry)
        m.submodules.queue_b = queue_b = LaneQueue(self.geometry)
        wiring.connect(m, wiring.flipped(self.a), queue_a.i)
        wiring.connect(m, wiring.flipped(self.b), queue_b.i)
        a, b = queue_a.head, queue_b.head
        a_ended, b_ended, a_ends, b_ends = Signal(), Signal(), Signal(), Signal()
        without_a, without_b, a_is_less, was_less = Signal(), Signal(), Signal(), Signal()
        choose_a = Signal()
        m.d.comb += [
            queue_a.pop.eq(self.go & choose_a),
            queue_b.pop.eq(self.go & ~choose_a),
            queue_a.pause.eq(queue_b.pop),
            queue_b.pause.eq(queue_a.comes),
            a_ends.eq(a_ended | (queue_a.pop & a.last)),
            b_ends.eq(b_ended | (queue_b.pop & b.last)),
            without_a.eq((a_ends & ~b_ends) | (self.a_stops & queue_a.empty_next)),
            without_b.eq((b_ends & ~a_ends) | (self.b_stops & queue_b.empty_next)),
            self.can.eq((queue_a.valid_next | without_a) & (queue_b.valid_next | without_b)),
            a_is_less.eq(was_less),
        ]
        with m.If(queue_a.load):
            m.d.comb += a_is_less.eq(_less(queue_a.second, b))
        with m.Elif(queue_b.load):
            m.d.comb += a_is_less.eq(_less(a, queue_b.second))
        # All of this is about the next cycle.
        m.d.sync += [
            a_ended.eq(a_ends & ~b_ends),
            b_ended.eq(b_ends & ~a_ends),
            was_less.eq(a_is_less),
            choose_a.eq(~without_a & (without_b | a_is_less)),
        ]
        taken_a, taken_b, chosen_a = Signal.like(a), Signal.like(b), Signal()
        with m.If(self.advance):
            m.d.sync += [
                taken_a.entry.eq(a.entry),
                taken_a.last.eq(a.last & b_ended),
                taken_a.final.eq(a.final & b_ended),
                taken_b.entry.eq(b.entry),
                taken_b.last.eq(b.last & a_ended),
                taken_b.final.eq(b.final & a_ended),
                chosen_a.eq(choose_a),
                self.o.eq(Mux(chosen_a, taken_a, taken_b)),
            ]
        return m


def _less(a: Any, b: Any) -> Value:
    """Whether an entry of list a goes first. Of two absent ones that of list b does, whatever stands in them: so the
    lanes agree."""
    return ~a.entry.absent & less(a.entry.as_value(), b.entry.as_value())
