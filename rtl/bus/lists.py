"""Lists of descriptors in memory, which load a network and images into the EIE array and write its results back."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS
from zeroskip.rtl.bus.axi import MEMORY_ADDRESS_BITS, axi_memory
from zeroskip.rtl.bus.bursts import BurstReader, BurstWriter
from zeroskip.rtl.bus.ports import Refusal, access_port, beat_stream
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES

BEAT_VALUES = REGISTER_BITS // VALUE_BITS
"""Values of a word of the memory, and of a beat of images and results."""

DESCRIPTOR_BYTES = 16

_BEAT = (BEAT_VALUES - 1).bit_length()
_VALUE = (VALUE_BITS // 8 - 1).bit_length()
_WORD = (REGISTER_BYTES - 1).bit_length()
_DESCRIPTOR = (DESCRIPTOR_BYTES - 1).bit_length()
"""Bits of a number of values in a word, and of bytes in a value, a word and a descriptor."""


class DescriptorKind(IntEnum):
    """What a descriptor does."""

    LOAD = 0
    """Writes the words to the registers and windows, from an address of the core on."""
    IMAGE = 1
    """Runs an image, as soon as the images before it have run."""
    RESULT = 2
    """Writes the next result back, as soon as it is there."""


class ListError(IntEnum):
    """How a list has ended."""

    NONE = 0
    """All its descriptors are done."""
    DESCRIPTOR = 1
    """The memory answered the read of a descriptor by an error."""
    READ = 2
    """The memory answered the read of words or of an image by an error."""
    WRITE = 3
    """The memory answered the write of a result by an error."""
    ADDRESS = 4
    """A descriptor is not at a multiple of 16, an address in it not at a multiple of 4, or a target not in the core."""
    LENGTH = 5
    """Words of which there is none, or a part of one; an image or a result with another length than INPUTS or OUTPUTS
    values."""
    KIND = 6
    """There is no such kind of descriptor."""
    REFUSED = 7
    """The core refused a word: an event tells why."""
    ORDER = 8
    """A result of an image that the list has not given; or an image for which there is room only when an earlier result
    has been written back."""
    STOPPED = 9
    """LIST_STOP was written."""


def descriptor_layout() -> data.StructLayout:
    """A descriptor in memory, little-endian. `length` is in bytes; `target` is the byte address in the core from which
    on LOAD writes. `following` is the address of the next descriptor, or zero at the end."""
    return data.StructLayout(
        {
            "following": MEMORY_ADDRESS_BITS,
            "address": MEMORY_ADDRESS_BITS,
            "length": MEMORY_ADDRESS_BITS,
            "target": REGISTER_BITS - 4,
            "kind": 4,
        }
    )


class _State(enum.Enum, shape=unsigned(4)):  # type: ignore[call-arg]
    REST = 0
    CHECK = 1
    FETCH = 2
    DECODE = 3
    LOAD = 4
    IMAGE = 5
    RESULT = 6
    FOLLOW = 7
    CLEAN = 8


class ListRunner(wiring.Component):
    """Works on the descriptors of a list, one after the other, until the last one, an error or a stop.

    IMAGE is done when the image has come in, so that the one behind it is fetched while the array runs. In the end,
    and after an error, images that have not begun are forgotten, results are thrown away, and the list ends when the
    core is at rest.

    Latency: about eight cycles for a descriptor, and what the memory takes. Throughput: a word of an image or a result
    a cycle, a word for the core in four.

    Parameters
    ----------
    address_bits
        Bits of an address of the core.
    values
        The most values of an image or a result.

    Ports
    -----
    start : 1, in
        Starts a list, while `running` is low.
    first : 32, in
        The address of its first descriptor.
    stop : 1, in
        The list ends behind the descriptor at work.
    inputs : bits_for(values + 1), in
        Values of an image. It stands still while images and results are under way.
    outputs : bits_for(values + 1), in
        Values of a result.
    full : 1, in
        Results wait to be taken, and the core does nothing before.
    idle : 1, in
        The core is at rest: no image, run or result is in it.
    access : access_port, out
        Accesses to the core.
    images : stream of beat_layout, out
        Images.
    results : stream of beat_layout, in
        Results.
    memory : axi_memory, out
        The memory.
    running : 1, out
        A list is under way.
    flush : 1, out
        Images that have not begun are to be forgotten.
    at : 32, out
        The address of the descriptor at work, or of that at which the last list has ended.
    error : ListError, out
        How the last list has ended.
    ended : 1, out
        High for one cycle when a list has ended.
    """

    def __init__(self, *, address_bits: int, values: int) -> None:
        beats = beat_stream(BEAT_VALUES, VALUE_BITS)
        super().__init__(
            {
                "start": In(1),
                "first": In(MEMORY_ADDRESS_BITS),
                "stop": In(1),
                "inputs": In(bits_for(values + 1)),
                "outputs": In(bits_for(values + 1)),
                "full": In(1),
                "idle": In(1),
                "access": Out(access_port(address_bits)),
                "images": Out(beats),
                "results": In(beats),
                "memory": Out(axi_memory()),
                "running": Out(1),
                "flush": Out(1),
                "at": Out(MEMORY_ADDRESS_BITS),
                "error": Out(ListError),
                "ended": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.reader = reader = BurstReader()
        m.submodules.writer = writer = BurstWriter()
        for part in (reader, writer):
            for name, member in part.memory.signature.members.items():
                outside, inside = getattr(self.memory, name), getattr(part.memory, name)
                m.d.comb += inside.eq(outside) if member.flow is In else outside.eq(inside)
        state = Signal(_State)
        described = Signal(descriptor_layout())
        stopping = Signal()
        m.d.comb += [self.running.eq(state != _State.REST), self.flush.eq(state == _State.CLEAN)]
        with m.If(self.stop):
            m.d.sync += stopping.eq(1)

        def end(error: ListError) -> None:
            m.d.sync += [self.error.eq(error), state.eq(_State.CLEAN)]

        with m.Switch(state):
            with m.Case(_State.REST):
                with m.If(self.start):
                    m.d.sync += [self.at.eq(self.first), stopping.eq(0), state.eq(_State.CHECK)]
                    m.d.sync += self.error.eq(ListError.NONE)
            with m.Case(_State.CHECK):
                m.d.comb += [
                    reader.start.payload.address.eq(self.at),
                    reader.start.payload.words.eq(DESCRIPTOR_BYTES // REGISTER_BYTES),
                ]
                with m.If(self.at[:_DESCRIPTOR] != 0):
                    end(ListError.ADDRESS)
                with m.Else():
                    m.d.comb += reader.start.valid.eq(1)
                    m.d.sync += state.eq(_State.FETCH)
            with m.Case(_State.FETCH):
                m.d.comb += reader.o.ready.eq(1)
                with m.If(reader.o.valid):
                    shifted = Cat(described.as_value()[REGISTER_BITS:], reader.o.payload.data)
                    m.d.sync += described.as_value().eq(shifted)
                with m.If(reader.done):
                    m.d.sync += state.eq(_State.DECODE)
                    with m.If(reader.failed):
                        end(ListError.DESCRIPTOR)
            with m.Case(_State.DECODE):
                self._decode(m, state, described, reader, writer, end)
            with m.Case(_State.LOAD):
                self._load(m, state, described, reader, end)
            with m.Case(_State.IMAGE):
                self._image(m, state, reader, end)
            with m.Case(_State.RESULT):
                self._result(m, state, writer, end)
            with m.Case(_State.FOLLOW):
                with m.If(stopping):
                    end(ListError.STOPPED)
                with m.Elif(described.following == 0):
                    end(ListError.NONE)
                with m.Else():
                    m.d.sync += [self.at.eq(described.following), state.eq(_State.CHECK)]
            with m.Case(_State.CLEAN):
                m.d.comb += self.results.ready.eq(1)
                with m.If(self.idle):
                    m.d.comb += self.ended.eq(1)
                    m.d.sync += state.eq(_State.REST)
        return m

    def _decode(
        self, m: Module, state: Signal, described: Any, reader: BurstReader, writer: BurstWriter, end: Any
    ) -> None:
        """Checks a descriptor, and begins its transfer."""

        def whole(values: Value) -> Value:
            """Words of so many values."""
            return (values + BEAT_VALUES - 1) >> _BEAT

        reads, writes, length = Signal(), Signal(), Signal()
        m.d.comb += [
            reader.start.payload.address.eq(described.address),
            writer.start.payload.address.eq(described.address),
            writer.start.payload.words.eq(whole(self.outputs)),
        ]
        with m.Switch(described.kind):
            with m.Case(DescriptorKind.LOAD.value):
                words = described.length[_WORD:]
                m.d.comb += [
                    reads.eq(1),
                    reader.start.payload.words.eq(words),
                    length.eq((words != 0) & (described.length[:_WORD] == 0)),
                ]
            with m.Case(DescriptorKind.IMAGE.value):
                m.d.comb += [
                    reads.eq(1),
                    reader.start.payload.words.eq(whole(self.inputs)),
                    length.eq(described.length == self.inputs << _VALUE),
                ]
            with m.Case(DescriptorKind.RESULT.value):
                m.d.comb += [writes.eq(1), length.eq(described.length == self.outputs << _VALUE)]
        with m.If(~reads & ~writes):
            end(ListError.KIND)
        with m.Elif((described.address[:_WORD] != 0) | self._wrong_target(described)):
            end(ListError.ADDRESS)
        with m.Elif(~length):
            end(ListError.LENGTH)
        with m.Elif(writes):
            m.d.comb += writer.start.valid.eq(1)
            m.d.sync += state.eq(_State.RESULT)
        with m.Else():
            m.d.comb += reader.start.valid.eq(1)
            m.d.sync += state.eq(Mux(described.kind == DescriptorKind.LOAD, _State.LOAD, _State.IMAGE))

    def _wrong_target(self, described: Any) -> Value:
        beyond = described.target >> len(self.access.address) != 0
        return (described.kind == DescriptorKind.LOAD) & (beyond | (described.target[:_WORD] != 0))

    def _load(self, m: Module, state: Signal, described: Any, reader: BurstReader, end: Any) -> None:
        """Words go to the core one after the other."""
        access = self.access
        ended, refused, failed = Signal(), Signal(), Signal()
        m.d.comb += [
            access.write.eq(1),
            access.address.eq(described.target),
            access.strobe.eq(-1),
            reader.o.ready.eq(~access.valid),
            reader.cancel.eq(access.valid & access.done & (access.refusal != Refusal.NONE) & ~ended),
        ]
        with m.If(reader.o.valid & reader.o.ready):
            m.d.sync += [access.valid.eq(1), access.data.eq(reader.o.payload.data)]
        with m.If(reader.done):
            m.d.sync += [ended.eq(1), failed.eq(reader.failed)]
        with m.If(access.valid & access.done):
            m.d.sync += [access.valid.eq(0), described.target.eq(described.target + REGISTER_BYTES)]
            with m.If(access.refusal != Refusal.NONE):
                m.d.sync += refused.eq(1)
        with m.If(ended & ~access.valid):
            m.d.sync += [ended.eq(0), refused.eq(0), failed.eq(0), state.eq(_State.FOLLOW)]
            with m.If(refused):
                end(ListError.REFUSED)
            with m.Elif(failed):
                end(ListError.READ)

    def _image(self, m: Module, state: Signal, reader: BurstReader, end: Any) -> None:
        """Words are beats of the image. One that would wait for ever is cancelled."""
        beat = self.images.payload
        stuck, waits = Signal(), Signal()
        last = reader.o.payload.last
        half = self.inputs[:_BEAT] != 0
        m.d.comb += [
            beat.data.eq(reader.o.payload.data),
            beat.last.eq(last),
            beat.keep.eq(Mux(last & half, (1 << VALUE_BITS // 8) - 1, (1 << REGISTER_BYTES) - 1)),
            self.images.valid.eq(reader.o.valid),
            reader.o.ready.eq(self.images.ready),
            waits.eq(self.images.valid & ~self.images.ready & self.full),
            reader.cancel.eq(stuck),
        ]
        with m.If(waits):
            m.d.sync += stuck.eq(1)
        with m.If(reader.done):
            m.d.sync += [stuck.eq(0), state.eq(_State.FOLLOW)]
            with m.If(stuck):
                end(ListError.ORDER)
            with m.Elif(reader.failed):
                end(ListError.READ)

    def _result(self, m: Module, state: Signal, writer: BurstWriter, end: Any) -> None:
        """Beats of the result are words. One that does not come is not waited for."""
        m.d.comb += [
            writer.i.valid.eq(self.results.valid),
            writer.i.payload.data.eq(self.results.payload.data),
            writer.i.payload.strobe.eq(self.results.payload.keep),
            self.results.ready.eq(writer.i.ready),
        ]
        nothing = Signal()
        # A result that has come may have been taken whole, while its write is not answered.
        begun = Signal()
        m.d.comb += [nothing.eq(self.idle & ~self.results.valid & ~begun), writer.cancel.eq(nothing)]
        with m.If(self.results.valid):
            m.d.sync += begun.eq(1)
        with m.If(nothing):
            end(ListError.ORDER)
        with m.Elif(writer.done):
            m.d.sync += [begun.eq(0), state.eq(_State.FOLLOW)]
            with m.If(writer.failed):
                end(ListError.WRITE)
