"""Obeys requests."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.link.cobs import BYTES
from zeroskip.rtl.link.ports import CoreSizes, core_port
from zeroskip.rtl.link.protocol import FIELDS, HEAD, REFUSED, Command, LinkError

ERROR_BITS = 4
"""Width of an error."""


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
        left = Signal(15)
        command = Signal(8)
        number = Signal(8)
        # Of a command that is known, three bits are enough.
        kind = command[:3]
        error = Signal(ERROR_BITS)
        damaged = Signal()
        expected = Signal(8)
        refused = Signal(16)
        cycles = Signal(32)
        starting = Signal(init=1)
        # The memories keep their words in a reset, and so it is still known that they were written.
        changed = Signal(reset_less=True)
        # What is answered: a refusal or not, and which byte of it comes next.
        wrong = Signal()
        place = Signal(range(16))
        out = Signal(8)
        last = Signal()
        # Fields come in from the top: the last four bytes, an address or a limit, stand in the same place for every
        # command.
        fields = Signal(8 * max(FIELDS.values()))
        fields_left = Signal(range(max(FIELDS.values()) + 1))
        width, target, address = fields[:8], fields[8:24], fields[24:]
        # READ has its count where WRITE has its target.
        count = target
        word_bytes = max(sizes.data_bytes, sizes.start_bytes)
        word = Signal(8 * word_bytes)
        index = Signal(range(word_bytes + 1))
        taken = Signal(range(word_bytes + 1))
        result = Signal(8 * sizes.result_bytes)
        result_left = Signal(range(sizes.result_bytes + 1))
        measure = Signal(15)
        ordered = Signal()
        known = Signal()
        fits = Signal()
        touches = Signal()
        at_limit = Signal()
        flags = Signal(8)
        # What the core sees of the state comes from flip-flops of its own: it lies all over the device.
        loads, asks, takes, starts = (Signal(name=name) for name in ("loads", "asks", "takes", "starts"))

        def take(target: Value | None = None) -> Value:
            """Takes a byte of the request, into `target` if there is one; true when a byte has come."""
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.i.valid):
                m.d.sync += left.eq(left - 1)
                if target is not None:
                    m.d.sync += target.eq(self.i.payload)
            return self.i.valid

        def shift_in(byte: Any) -> None:
            """Words come in from the top, too."""
            m.d.sync += [word.eq(Cat(word[8:], byte)), index.eq(index + 1)]

        def answer() -> None:
            """The request was obeyed."""
            m.d.sync += [wrong.eq(0), place.eq(0), expected.eq(number + 1)]
            m.next = "Reply"

        def refuse(why: LinkError) -> None:
            m.d.sync += error.eq(why)
            m.next = "Skip"

        m.d.comb += [
            self.core.load.valid.eq(loads),
            self.core.read.valid.eq(asks),
            self.core.result.ready.eq(takes),
            self.core.start.valid.eq(starts),
            self.core.load.payload.target.eq(target),
            self.core.load.payload.address.eq(address),
            self.core.load.payload.data.eq(word),
            self.core.start.payload.eq(word),
            self.core.read.payload.eq(address),
        ]
        m.d.sync += at_limit.eq(cycles == address)
        # Not where the state says so: many flip-flops would wait for it.
        with m.If(takes):
            m.d.sync += [result.eq(self.core.result.payload), result_left.eq(sizes.result_bytes)]
        reached = address[: max(sizes.address, sizes.read)]
        next_address = [reached.eq(reached + 1)]

        # An answer's bytes, before results and text. RUN is answered by a part of what STATUS is answered by.
        state = Mux(kind == Command.RUN, flags, Cat(self.core.idle, changed))
        answer_bytes = Array(
            [
                Mux(wrong, REFUSED, command),
                number,
                Mux(wrong, error, state),
                Mux(wrong, expected, cycles[:8]),
                *(cycles.word_select(byte, 8) for byte in range(1, 4)),
                *(refused.word_select(byte, 8) for byte in range(2)),
            ]
        )
        final = Signal(range(len(answer_bytes)))
        follows = Signal()
        m.d.comb += [
            final.eq(HEAD - 1),
            follows.eq((kind == Command.READ) | (kind == Command.IDENTIFY)),
        ]
        with m.If(wrong):
            m.d.comb += final.eq(HEAD + 1)
        with m.Elif(kind == Command.RUN):
            m.d.comb += final.eq(HEAD + 4)
        with m.Elif(kind == Command.STATUS):
            m.d.comb += final.eq(HEAD + 6)

        with m.FSM():
            with m.State("Boot"):
                m.d.comb += [self.jump.eq(1), self.place.eq(self.text)]
                m.next = "Length"

            # A record, and what it asks for.
            with m.State("Length"):
                with m.If(take(number)):
                    m.next = "Length, high"
            with m.State("Length, high"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [left.eq(Cat(number, self.i.payload[:7])), damaged.eq(self.i.payload[7])]
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
                    for one, size in FIELDS.items():
                        with m.Case(one):
                            m.d.sync += [known.eq(1), fields_left.eq(size)]
                            if one == Command.WRITE:
                                m.d.sync += fits.eq(left > size)
                            elif one == Command.RUN:
                                m.d.sync += fits.eq(left == size + sizes.start_bytes)
                            else:
                                m.d.sync += fits.eq(left == size)
                            if one in (Command.IDENTIFY, Command.STATUS):
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
                    with m.Switch(kind):
                        for one in Command:
                            with m.Case(one):
                                m.next = one.name
                with m.Else():
                    with m.If(take(fields[-8:])):
                        m.d.sync += [fields[:-8].eq(fields[8:]), fields_left.eq(fields_left - 1)]

            with m.State("IDENTIFY"):
                answer()
            with m.State("STATUS"):
                answer()

            # Words for the memories.
            with m.State("WRITE"):
                m.d.sync += [measure.eq(left), index.eq(0)]
                m.next = "Measure"
                beyond = [width == 0, width > sizes.data_bytes]
                beyond += [target[sizes.target :].any(), address[sizes.address :].any()]
                with m.If(Cat(beyond).any()):
                    refuse(LinkError.FIELD)
            with m.State("Measure"):
                rest = Signal(16)
                m.d.comb += rest.eq(measure - width)
                m.d.sync += measure.eq(rest)
                with m.If(measure == 0):
                    m.next = "Word"
                with m.Elif(rest[-1]):
                    refuse(LinkError.LENGTH)
            with m.State("Word"):
                m.d.sync += taken.eq(index + 1)
                with m.If(take()):
                    shift_in(self.i.payload)
                    m.next = "Byte of word"
            with m.State("Byte of word"):
                m.next = "Word"
                with m.If(Mux(kind == Command.WRITE, taken == width, left == 0)):
                    m.next = "Pad"
            with m.State("Pad"):
                with m.If(index == word_bytes):
                    m.d.sync += [index.eq(0), loads.eq(kind == Command.WRITE), starts.eq(kind != Command.WRITE)]
                    m.next = "Load"
                    with m.If(kind != Command.WRITE):
                        m.next = "Start"
                with m.Else():
                    shift_in(Const(0, 8))
            with m.State("Load"):
                with m.If(self.core.load.ready):
                    m.d.sync += [loads.eq(0), *next_address, changed.eq(changed | (self.core.lasting & ~starting))]
                    m.next = "Word"
                    with m.If(left == 0):
                        answer()

            # Results.
            with m.State("READ"):
                with m.If((target == 0) | address[sizes.read :].any()):
                    refuse(LinkError.FIELD)
                with m.Else():
                    answer()
            with m.State("Ask"):
                m.d.sync += asks.eq(1)
                with m.If(asks & self.core.read.ready):
                    m.d.sync += [asks.eq(0), takes.eq(1), *next_address, count.eq(count - 1)]
                    m.next = "Result"
            with m.State("Result"):
                with m.If(self.core.result.valid):
                    m.d.sync += takes.eq(0)
                    m.next = "Send result"
            with m.State("Send result"):
                ends = result_left == 1
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(result[:8]),
                    self.o.payload.end.eq(ends & (count == 0)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += [result.eq(result >> 8), result_left.eq(result_left - 1)]
                    with m.If(ends):
                        m.next = "Ask"
                        with m.If(count == 0):
                            m.next = "Length"

            # A run.
            with m.State("RUN"):
                # Here, because the comparison with the limit is a cycle late: it must not see those of an earlier run.
                m.d.sync += [index.eq(0), cycles.eq(0)]
                m.next = "Word"
            with m.State("Start"):
                with m.If(self.core.start.ready):
                    m.d.sync += [starts.eq(0), cycles.eq(cycles + 1)]
                    m.next = "Running"
            with m.State("Running"):
                # A cycle after the limit.
                with m.If(at_limit):
                    refuse(LinkError.LIMIT)
                with m.Elif(self.core.done):
                    m.d.sync += flags.eq(self.core.flags)
                    answer()
                with m.Else():
                    m.d.sync += cycles.eq(cycles + 1)

            # Answers.
            with m.State("Skip"):
                with m.If(left == 0):
                    m.d.sync += [refused.eq(refused + 1), wrong.eq(1), place.eq(0)]
                    m.next = "Reply"
                with m.Else():
                    take()
            with m.State("Reply"):
                m.d.sync += [out.eq(answer_bytes[place]), last.eq(place == final)]
                m.next = "Send"
                with m.If(starting):
                    m.next = "Length"
            with m.State("Send"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(out),
                    self.o.payload.end.eq(last & (wrong | ~follows)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += place.eq(place + 1)
                    m.next = "Reply"
                    with m.If(last):
                        m.next = "Length"
                        with m.If(~wrong & (kind == Command.READ)):
                            m.next = "Ask"
                        with m.If(~wrong & (kind == Command.IDENTIFY)):
                            m.d.sync += self.booting.eq(1)
                            m.next = "Text"
            with m.State("Text"):
                m.d.comb += self.jump.eq(1)
                m.d.sync += left.eq(self.text)
                m.next = "Send text"
            with m.State("Send text"):
                ends = left == 1
                m.d.comb += [
                    self.o.valid.eq(self.i.valid),
                    self.o.payload.data.eq(self.i.payload),
                    self.o.payload.end.eq(ends),
                    self.i.ready.eq(self.o.ready),
                ]
                with m.If(self.i.valid & self.o.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(ends):
                        m.d.sync += self.booting.eq(0)
                        m.next = "Length"
        return m
