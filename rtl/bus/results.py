"""Results that go out over an AXI4-Stream."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.bus.ports import beat_layout, beat_stream

PLACES = 16
"""Beats that can wait to be taken while the core goes on."""


class ResultPacker(wiring.Component):
    """Packs the values of results into beats. The last beat of a result is marked `last`, and its `keep` says how many
    values it has.

    Latency: a beat is offered one cycle after its last value. Throughput: one value a cycle, until PLACES beats
    wait.

    Parameters
    ----------
    values
        The most values of a result.
    value_bits
        Bits of a value, a multiple of 8.
    beat_values
        Values of a beat.

    Ports
    -----
    i : stream of value_bits, in
        Values, result after result.
    o : stream of beat_layout, out
        Beats.
    outputs : bits_for(values + 1), in
        Values of a result, at least one. It stands still while `busy` is high.
    busy : 1, out
        Values have not been taken.
    """

    def __init__(self, *, values: int, value_bits: int, beat_values: int) -> None:
        self.values = values
        self.value_bits = value_bits
        self.beat_values = beat_values
        super().__init__(
            {
                "i": In(stream.Signature(value_bits)),
                "o": Out(beat_stream(beat_values, value_bits)),
                "outputs": In(bits_for(values + 1)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layout = beat_layout(self.beat_values, self.value_bits)
        m.submodules.waiting = waiting = fifo.SyncFIFO(width=layout.size, depth=PLACES)
        value_bytes = self.value_bits // 8
        lane = Signal(bits_for(self.beat_values))
        before = Signal((self.beat_values - 1) * self.value_bits)
        index = Signal.like(self.outputs)
        last, ends, takes = Signal(), Signal(), Signal()
        beat = Signal(layout)
        filled = Signal(self.beat_values * self.value_bits)
        m.d.comb += [
            last.eq(index + 1 == self.outputs),
            ends.eq(last | (lane == self.beat_values - 1)),
            self.i.ready.eq(~ends | waiting.w_rdy),
            takes.eq(self.i.valid & self.i.ready),
            filled.eq(before),
            filled.word_select(lane, self.value_bits).eq(self.i.payload),
            beat.data.eq(filled),
            beat.keep.eq(Cat((lane >= byte // value_bytes) for byte in range(len(beat.keep)))),
            beat.last.eq(last),
            waiting.w_en.eq(takes & ends),
            waiting.w_data.eq(beat),
            self.o.valid.eq(waiting.r_rdy),
            self.o.payload.eq(waiting.r_data),
            waiting.r_en.eq(self.o.ready),
            self.busy.eq((index != 0) | (waiting.level != 0)),
        ]
        with m.If(takes):
            m.d.sync += [lane.eq(lane + 1), before.eq(filled), index.eq(index + 1)]
            with m.If(ends):
                m.d.sync += [lane.eq(0), before.eq(0)]
            with m.If(last):
                m.d.sync += index.eq(0)
        return m
