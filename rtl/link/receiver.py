"""From the bytes of the line to requests that were checked."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import crc, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.link.cobs import CobsDecoder
from zeroskip.rtl.link.protocol import CRC_BYTES, HEAD, RECORD_HEAD, REFUSED_RECORD, LinkError
from zeroskip.rtl.ports import write_port

CRC32 = crc.catalog.CRC32_ISO_HDLC(data_width=1)
"""The checksum of every frame, that of zlib.crc32. It is computed bit by bit, from the lowest of each byte on: a serial
line is slower than that."""

SPARE = 8
"""Bytes of the buffer that are never used: a record's head, and what is written until `room` is seen to be low."""

MOST_BUFFER = 2 * REFUSED_RECORD
"""The most bytes of a buffer."""


def longest_content(buffer: int) -> int:
    """The most bytes of a frame's content, without its checksum, that a buffer of `buffer` bytes takes: half of it."""
    return buffer // 2 - SPARE - CRC_BYTES


class Receiver(wiring.Component):
    """Checks frames, and leaves those that are whole in a buffer.

    The buffer is a ring of records: a head of RECORD_HEAD bytes, and the content of the frame. A frame is written
    behind the last record, and becomes one when its checksum is known to be right. Otherwise its place is used again,
    and a head alone tells the error.

        released           committed          written
           |  head | content  |  head | content  |
           +------------------+------------------+

    Frames of more than longest_content(buffer) bytes are refused.

    Throughput: one byte in nine cycles, and three cycles more for each frame. `i` waits while the buffer is full.

    Parameters
    ----------
    buffer : int
        Bytes of the buffer, a power of two from 64 to 65,536. ValueError for others.

    Ports
    -----
    i : stream of 8, in
        Stuffed bytes.
    broken : 1, in
        High for a cycle when the line reports an error: the frame that comes is refused.
    write : write_port(buffer, 8), out
        Writes the buffer.
    committed : bits_for(buffer), out
        The records end before this place.
    released : bits_for(buffer), in
        Records before this place were read.
    """

    def __init__(self, buffer: int) -> None:
        # Of a larger one, a record could not tell the length of the longest frame.
        if not 64 <= buffer <= MOST_BUFFER or buffer & (buffer - 1):
            raise ValueError(f"buffer must be a power of two from 64 to {MOST_BUFFER}, not {buffer}")
        self.buffer = buffer
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "broken": In(1),
                "write": Out(write_port(buffer, 8)),
                "committed": Out(bits_for(buffer)),
                "released": In(bits_for(buffer)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.crc = check = CRC32.create()
        wiring.connect(m, wiring.flipped(self.i), decoder.i)
        at = Signal(bits_for(self.buffer), init=RECORD_HEAD)
        # Of the content: the checksum is not a part of the record.
        length = Signal(bits_for(self.buffer), init=(-CRC_BYTES) % self.buffer)
        cut = Signal()
        too_long = Signal()
        broken = Signal()
        room = Signal()
        refused = Signal()
        error = Signal(LinkError.LINE.bit_length())
        beyond = Signal.like(at)
        beat = decoder.o.payload

        # Between the ends lie the records and the current frame.
        m.d.sync += room.eq((at - self.released)[: len(at)] < self.buffer - SPARE)
        byte = Signal(8)
        bits_left = Signal(range(9))
        m.d.comb += [check.data.eq(byte[0]), self.write.addr.eq(at), self.write.data.eq(beat.data)]
        with m.FSM():
            with m.State("Frame"):
                m.d.comb += decoder.o.ready.eq(room)
                m.d.sync += [byte.eq(beat.data), bits_left.eq(8)]
                with m.If(decoder.o.valid & room):
                    with m.If(beat.end):
                        m.d.sync += cut.eq(beat.cut)
                        m.next = "Judge"
                    with m.Elif(length == longest_content(self.buffer)):
                        m.d.sync += too_long.eq(1)
                    with m.Else():
                        m.d.comb += self.write.en.eq(1)
                        m.d.sync += [at.eq(at + 1), length.eq(length + 1)]
                        m.next = "Check"
            with m.State("Check"):
                m.d.comb += check.valid.eq(1)
                m.d.sync += [byte.eq(byte >> 1), bits_left.eq(bits_left - 1)]
                with m.If(bits_left == 1):
                    m.next = "Frame"
            with m.State("Judge"):
                m.d.comb += check.start.eq(1)
                m.d.sync += [too_long.eq(0), broken.eq(0), refused.eq(0)]

                def refuse(why: LinkError) -> None:
                    m.d.sync += [refused.eq(1), error.eq(why)]

                with m.If(broken):
                    refuse(LinkError.LINE)
                with m.Elif(cut):
                    refuse(LinkError.CUT)
                with m.Elif(too_long):
                    refuse(LinkError.LONG)
                with m.Elif(length[-1] | (length < HEAD)):
                    refuse(LinkError.SHORT)
                with m.Elif(~check.match_detected):
                    refuse(LinkError.CRC)
                m.next = "Low"
            with m.State("Low"):
                m.d.comb += [
                    self.write.en.eq(1),
                    self.write.addr.eq(self.committed),
                    self.write.data.eq(Mux(refused, error, length[:8])),
                ]
                m.next = "High"
            with m.State("High"):
                m.d.comb += [
                    self.write.en.eq(1),
                    self.write.addr.eq(self.committed + 1),
                    self.write.data.eq(Mux(refused, REFUSED_RECORD >> 8, length[8:])),
                    beyond.eq(self.committed + RECORD_HEAD),
                ]
                with m.If(~refused):
                    m.d.comb += beyond.eq(at - CRC_BYTES)
                m.d.sync += [self.committed.eq(beyond), at.eq(beyond + RECORD_HEAD), length.eq(-CRC_BYTES)]
                m.next = "Frame"
        # An error while a frame is judged belongs to the next one.
        with m.If(self.broken):
            m.d.sync += broken.eq(1)
        return m
