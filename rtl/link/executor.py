"""Obeys requests."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.link.cobs import BYTES
from zeroskip.rtl.link.ports import CoreSizes, core_port
from zeroskip.rtl.link.protocol import FIELDS, HEAD, REFUSED, Command, LinkError

REPLY_BYTES = 11
"""The most bytes of an answer, without results and text."""


class Executor(wiring.Component):
    """Obeys requests one after the other (zeroskip.rtl.link.protocol), and answers each.

    After a reset it obeys, without answers, those of the boot memory, which end with one of length zero. A request is
    looked at as a whole before it has an effect. A request that is refused is skipped.

    Parameters
    ----------
    sizes : CoreSizes
    text : int
        Bytes of the text at the beginning of the boot memory, which answers IDENTIFY.
    boot : int
        Bytes of the boot memory.

    Ports
    -----
    i : stream of 8, in
        Records of requests: those of the boot memory while `booting`, then those of the receiver.
    booting : 1, out
        High while bytes come from the boot memory.
    jump : 1, out
        The next byte of the boot memory is that at `place`.
    place : bits_for(boot), out
        See `jump`.
    o : stream of BYTES, out
        Answers.
    core : core_port, out
        The core.
    """

    def __init__(self, sizes: CoreSizes, *, text: int, boot: int) -> None:
        self.sizes = sizes
        self.text = text
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "booting": Out(1, init=1),
                "jump": Out(1),
                "place": Out(bits_for(boot)),
                "o": Out(stream.Signature(BYTES)),
                "core": Out(core_port(sizes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        sizes = self.sizes
        # Of the request: bytes that are left of it, its command and number, and why it is refused.
        left, command, number = Signal(15), Signal(8), Signal(8)
        error, damaged = Signal(8), Signal()
        expected, refused, cycles = Signal(8), Signal(32), Signal(32)
        starting = Signal(init=1)
        reply, reply_left, more = Signal(8 * REPLY_BYTES), Signal(range(REPLY_BYTES + 1)), Signal()
        fields, fields_left = Signal(8 * max(FIELDS.values())), Signal(range(max(FIELDS.values()) + 1))
        word = Signal(8 * max(sizes.data_bytes, sizes.start_bytes))
        index = Signal(8)
        result, result_left = Signal(8 * sizes.result_bytes), Signal(8)
        at, count, width, measure = Signal(32), Signal(16), Signal(8), Signal(15)
        ordered, known, fits, touches = Signal(), Signal(), Signal(), Signal()
        limit, at_limit = Signal(32), Signal()

        def take(target: Signal) -> Value:
            """Takes a byte of the request into `target`; true when there is one."""
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.i.valid):
                m.d.sync += [target.eq(self.i.payload), left.eq(left - 1)]
            return self.i.valid

        def take_of_word() -> Value:
            """Takes byte `index` of a word; a word's first byte clears the others."""
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.i.valid):
                m.d.sync += [index.eq(index + 1), left.eq(left - 1)]
                for lane in range(len(word) // 8):
                    with m.If(index == lane):
                        m.d.sync += word.word_select(lane, 8).eq(self.i.payload)
                    with m.Elif(index == 0):
                        m.d.sync += word.word_select(lane, 8).eq(0)
            return self.i.valid

        def answer(*parts: Any, follows: bool = False) -> None:
            """The request was obeyed: answers with command, number and `parts`."""
            words = Cat(command, number, *parts)
            m.d.sync += [
                reply.eq(words),
                reply_left.eq(len(words) // 8),
                more.eq(follows),
                expected.eq(number + 1),
            ]
            m.next = "Reply"

        def refuse(why: LinkError) -> None:
            m.d.sync += error.eq(why)
            m.next = "Skip"

        m.d.comb += [
            self.core.load.payload.target.eq(fields[:16]),
            self.core.load.payload.address.eq(at),
            self.core.load.payload.data.eq(word),
            self.core.start.payload.eq(word),
            self.core.read.payload.eq(at),
        ]
        m.d.sync += at_limit.eq(cycles == limit)

        with m.FSM():
            with m.State("Boot"):
                m.d.comb += [self.jump.eq(1), self.place.eq(self.text)]
                m.next = "Length"

            # A record, and what it asks for.
            with m.State("Length"):
                m.d.sync += index.eq(0)
                with m.If(take(fields[:8])):
                    m.next = "Length, high"
            with m.State("Length, high"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [left.eq(Cat(fields[:8], self.i.payload[:7])), damaged.eq(self.i.payload[7])]
                    m.next = "Record"
            with m.State("Record"):
                m.d.sync += [error.eq(left), number.eq(0)]
                m.next = "Command"
                with m.If(damaged):
                    m.d.sync += left.eq(0)
                    m.next = "Skip"
                with m.Elif(left == 0):
                    # The end of the boot memory's requests.
                    m.d.sync += [starting.eq(0), self.booting.eq(0), refused.eq(0), expected.eq(0)]
                    m.next = "Length"
            with m.State("Command"):
                with m.If(take(command)):
                    m.next = "Number"
            with m.State("Number"):
                with m.If(take(number)):
                    m.next = "Examine"
            with m.State("Examine"):
                m.d.sync += [
                    ordered.eq((number == expected) | starting | (command == Command.IDENTIFY)),
                    known.eq(0),
                    touches.eq(1),
                ]
                with m.Switch(command):
                    for kind, size in FIELDS.items():
                        with m.Case(kind):
                            m.d.sync += [known.eq(1), fields_left.eq(size)]
                            if kind == Command.WRITE:
                                m.d.sync += fits.eq(left > size)
                            elif kind == Command.RUN:
                                m.d.sync += fits.eq(left == size + sizes.start_bytes)
                            else:
                                m.d.sync += fits.eq(left == size)
                            if kind in (Command.IDENTIFY, Command.STATUS):
                                m.d.sync += touches.eq(0)
                m.next = "Decide"
            with m.State("Decide"):
                m.next = "Fields"
                with m.If(~ordered):
                    refuse(LinkError.NUMBER)
                with m.Elif(~known):
                    refuse(LinkError.COMMAND)
                with m.Elif(~fits):
                    refuse(LinkError.LENGTH)
                with m.Elif(touches & ~self.core.idle):
                    refuse(LinkError.BUSY)
            with m.State("Fields"):
                with m.If(fields_left == 0):
                    with m.Switch(command):
                        for kind in Command:
                            with m.Case(kind):
                                m.next = kind.name
                with m.Else():
                    with m.If(take(fields[-8:])):
                        m.d.sync += [fields[:-8].eq(fields[8:]), fields_left.eq(fields_left - 1)]

            with m.State("IDENTIFY"):
                answer(follows=True)
            with m.State("STATUS"):
                state = Cat(self.core.idle, Const(0, 7))
                answer(state, cycles, refused)

            # Words for the memories.
            with m.State("WRITE"):
                m.d.sync += [at.eq(fields[16:48]), width.eq(fields[48:56]), measure.eq(left)]
                m.next = "Measure"
                beyond = [fields[48:56] == 0, fields[48:56] > sizes.data_bytes]
                beyond += [fields[sizes.target : 16].any(), fields[16 + sizes.address : 48].any()]
                with m.If(Cat(beyond).any()):
                    refuse(LinkError.FIELD)
            with m.State("Measure"):
                m.d.sync += measure.eq(measure - width)
                with m.If(measure == 0):
                    m.next = "Word"
                with m.Elif(measure < width):
                    refuse(LinkError.LENGTH)
            with m.State("Word"):
                with m.If(take_of_word() & (index + 1 == width)):
                    m.next = "Load"
            with m.State("Load"):
                m.d.comb += self.core.load.valid.eq(1)
                with m.If(self.core.load.ready):
                    m.d.sync += [index.eq(0), at.eq(at + 1)]
                    m.next = "Word"
                    with m.If(left == 0):
                        answer()

            # Results.
            with m.State("READ"):
                m.d.sync += [at.eq(fields[8:40]), count.eq(fields[40:56])]
                with m.If((fields[40:56] == 0) | fields[8 + sizes.read : 40].any()):
                    refuse(LinkError.FIELD)
                with m.Else():
                    answer(follows=True)
            with m.State("Ask"):
                m.d.comb += self.core.read.valid.eq(1)
                m.d.sync += result_left.eq(sizes.result_bytes)
                with m.If(self.core.read.ready):
                    m.d.sync += [at.eq(at + 1), count.eq(count - 1)]
                    m.next = "Result"
            with m.State("Result"):
                m.d.comb += self.core.result.ready.eq(1)
                m.d.sync += result.eq(self.core.result.payload)
                with m.If(self.core.result.valid):
                    m.next = "Send result"
            with m.State("Send result"):
                last = result_left == 1
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(result[:8]),
                    self.o.payload.end.eq(last & (count == 0)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += [result.eq(result >> 8), result_left.eq(result_left - 1)]
                    with m.If(last):
                        m.next = "Ask"
                        with m.If(count == 0):
                            m.next = "Length"

            # A run.
            with m.State("RUN"):
                m.d.sync += limit.eq(fields[24:56])
                m.next = "Start word"
            with m.State("Start word"):
                with m.If(take_of_word() & (left == 1)):
                    m.next = "Start"
            with m.State("Start"):
                m.d.comb += self.core.start.valid.eq(1)
                m.d.sync += cycles.eq(1)
                with m.If(self.core.start.ready):
                    m.next = "Running"
            with m.State("Running"):
                # A cycle after the limit.
                with m.If(at_limit):
                    refuse(LinkError.LIMIT)
                with m.Elif(self.core.done):
                    answer(self.core.flags, cycles)
                with m.Else():
                    m.d.sync += cycles.eq(cycles + 1)

            # Answers.
            with m.State("Skip"):
                with m.If(left == 0):
                    m.d.sync += [
                        refused.eq(refused + 1),
                        reply.eq(Cat(Const(REFUSED, 8), number, error, expected)),
                        reply_left.eq(HEAD + 2),
                        more.eq(0),
                    ]
                    m.next = "Reply"
                with m.Else():
                    take(Signal(8, name="skipped"))
            with m.State("Reply"):
                last = reply_left == 1
                m.d.comb += [
                    self.o.valid.eq(~starting),
                    self.o.payload.data.eq(reply[:8]),
                    self.o.payload.end.eq(last & ~more),
                ]
                with m.If(starting):
                    m.next = "Length"
                with m.Elif(self.o.ready):
                    m.d.sync += [reply.eq(reply >> 8), reply_left.eq(reply_left - 1)]
                    with m.If(last):
                        m.next = "Length"
                        with m.If(more):
                            m.next = "Ask"
                            with m.If(command == Command.IDENTIFY):
                                m.d.sync += self.booting.eq(1)
                                m.next = "Text"
            with m.State("Text"):
                m.d.comb += self.jump.eq(1)
                m.d.sync += left.eq(self.text)
                m.next = "Send text"
            with m.State("Send text"):
                last = left == 1
                m.d.comb += [
                    self.o.valid.eq(self.i.valid),
                    self.o.payload.data.eq(self.i.payload),
                    self.o.payload.end.eq(last),
                    self.i.ready.eq(self.o.ready),
                ]
                with m.If(self.i.valid & self.o.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(last):
                        m.d.sync += self.booting.eq(0)
                        m.next = "Length"
        return m
