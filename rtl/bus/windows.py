"""The windows of a map: memories of a core that are loaded and read word by word."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.bus.ports import Refusal, access_port
from zeroskip.rtl.bus.register_map import REGISTER_BITS, RegisterMap, Window


def window_word_layout(described: RegisterMap) -> data.StructLayout:
    """A word for a memory: `window` counts the windows that are written, in the order of the map."""
    windows = [window for window in described.windows if window.written]
    return data.StructLayout(
        {
            "window": bits_for(len(windows)),
            "instance": bits_for(max(window.instances for window in windows)),
            "address": bits_for(max(window.entries for window in windows)),
            "data": max(window.bits for window in windows),
        }
    )


def result_place_layout(window: Window) -> data.StructLayout:
    """Which word of a window that is read."""
    return data.StructLayout({"instance": bits_for(window.instances), "address": bits_for(window.entries)})


class Windows(wiring.Component):
    """Makes words for a core's memories of accesses of 32 bits, and reads its results.

    A word wider than an access is written by accesses in increasing order, the last of which writes all of it. Any
    other order, and an access that writes not all of its bytes, is refused; then the word begins again.

    Latency: an access that ends no word is done in the cycle in which it begins, one that ends a word when the core
    takes it, and a read when the core gives the result.

    Parameters
    ----------
    described : RegisterMap
        One window is read.

    Ports
    -----
    access : access_port, in
        Accesses to windows.
    load : stream of window_word_layout, out
        Words for the memories.
    read : stream of result_place_layout, out
        Places of results.
    result : stream of as many bits as its words, in
        These results, in order.
    """

    def __init__(self, described: RegisterMap) -> None:
        self.described = described
        self._written = [window for window in described.windows if window.written]
        (self._read,) = [window for window in described.windows if not window.written]
        super().__init__(
            {
                "access": In(access_port(described.address_bits)),
                "load": Out(stream.Signature(window_word_layout(described))),
                "read": Out(stream.Signature(result_place_layout(self._read))),
                "result": In(stream.Signature(self._read.bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        access = self.access
        # An access to a word of a window that is written, by its last access of 32 bits or an earlier one.
        written, ends, begins = Signal(), Signal(), Signal()
        m.d.comb += [access.refusal.eq(Refusal.UNMAPPED), access.done.eq(access.valid), begins.eq(1), ends.eq(1)]
        word = self.load.payload
        for number, window in enumerate(self._written):
            entry, instance = self._place(window)
            with m.If(self._hit(window)):
                m.d.comb += [
                    written.eq(1),
                    word.window.eq(number),
                    word.instance.eq(instance),
                    word.address.eq(entry),
                ]
                if window.lanes > 1:
                    lane = access.address[2 : (window.word_bytes - 1).bit_length()]
                    m.d.comb += [begins.eq(lane == 0), ends.eq(lane.all())]
        self._write(m, written, begins, ends)
        self._read_results(m)
        return m

    def _hit(self, window: Window) -> Value:
        """Whether an access is to a word of a window."""
        address = self.access.address
        hit: Value = address >> (window.size - 1).bit_length() == window.base // window.size
        entry, instance = self._place(window)
        if window.entries & (window.entries - 1):
            hit &= entry < window.entries
        if window.instances & (window.instances - 1):
            hit &= instance < window.instances
        return hit

    def _place(self, window: Window) -> tuple[Value, Value]:
        """The word and the instance that an access to a window is for."""
        low, middle, high = ((size - 1).bit_length() for size in (window.word_bytes, window.stride, window.size))
        return self.access.address[low:middle], self.access.address[middle:high]

    def _write(self, m: Module, written: Signal, begins: Signal, ends: Signal) -> None:
        """Collects the accesses of a word."""
        access, load = self.access, self.load
        most_lanes = max(window.lanes for window in self._written)
        # What was written of a word that has begun, and the number of the access of 32 bits that must be next.
        staged = Signal(REGISTER_BITS * (most_lanes - 1), reset_less=True)
        staged_lanes = Signal(range(most_lanes))
        following = Signal(len(access.address) - 2, reset_less=True)
        number = access.address[2:]

        right = access.write & access.strobe.all() & (begins | ((staged_lanes != 0) & (number == following)))
        m.d.comb += load.payload.data.eq(access.data)
        if most_lanes > 1:
            before = Signal.like(staged)
            m.d.comb += before.eq(Mux(begins, 0, staged))
            with m.Switch(Mux(begins, 0, staged_lanes)):
                for lane in range(most_lanes):
                    with m.Case(lane):
                        m.d.comb += load.payload.data.eq(Cat(before[: lane * REGISTER_BITS], access.data))
        with m.If(access.valid & written):
            m.d.comb += access.refusal.eq(Mux(right, Refusal.NONE, Refusal.ILLEGAL))
            with m.If(right & ends):
                m.d.comb += [load.valid.eq(1), access.done.eq(load.ready)]
            with m.If(right & ~ends):
                m.d.sync += [
                    staged.eq(load.payload.data),
                    staged_lanes.eq(Mux(begins, 1, staged_lanes + 1)),
                    following.eq(number + 1),
                ]
            with m.Elif(access.done):
                m.d.sync += staged_lanes.eq(0)

    def _read_results(self, m: Module) -> None:
        access = self.access
        asked = Signal()
        entry, instance = self._place(self._read)
        result = self.result.payload
        answer: Value = result.as_signed() if self._read.signed else result
        if self._read.lanes > 1:
            # Each access reads the whole word, and takes its part.
            lane = access.address[2 : (self._read.word_bytes - 1).bit_length()]
            answer = result.word_select(lane, REGISTER_BITS)
        with m.If(access.valid & self._hit(self._read)):
            with m.If(access.write):
                m.d.comb += access.refusal.eq(Refusal.ILLEGAL)
            with m.Else():
                m.d.comb += [
                    access.refusal.eq(Refusal.NONE),
                    self.read.valid.eq(~asked),
                    access.done.eq(self.result.valid & asked),
                    access.answer.eq(answer),
                ]
        with m.If(self.read.valid & self.read.ready):
            m.d.sync += asked.eq(1)
        with m.If(self.result.valid & self.result.ready):
            m.d.sync += asked.eq(0)
        m.d.comb += [
            self.read.payload.instance.eq(instance),
            self.read.payload.address.eq(entry),
            self.result.ready.eq(asked),
        ]
