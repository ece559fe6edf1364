"""Words of a memory that is read and written over AXI4 in bursts."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.bus.axi import MEMORY_ADDRESS_BITS, axi_memory
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES

BURST_WORDS = 64
"""A burst ends where the next so many words begin: it never crosses 4 KiB, which the standard forbids."""

_WORD = (REGISTER_BYTES - 1).bit_length()
_INCREASING = 1
_BUFFERABLE = 3
_COUNT_BITS = BURST_WORDS.bit_length()


def transfer_layout() -> data.StructLayout:
    """Some words of the memory, at least one. The lowest two bits of `address`, which is in bytes, are zero."""
    return data.StructLayout({"address": MEMORY_ADDRESS_BITS, "words": MEMORY_ADDRESS_BITS - _WORD})


def memory_word_layout() -> data.StructLayout:
    """A word, and whether it is the last one of its transfer."""
    return data.StructLayout({"data": REGISTER_BITS, "last": 1})


def strobed_word_layout() -> data.StructLayout:
    """A word, and which of its bytes to write."""
    return data.StructLayout({"data": REGISTER_BITS, "strobe": REGISTER_BYTES})


def _members(*prefixes: str) -> dict[str, wiring.Member]:
    """The members of some channels of AXI4."""
    return {name: member for name, member in axi_memory().members.items() if name.startswith(prefixes)}


def axi_reads() -> wiring.Signature:
    """The channels of `axi_memory` that read: those whose names begin with ar or r.

    Members
    -------
    arid : 1, out
        As of `axi_memory`, like all others.
    araddr : 32, out
        Address.
    arlen : 8, out
        Words, less one.
    arsize : 3, out
        Bytes of a word.
    arburst : 2, out
        Kind of the burst.
    arcache : 4, out
        Kind of the memory.
    arprot : 3, out
        Protection.
    arvalid : 1, out
        It is there.
    arready : 1, in
        It is taken.
    rid : 1, in
        Ignored.
    rdata : 32, in
        A word.
    rresp : 2, in
        Response.
    rlast : 1, in
        The last one.
    rvalid : 1, in
        It is there.
    rready : 1, out
        It is taken.
    """
    return wiring.Signature(_members("ar", "r"))


def axi_writes() -> wiring.Signature:
    """The channels of `axi_memory` that write: those whose names begin with aw, w or b.

    Members
    -------
    awid : 1, out
        As of `axi_memory`, like all others.
    awaddr : 32, out
        Address.
    awlen : 8, out
        Words, less one.
    awsize : 3, out
        Bytes of a word.
    awburst : 2, out
        Kind of the burst.
    awcache : 4, out
        Kind of the memory.
    awprot : 3, out
        Protection.
    awvalid : 1, out
        It is there.
    awready : 1, in
        It is taken.
    wdata : 32, out
        A word.
    wstrb : 4, out
        Its bytes.
    wlast : 1, out
        The last one.
    wvalid : 1, out
        It is there.
    wready : 1, in
        It is taken.
    bid : 1, in
        Ignored.
    bresp : 2, in
        Response.
    bvalid : 1, in
        It is there.
    bready : 1, out
        It is taken.
    """
    return wiring.Signature(_members("aw", "w", "b"))


def _address(memory: Any, channel: str, address: Value, words: Value) -> list[Any]:
    """What a burst says of itself."""
    return [
        getattr(memory, f"{channel}addr").eq(address),
        getattr(memory, f"{channel}len").eq(words - 1),
        getattr(memory, f"{channel}size").eq(_WORD),
        getattr(memory, f"{channel}burst").eq(_INCREASING),
        getattr(memory, f"{channel}cache").eq(_BUFFERABLE),
    ]


class _Progress:
    """What of a transfer is left, and the words of the next burst."""

    def __init__(self, m: Module) -> None:
        self.address = Signal(MEMORY_ADDRESS_BITS)
        self.left = Signal(MEMORY_ADDRESS_BITS - _WORD)
        self.burst = Signal(_COUNT_BITS)
        place = self.address[_WORD : _WORD + _COUNT_BITS - 1]
        room = Signal(_COUNT_BITS)
        m.d.comb += [room.eq(BURST_WORDS - place), self.burst.eq(Mux(self.left < room, self.left, room))]

    def begin(self, transfer: Any) -> list[Any]:
        return [self.address.eq(transfer.address), self.left.eq(transfer.words)]

    def go_on(self) -> list[Any]:
        """Behind the next burst."""
        return [
            self.address.eq(self.address + Cat(Const(0, _WORD), self.burst)),
            self.left.eq(self.left - self.burst),
        ]


class _Read(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]
    REST = 0
    ASK = 1
    TAKE = 2


class BurstReader(wiring.Component):
    """Reads transfers, one at a time, in bursts of BURST_WORDS words at most, one at a time.

    A word that is answered by an error ends the transfer, and so does `cancel`: what still comes of its burst is
    ignored, and no other burst begins.

    Latency: a burst is asked for a cycle after its transfer, or the one before it, has come. Throughput: a word a cycle
    within a burst.

    Ports
    -----
    start : stream of transfer_layout, in
        What to read.
    cancel : 1, in
        The rest is not wanted; only from the cycle behind the start to that of `done`.
    o : stream of memory_word_layout, out
        Its words.
    done : 1, out
        High for one cycle when a transfer has ended; at the end of one without errors, with its last word.
    failed : 1, out
        With `done`: a word was answered by an error.
    memory : axi_reads, out
        The memory.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(stream.Signature(transfer_layout())),
                "cancel": In(1),
                "o": Out(stream.Signature(memory_word_layout())),
                "done": Out(1),
                "failed": Out(1),
                "memory": Out(axi_reads()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        memory = self.memory
        state = Signal(_Read)
        progress = _Progress(m)
        error, cancelled, drops, wrong = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            *_address(memory, "ar", progress.address, progress.burst),
            wrong.eq(memory.rresp[1]),
            drops.eq(error | cancelled | self.cancel),
            self.o.payload.data.eq(memory.rdata),
            self.o.payload.last.eq(memory.rlast & (progress.left == 0)),
            self.failed.eq(error | (wrong & ~cancelled & ~self.cancel)),
        ]
        with m.If(self.cancel):
            m.d.sync += cancelled.eq(1)
        with m.Switch(state):
            with m.Case(_Read.REST):
                m.d.comb += self.start.ready.eq(1)
                with m.If(self.start.valid):
                    m.d.sync += [*progress.begin(self.start.payload), state.eq(_Read.ASK)]
                    m.d.sync += [error.eq(0), cancelled.eq(0)]
            with m.Case(_Read.ASK):
                m.d.comb += memory.arvalid.eq(1)
                with m.If(memory.arready):
                    m.d.sync += [*progress.go_on(), state.eq(_Read.TAKE)]
            with m.Case(_Read.TAKE):
                m.d.comb += [
                    self.o.valid.eq(memory.rvalid & ~drops & ~wrong),
                    memory.rready.eq(self.o.ready | drops | wrong),
                ]
                with m.If(memory.rvalid & memory.rready):
                    with m.If(wrong & ~drops):
                        m.d.sync += error.eq(1)
                    with m.If(memory.rlast):
                        ends = drops | wrong | (progress.left == 0)
                        m.d.comb += self.done.eq(ends)
                        m.d.sync += state.eq(Mux(ends, _Read.REST, _Read.ASK))
        return m


