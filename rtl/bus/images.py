"""Images that come over an AXI4-Stream, kept until the core can take them."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.bus.ports import beat_stream
from zeroskip.rtl.sram import Sram

COUNT_BITS = 8
"""Bits of the number of whole images: so many can wait."""


def image_errors() -> data.StructLayout:
    """Why an image was dropped: it was too short, too long, or had gaps."""
    return data.StructLayout({"short": 1, "long": 1, "keep": 1})


def word_layout(values: int, value_bits: int) -> data.StructLayout:
    """So many values of an image, the first in the lowest bits, and whether they are its last ones."""
    return data.StructLayout({"data": values * value_bits, "last": 1})


class ImageBuffer(wiring.Component):
    """Takes images from a stream of beats, and gives the words of those that were whole.

    An image has `inputs` values. The last beat of it is marked `last` and may have fewer values than the others; its
    `keep` says how many, at least one. An image with another number of values, or with gaps, is dropped as a whole:
    what came of it is taken back, what still comes of it is ignored up to its last beat, and the next beat begins an
    image.

    Beats are taken while earlier images wait or are given away, as long as there is room: for `values` values.

    Latency: the first word of an image is there two cycles after its last beat. Throughput: one beat and one word a
    cycle.

    Parameters
    ----------
    values
        The most values of an image.
    value_bits
        Bits of a value, a multiple of 8.
    beat_values
        Values of a beat.
    word_values
        Values of a word: a multiple of `beat_values`, or ValueError.

    Ports
    -----
    i : stream of beat_layout, in
        Beats.
    o : stream of word_layout, out
        Words of whole images. Zeros fill the last one.
    inputs : bits_for(values + 1), in
        Values of an image, at least one. It stands still while `busy` is high.
    enable : 1, in
        Images may begin to come in.
    flush : 1, in
        Forgets all images: the next beat, after this is low again, is the first of an image. `o.ready` must be low.
    images : COUNT_BITS, out
        Whole images whose last word was not given away.
    receiving : 1, out
        An image has begun to come in.
    busy : 1, out
        The buffer is not empty.
    dropped : image_errors, out
        High for one cycle when an image is dropped.
    """

    def __init__(self, *, values: int, value_bits: int, beat_values: int, word_values: int) -> None:
        if beat_values < 1 or word_values % beat_values:
            raise ValueError(f"word_values must be a multiple of beat_values, not {word_values} and {beat_values}")
        self.values = values
        self.value_bits = value_bits
        self.beat_values = beat_values
        self.word_values = word_values
        super().__init__(
            {
                "i": In(beat_stream(beat_values, value_bits)),
                "o": Out(stream.Signature(word_layout(word_values, value_bits))),
                "inputs": In(bits_for(values + 1)),
                "enable": In(1),
                "flush": In(1),
                "images": Out(COUNT_BITS),
                "receiving": Out(1),
                "busy": Out(1),
                "dropped": Out(image_errors()),
            }
        )
        self._words = -(-values // word_values)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # A beat that goes on with an image, the last one of it, and one that is wrong.
        good, commits, drops = Signal(), Signal(), Signal()
        word, writes = self._collect(m, good, drops)
        room = self._store(m, word, writes, commits, drops)
        self._check(m, good, commits, drops, room)
        m.d.comb += self.busy.eq(self.receiving | (self.images != 0))
        return m

    def _kept(self) -> list[Value]:
        """Which values of the beat count: those with all their bytes."""
        size = self.value_bits // 8
        return [self.i.payload.keep.word_select(lane, size).all() for lane in range(self.beat_values)]

    def _check(self, m: Module, good: Signal, commits: Signal, drops: Signal, room: Value) -> None:
        """Takes beats, and finds what is wrong with the image that comes in."""
        beat, kept = self.i.payload, Cat(self._kept())
        parts = Cat(
            beat.keep.word_select(lane, self.value_bits // 8).any() != kept[lane] for lane in range(self.beat_values)
        )
        gaps = parts.any() | ~kept[0] | ((kept + 1) & kept).any() | (~beat.last & ~kept.all())

        taken = Signal(range(self.values + 1))
        dropping = Signal()
        total = taken + reduce(add, kept)
        wrong = Signal(image_errors())
        takes = Signal()
        m.d.comb += [
            wrong.keep.eq(gaps),
            wrong.long.eq(~gaps & (total > self.inputs)),
            wrong.short.eq(~gaps & beat.last & (total < self.inputs)),
            self.receiving.eq((taken != 0) | dropping),
            # What is dropped needs no room.
            self.i.ready.eq(~self.flush & (self.enable | self.receiving) & (dropping | room | (taken == self.inputs))),
            takes.eq(self.i.valid & self.i.ready & ~dropping),
            good.eq(takes & ~wrong.as_value().any()),
            commits.eq(good & beat.last),
            drops.eq(takes & wrong.as_value().any()),
            self.dropped.as_value().eq(Mux(takes, wrong.as_value(), 0)),
        ]
        with m.If(self.i.valid & self.i.ready & beat.last):
            m.d.sync += [taken.eq(0), dropping.eq(0)]
        with m.Elif(good):
            m.d.sync += taken.eq(total)
        with m.Elif(drops):
            m.d.sync += [taken.eq(0), dropping.eq(1)]
        with m.If(self.flush):
            m.d.sync += [taken.eq(0), dropping.eq(0)]

    def _collect(self, m: Module, good: Signal, drops: Signal) -> tuple[Value, Value]:
        """Collects beats until they are a word: the word, and whether it is whole with this beat."""
        beat, bits = self.i.payload, self.beat_values * self.value_bits
        values = Cat(
            beat.data.word_select(lane, self.value_bits) & kept.replicate(self.value_bits)
            for lane, kept in enumerate(self._kept())
        )
        beats = self.word_values // self.beat_values
        if beats == 1:
            return values, good
        part = Signal(range(beats))
        before = Signal(bits * (beats - 1))
        word = Signal(bits * beats)
        m.d.comb += word.eq(before)
        with m.Switch(part):
            for place in range(beats):
                with m.Case(place):
                    m.d.comb += word.word_select(place, bits).eq(values)
        writes = good & (beat.last | (part == beats - 1))
        with m.If(good):
            m.d.sync += [part.eq(part + 1), before.eq(word)]
        with m.If(writes | drops | self.flush):
            m.d.sync += [part.eq(0), before.eq(0)]
        return word, writes

    def _store(self, m: Module, word: Value, writes: Value, commits: Signal, drops: Signal) -> Value:
        """Keeps the words in a ring. Returns whether there is room for one more."""
        layout = word_layout(self.word_values, self.value_bits)
        m.submodules.words = words = Sram(depth=self._words, width=layout.size)
        begin, place, fetched = (Signal(range(self._words), name=name) for name in ("begin", "place", "fetched"))
        whole, partial = (Signal(range(self._words + 1), name=name) for name in ("whole", "partial"))

        def after(address: Signal) -> Value:
            return Mux(address == self._words - 1, 0, address + 1)

        # What comes in.
        m.d.comb += [
            words.write.en.eq(writes),
            words.write.addr.eq(place),
            words.write.data.eq(Cat(word, commits)),
        ]
        with m.If(writes):
            m.d.sync += [place.eq(after(place)), partial.eq(partial + 1)]
        with m.If(commits):
            m.d.sync += [begin.eq(after(place)), partial.eq(0)]
        with m.If(drops):
            m.d.sync += [place.eq(begin), partial.eq(0)]

        # What goes out: the memory shows a word until the next one is fetched.
        fetches, ends = Signal(), Signal()
        m.d.comb += [
            fetches.eq((whole != 0) & (~self.o.valid | self.o.ready)),
            words.read.en.eq(fetches),
            words.read.addr.eq(fetched),
            self.o.payload.as_value().eq(words.read.data),
            ends.eq(self.o.valid & self.o.ready & self.o.payload.last),
        ]
        with m.If(fetches):
            m.d.sync += fetched.eq(after(fetched))
        with m.If(fetches | self.o.ready):
            m.d.sync += self.o.valid.eq(fetches)
        m.d.sync += [
            whole.eq(whole - fetches + Mux(commits, partial + 1, 0)),
            self.images.eq(self.images - ends + commits),
        ]
        with m.If(self.flush):
            m.d.sync += [signal.eq(0) for signal in (begin, place, fetched, whole, partial, self.images, self.o.valid)]
        return (whole + partial < self._words) & (self.images != (1 << COUNT_BITS) - 1)
