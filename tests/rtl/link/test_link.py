"""The link with a core of a few registers: what each request does, what each wrong frame does not do."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out
from support import links
from support.bench import Bench
from support.links import answer, contents, frame, identify, read, refused, run, status, write

from zeroskip.rtl.link.boot import boot_records
from zeroskip.rtl.link.link import Link
from zeroskip.rtl.link.ports import CoreSizes
from zeroskip.rtl.link.receiver import Receiver, longest_content

SIZES = CoreSizes(target=2, address=4, data=20, start=10, read=4, result=20)
TEXT = b'{"core":"of the test"}'
BUFFER = 128
TAKES_FOREVER = 0x3FF


class LinkedRegisters(wiring.Component):
    """A link, and a core of 16 words: target 0 writes them, others do nothing, and words for target 1 count as lasting.
    A start with n is done after n cycles, and its flags are the low byte of word 0."""

    def __init__(self, boot: bytes) -> None:
        self.boot = boot
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "broken": In(1),
                "reset": In(1),
                "o": Out(stream.Signature(8)),
                "writes": Out(16),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        link = Link(SIZES, text=TEXT, records=self.boot, buffer=BUFFER)
        m.submodules.link = ResetInserter(self.reset)(link)
        m.submodules.words = words = memory.Memory(shape=20, depth=16, init=[])
        wiring.connect(m, wiring.flipped(self.i), link.i)
        wiring.connect(m, link.o, wiring.flipped(self.o))
        core, store, show = link.core, words.write_port(), words.read_port(domain="comb")
        first = Signal(20)
        left = Signal(10)
        m.d.comb += [
            link.broken.eq(self.broken),
            core.load.ready.eq(1),
            store.en.eq(core.load.valid & (core.load.payload.target == 0)),
            store.addr.eq(core.load.payload.address),
            store.data.eq(core.load.payload.data),
            core.lasting.eq(core.load.payload.target == 1),
            core.idle.eq(left == 0),
            core.start.ready.eq(1),
            core.done.eq(left == 1),
            core.flags.eq(first[:8]),
            core.read.ready.eq(~core.result.valid),
            show.addr.eq(core.read.payload),
        ]
        with m.If(core.load.valid):
            m.d.sync += self.writes.eq(self.writes + 1)
        with m.If(store.en & (store.addr == 0)):
            m.d.sync += first.eq(store.data)
        with m.If(left.any() & (left != TAKES_FOREVER)):
            m.d.sync += left.eq(left - 1)
        with m.If(core.start.valid):
            m.d.sync += left.eq(core.start.payload)
        with m.If(core.result.ready):
            m.d.sync += core.result.valid.eq(0)
        with m.If(core.read.valid & core.read.ready):
            m.d.sync += [core.result.valid.eq(1), core.result.payload.eq(show.data)]
        return m


@dataclass
class Talk:
    answers: list[bytes]
    writes: int
    """Words that reached the core."""


def rtl_link(
    sent: bytes,
    answers: int,
    *,
    boot: bytes = bytes(2),
    broken_at: int | None = None,
    reset_at: int | None = None,
    o_pause: float = 0.0,
) -> Talk:
    """What comes back; `broken_at` is the byte that comes when the line reports an error, and `reset_at` the byte
    before which the link is reset, when all is quiet."""
    dut = LinkedRegisters(boot)
    bench = Bench(dut)
    come = bytearray()
    writes = []

    async def send(ctx: Any) -> None:
        for at, byte in enumerate(sent):
            if at == reset_at:
                await ctx.tick().repeat(1000)
                ctx.set(dut.reset, 1)
                await ctx.tick()
                ctx.set(dut.reset, 0)
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.broken, at == broken_at)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
                ctx.set(dut.broken, 0)
        ctx.set(dut.i.valid, 0)

    async def take(ctx: Any) -> None:
        while come.count(0) < answers:
            ready = bench.random.random() >= o_pause
            ctx.set(dut.o.ready, ready)
            _, _, valid, byte, count = await ctx.tick().sample(dut.o.valid, dut.o.payload, dut.writes)
            if valid and ready:
                come.append(byte)
        # No more than these.
        for _ in range(200):
            _, _, valid, count = await ctx.tick().sample(dut.o.valid, dut.writes)
            assert not valid
        writes.append(count)

    bench.add(send)
    bench.add(take)
    bench.run(limit=60_000)
    return Talk(contents(bytes(come)), writes[0])


def ask(*requests: bytes, **more: Any) -> Talk:
    """Sends frames, of which each is answered, after one that asks who the board is, as request 0."""
    talk = rtl_link(b"".join(map(frame, [identify(0), *requests])), 1 + len(requests), **more)
    assert talk.answers[0] == answer(identify(0)) + TEXT
    return Talk(talk.answers[1:], talk.writes)


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(3, "little") for value in values)


def test_writes_and_reads() -> None:
    written = [write(1, 0, 3, 3, 0xABCDE, 0x12345), write(2, 0, 5, 1, 7, 8, 9), write(3, 0, 8, 2, 0x0102)]
    asked = [read(4, 3, 6), read(5, 4, 1)]
    talk = ask(*written, *asked)
    assert talk.answers == [
        *map(answer, written),
        answer(asked[0]) + words(0xABCDE, 0x12345, 7, 8, 9, 0x0102),
        answer(asked[1]) + words(0x12345),
    ]
    assert talk.writes == 6


@pytest.mark.parametrize("o_pause", [0.0, 0.9])
def test_a_reader_that_pauses_changes_nothing(o_pause: float) -> None:
    filled = write(1, 0, 0, 3, *range(1000, 1014))
    talk = ask(filled, read(2, 0, 14), read(3, 8, 2), o_pause=o_pause)
    assert talk.answers[1:] == [
        answer(read(2, 0, 14)) + words(*range(1000, 1014)),
        answer(read(3, 8, 2)) + words(1008, 1009),
    ]


def test_a_run_tells_flags_and_cycles() -> None:
    start = run(2, struct.pack("<H", 37))
    talk = ask(write(1, 0, 0, 3, 0x1A5), start, status(3))
    assert talk.answers[1:] == [
        answer(start) + struct.pack("<BI", 0xA5, 37),
        answer(status(3)) + struct.pack("<BIH", 1, 37, 0),
    ]


@pytest.mark.parametrize(("cycles", "answers"), [(50, [bytes([4, 1])]), (51, [refused(1, links.LIMIT, 1)])])
def test_the_limit_is_the_most_cycles(cycles: int, answers: list[bytes]) -> None:
    talk = ask(run(1, struct.pack("<H", cycles), limit=50))
    assert [one[: len(answers[0])] for one in talk.answers] == answers


def test_a_run_that_does_not_end() -> None:
    """It is refused at its limit; what needs the core is refused, too, and the rest goes on."""
    hung = run(1, struct.pack("<H", TAKES_FOREVER), limit=50)
    talk = ask(hung, status(1), write(2, 0, 0, 1, 1), read(2, 0, 1), run(2, b"\x01\0"), identify(7), status(8))
    assert talk.answers == [
        refused(1, links.LIMIT, 1),
        answer(status(1)) + struct.pack("<BIH", 0, 51, 1),
        *3 * [refused(2, links.BUSY, 2)],
        answer(identify(7)) + TEXT,
        answer(status(8)) + struct.pack("<BIH", 0, 51, 4),
    ]
    assert talk.writes == 0


@pytest.mark.parametrize("limit", [37, 38])
def test_the_cycles_of_an_earlier_run_do_not_count(limit: int) -> None:
    first, second = run(1, struct.pack("<H", limit)), run(2, struct.pack("<H", 37), limit=limit)
    talk = ask(first, second, status(3))
    assert talk.answers[1:] == [
        answer(second) + struct.pack("<BI", 0, 37),
        answer(status(3)) + struct.pack("<BIH", 1, 37, 0),
    ]


def test_the_state_tells_that_lasting_words_were_written() -> None:
    """Those of the boot memory do not count, nor do words that belong to one run alone, nor a refused request."""
    boot = boot_records([write(0, 1, 0, 1, 5)])
    before = [write(1, 0, 0, 1, 7), write(9, 1, 0, 1, 5), status(2)]
    talk = ask(*before, write(3, 1, 0, 1, 5), status(4), write(5, 0, 0, 1, 7), status(6), boot=boot)
    states = [one[2] for one in talk.answers if one[0] == links.STATUS]
    assert states == [0b01, 0b11, 0b11]


def test_a_reset_does_not_clear_that_lasting_words_were_written() -> None:
    """The memories keep them, too."""
    before = frame(identify(0)) + frame(write(1, 1, 0, 1, 5))
    talk = rtl_link(before + frame(status(0)), 3, reset_at=len(before))
    assert talk.answers[2] == answer(status(0)) + struct.pack("<BIH", 0b11, 0, 0)


REFUSED_REQUESTS = {
    "no such command": (bytes([9, 1]), links.COMMAND),
    "a command of zero": (bytes([0, 1]), links.COMMAND),
    "an answer": (bytes([255, 1, 1, 1]), links.COMMAND),
    "identify with fields": (identify(1) + b"x", links.LENGTH),
    "status with fields": (status(1) + b"x", links.LENGTH),
    "read without its count": (read(1, 0, 1)[:-1], links.LENGTH),
    "read with more": (read(1, 0, 1) + b"x", links.LENGTH),
    "run without its start": (run(1, b""), links.LENGTH),
    "run with half of it": (run(1, b"x"), links.LENGTH),
    "run with more": (run(1, b"xyz"), links.LENGTH),
    "write without words": (write(1, 0, 0, 3), links.LENGTH),
    "write with a part of a word": (write(1, 0, 0, 3, 1, 2) + b"x", links.LENGTH),
    "write with less than a word": (write(1, 0, 0, 3) + b"x", links.LENGTH),
    "write of words of no byte": (write(1, 0, 0, 0) + b"x", links.FIELD),
    "write of words that are too wide": (write(1, 0, 0, 4, 1), links.FIELD),
    "write to no memory": (write(1, 4, 0, 3, 1), links.FIELD),
    "write to no address": (write(1, 0, 16, 3, 1), links.FIELD),
    "write to no address, far away": (write(1, 0, 1 << 31, 3, 1), links.FIELD),
    "read of nothing": (read(1, 0, 0), links.FIELD),
    "read of no address": (read(1, 16, 1), links.FIELD),
    "another number": (status(2), links.NUMBER),
    "the same number again": (status(0), links.NUMBER),
    "another number, to a memory": (write(3, 0, 0, 3, 1), links.NUMBER),
}


@pytest.mark.parametrize("name", REFUSED_REQUESTS)
def test_a_wrong_request_is_named_and_has_no_effect(name: str) -> None:
    request, error = REFUSED_REQUESTS[name]
    talk = ask(request, status(1))
    assert talk.answers == [refused(request[1], error, 1), answer(status(1)) + struct.pack("<BIH", 1, 0, 1)]
    assert talk.writes == 0


def test_after_a_refusal_nothing_is_obeyed_before_its_number_comes() -> None:
    """A run must not use inputs that were lost."""
    lost, later = bytes([9, 1]), [write(2, 0, 0, 3, 5), run(3, b"\x05\0"), read(4, 0, 1)]
    talk = ask(lost, *later, write(1, 0, 1, 3, 6))
    assert talk.answers == [
        refused(1, links.COMMAND, 1),
        *(refused(number, links.NUMBER, 1) for number in (2, 3, 4)),
        answer(write(1, 0, 1, 3, 6)),
    ]
    assert talk.writes == 1


def test_numbers_go_round() -> None:
    talk = ask(identify(254), status(255), status(0), status(1))
    assert [one[:2] for one in talk.answers] == [bytes([1, 254]), bytes([5, 255]), bytes([5, 0]), bytes([5, 1])]


def damaged(content: bytes) -> dict[str, tuple[bytes, int]]:
    whole = frame(content)
    long = bytes(longest_content(BUFFER) + 1)
    return {
        "a wrong checksum": (frame(content[:-1] + bytes([content[-1] ^ 1]))[:-3] + whole[-3:], links.CRC),
        "no content": (b"\x01\0", links.SHORT),
        "a checksum alone": (links.cobs.encode(bytes(4)) + b"\0", links.SHORT),
        "one byte": (frame(b"\x05"), links.SHORT),
        "too long": (frame(long), links.LONG),
        "far too long": (frame(b"\x02" * 1000), links.LONG),
        "cut": (whole[:2] + b"\0", links.CUT),
    }


@pytest.mark.parametrize("name", damaged(bytes(2)))
def test_a_damaged_frame_is_named_and_has_no_effect(name: str) -> None:
    wrong, error = damaged(write(1, 0, 0, 3, 0x11111, 0x22222, 0x33333))[name]
    sent = frame(identify(0)) + wrong + frame(status(1)) + frame(write(2, 0, 2, 3, 9)) + frame(read(3, 2, 1))
    talk = rtl_link(sent, 5)
    assert talk.answers[1:] == [
        refused(0, error, 1),
        answer(status(1)) + struct.pack("<BIH", 1, 0, 1),
        answer(write(2, 0, 2, 3, 9)),
        answer(read(3, 2, 1)) + words(9),
    ]
    assert talk.writes == 1


def test_the_longest_frame_is_obeyed() -> None:
    values = [index % 251 for index in range(longest_content(BUFFER) - 9)]
    full = write(1, 1, 0, 1, *values)
    assert len(full) == longest_content(BUFFER)
    talk = ask(full, status(2))
    assert talk.answers[0] == answer(full)
    assert talk.writes == len(values)


def test_an_error_of_the_line_refuses_the_frame_that_comes() -> None:
    first = frame(identify(0))
    sent = first + frame(write(1, 0, 0, 3, 5)) + frame(status(1))
    talk = rtl_link(sent, 3, broken_at=len(first) + 4)
    assert talk.answers[1:] == [refused(0, links.LINE, 1), answer(status(1)) + struct.pack("<BIH", 1, 0, 1)]
    assert talk.writes == 0


def test_empty_frames_are_not_answered() -> None:
    talk = rtl_link(b"\0\0" + frame(identify(3)) + b"\0\0\0" + frame(status(4)) + b"\0", 2)
    assert [one[:2] for one in talk.answers] == [identify(3), status(4)]


def test_the_boot_memory_comes_first() -> None:
    """Its requests are obeyed without answers, whatever their numbers; then it is as after any reset."""
    boot = boot_records([write(0, 0, 1, 2, 0xBEE, 0xCAFE), write(0, 0, 9, 1, 4)]) + bytes(5)
    asked = [read(1, 1, 2), read(2, 9, 1), status(3)]
    talk = ask(*asked, boot=boot)
    assert talk.answers == [
        answer(asked[0]) + words(0xBEE, 0xCAFE),
        answer(asked[1]) + words(4),
        answer(asked[2]) + struct.pack("<BIH", 1, 0, 0),
    ]
    assert talk.writes == 3


@pytest.mark.parametrize("size", [1 << 15, 40_000])
def test_a_record_longer_than_its_length_can_tell_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"^a request of the boot memory must have at most 32767 bytes, not {size}$"):
        boot_records([bytes(size)])


@pytest.mark.parametrize("buffer", [32, 100, 131_072])
def test_a_buffer_holds_frames_whose_length_can_be_told(buffer: int) -> None:
    with pytest.raises(ValueError, match=rf"^buffer must be a power of two from 64 to 65536, not {buffer}$"):
        Receiver(buffer)


def test_widths_must_fit_the_protocol() -> None:
    with pytest.raises(ValueError, match=r"^target must be from 1 to 16 bits, not 17$"):
        CoreSizes(target=17, address=1, data=1, start=1, read=1, result=1)