class _Write(enum.Enum, shape=unsigned(3)):  # type: ignore[call-arg]
    REST = 0
    WAIT = 1
    ASK = 2
    SEND = 3
    ANSWER = 4


class BurstWriter(wiring.Component):
    """Writes transfers, one at a time, in bursts of BURST_WORDS words at most, each when its first word is there.

    A burst that is answered by an error ends the transfer; its other words are not taken.

    Latency: a burst is offered two cycles after its first word. Throughput: a word a cycle within a burst.

    Ports
    -----
    start : stream of transfer_layout, in
        What to write.
    cancel : 1, in
        No word will come; only while none of the transfer has.
    i : stream of strobed_word_layout, in
        Its words.
    done : 1, out
        High for one cycle when a transfer has ended, but not one that was cancelled.
    failed : 1, out
        With `done`: a burst was answered by an error.
    memory : axi_writes, out
        The memory.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(stream.Signature(transfer_layout())),
                "cancel": In(1),
                "i": In(stream.Signature(strobed_word_layout())),
                "done": Out(1),
                "failed": Out(1),
                "memory": Out(axi_writes()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        memory = self.memory
        state = Signal(_Write)
        progress = _Progress(m)
        count = Signal(_COUNT_BITS)
        m.d.comb += [
            *_address(memory, "aw", progress.address, progress.burst),
            memory.wdata.eq(self.i.payload.data),
            memory.wstrb.eq(self.i.payload.strobe),
            memory.wlast.eq(count == 1),
            self.failed.eq(memory.bresp[1]),
        ]
        with m.Switch(state):
            with m.Case(_Write.REST):
                m.d.comb += self.start.ready.eq(1)
                with m.If(self.start.valid):
                    m.d.sync += [*progress.begin(self.start.payload), state.eq(_Write.WAIT)]
            with m.Case(_Write.WAIT):
                with m.If(self.cancel):
                    m.d.sync += state.eq(_Write.REST)
                with m.Elif(self.i.valid):
                    m.d.sync += state.eq(_Write.ASK)
            with m.Case(_Write.ASK):
                m.d.comb += memory.awvalid.eq(1)
                with m.If(memory.awready):
                    m.d.sync += [*progress.go_on(), count.eq(progress.burst), state.eq(_Write.SEND)]
            with m.Case(_Write.SEND):
                m.d.comb += [memory.wvalid.eq(self.i.valid), self.i.ready.eq(memory.wready)]
                with m.If(self.i.valid & memory.wready):
                    m.d.sync += count.eq(count - 1)
                    with m.If(count == 1):
                        m.d.sync += state.eq(_Write.ANSWER)
            with m.Case(_Write.ANSWER):
                m.d.comb += memory.bready.eq(1)
                with m.If(memory.bvalid):
                    ends = memory.bresp[1] | (progress.left == 0)
                    m.d.comb += self.done.eq(ends)
                    m.d.sync += state.eq(Mux(ends, _Write.REST, _Write.WAIT))
        return m
