"""Obeys requests."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.link.cobs import BYTES
from zeroskip.rtl.link.execution import Execution
from zeroskip.rtl.link.ports import CoreSizes, core_port
from zeroskip.rtl.link.protocol import FIELDS, Command, LinkError


class Executor(wiring.Component):
    """Obeys requests one after the other (zeroskip.rtl.link.protocol), and answers each.

    After a reset it obeys, without answers, those of the boot memory, which end with one of length zero. A request is
    looked at as a whole before it has an effect. A request that is refused is skipped.

        Boot -> Length -> Length, high -> Record -> Command -> Number -> Examine -> Decide -> Fields
                  ^                          |                                        |         |
                  |                        damaged                                 refused      +-> IDENTIFY, STATUS
                  |                          v                                        v         +-> WRITE -> words
                  +------ Send <-- Reply <-- Skip <-----------------------------------+         +-> READ
                            |        ^                                                          +-> RUN -> Running
                            |        +----------------- obeyed ---------------------------------+
                            +-> Ask -> results, or text

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
        x = Execution(m, self.sizes, self.i, self.core)
        x.drive_core()
        x.lay_answer()
        with m.FSM():
            self._take_record(m, x)
            self._examine(m, x)
            self._write(m, x)
            self._read(m, x)
            self._run(m, x)
            self._answer(m, x)
        return m

    def _take_record(self, m: Module, x: Execution) -> None:
        """Boot to Number: a record, as far as its command and number."""
        with m.State("Boot"):
            m.d.comb += [self.jump.eq(1), self.place.eq(self.text)]
            m.next = "Length"

        with m.State("Length"):
            with m.If(x.take(x.number)):
                m.next = "Length, high"
        with m.State("Length, high"):
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.i.valid):
                m.d.sync += [x.left.eq(Cat(x.number, self.i.payload[:7])), x.damaged.eq(self.i.payload[7])]
                m.next = "Record"
        with m.State("Record"):
            m.d.sync += [x.error.eq(x.left), x.number.eq(0)]
            m.next = "Command"
            with m.If(x.damaged):
                m.d.sync += x.left.eq(0)
                m.next = "Skip"
            with m.Elif(x.left == 0):
                # The end of the boot memory's requests.
                m.d.sync += [x.starting.eq(0), self.booting.eq(0), x.refused.eq(0), x.expected.eq(0)]
                m.next = "Length"
        with m.State("Command"):
            with m.If(x.take(x.command)):
                m.next = "Number"
        with m.State("Number"):
            with m.If(x.take(x.number)):
                m.next = "Examine"

    def _examine(self, m: Module, x: Execution) -> None:
        """Examine to Fields: whether the request is obeyed, and its fields."""
        sizes = self.sizes
        with m.State("Examine"):
            m.d.sync += [
                x.ordered.eq((x.number == x.expected) | x.starting | (x.command == Command.IDENTIFY)),
                x.known.eq(0),
                x.touches.eq(1),
            ]
            with m.Switch(x.command):
                for one, size in FIELDS.items():
                    with m.Case(one):
                        m.d.sync += [x.known.eq(1), x.fields_left.eq(size)]
                        if one == Command.WRITE:
                            m.d.sync += x.fits.eq(x.left > size)
                        elif one == Command.RUN:
                            m.d.sync += x.fits.eq(x.left == size + sizes.start_bytes)
                        else:
                            m.d.sync += x.fits.eq(x.left == size)
                        if one in (Command.IDENTIFY, Command.STATUS):
                            m.d.sync += x.touches.eq(0)
            m.next = "Decide"
        with m.State("Decide"):
            m.next = "Fields"
            with m.If(~x.ordered):
                x.refuse(LinkError.NUMBER)
            with m.Elif(~x.known):
                x.refuse(LinkError.COMMAND)
            with m.Elif(~x.fits):
                x.refuse(LinkError.LENGTH)
            with m.Elif(x.touches & ~self.core.idle):
                x.refuse(LinkError.BUSY)
        with m.State("Fields"):
            with m.If(x.fields_left == 0):
                with m.Switch(x.kind):
                    for one in Command:
                        with m.Case(one):
                            m.next = one.name
            with m.Else():
                with m.If(x.take(x.fields[-8:])):
                    m.d.sync += [x.fields[:-8].eq(x.fields[8:]), x.fields_left.eq(x.fields_left - 1)]

    def _write(self, m: Module, x: Execution) -> None:
        """IDENTIFY and STATUS do nothing. WRITE to Load: words for the memories, and the start word of a run."""
        sizes = self.sizes
        with m.State("IDENTIFY"):
            x.answer()
        with m.State("STATUS"):
            x.answer()

        with m.State("WRITE"):
            m.d.sync += [x.measure.eq(x.left), x.index.eq(0)]
            m.next = "Measure"
            beyond = [x.width == 0, x.width > sizes.data_bytes]
            beyond += [x.target[sizes.target :].any(), x.address[sizes.address :].any()]
            with m.If(Cat(beyond).any()):
                x.refuse(LinkError.FIELD)
        with m.State("Measure"):
            rest = Signal(16)
            m.d.comb += rest.eq(x.measure - x.width)
            m.d.sync += x.measure.eq(rest)
            with m.If(x.measure == 0):
                m.next = "Word"
            with m.Elif(rest[-1]):
                x.refuse(LinkError.LENGTH)
        with m.State("Word"):
            m.d.sync += x.taken.eq(x.index + 1)
            with m.If(x.take()):
                x.shift_in(self.i.payload)
                m.next = "Byte of word"
        with m.State("Byte of word"):
            m.next = "Word"
            with m.If(Mux(x.kind == Command.WRITE, x.taken == x.width, x.left == 0)):
                m.next = "Pad"
        with m.State("Pad"):
            with m.If(x.index == x.word_bytes):
                m.d.sync += [x.index.eq(0), x.loads.eq(x.kind == Command.WRITE), x.starts.eq(x.kind != Command.WRITE)]
                m.next = "Load"
                with m.If(x.kind != Command.WRITE):
                    m.next = "Start"
            with m.Else():
                x.shift_in(Const(0, 8))
        with m.State("Load"):
            with m.If(self.core.load.ready):
                m.d.sync += [
                    x.loads.eq(0),
                    *x.next_address,
                    x.changed.eq(x.changed | (self.core.lasting & ~x.starting)),
                ]
                m.next = "Word"
                with m.If(x.left == 0):
                    x.answer()

    def _read(self, m: Module, x: Execution) -> None:
        """READ to Send result: results, one by one, behind the head of the answer."""
        sizes = self.sizes
        with m.State("READ"):
            with m.If((x.target == 0) | x.address[sizes.read :].any()):
                x.refuse(LinkError.FIELD)
            with m.Else():
                x.answer()
        with m.State("Ask"):
            m.d.sync += x.asks.eq(1)
            with m.If(x.asks & self.core.read.ready):
                m.d.sync += [x.asks.eq(0), x.takes.eq(1), *x.next_address, x.count.eq(x.count - 1)]
                m.next = "Result"
        with m.State("Result"):
            with m.If(self.core.result.valid):
                m.d.sync += x.takes.eq(0)
                m.next = "Send result"
        with m.State("Send result"):
            ends = x.result_left == 1
            m.d.comb += [
                self.o.valid.eq(1),
                self.o.payload.data.eq(x.result[:8]),
                self.o.payload.end.eq(ends & (x.count == 0)),
            ]
            with m.If(self.o.ready):
                m.d.sync += [x.result.eq(x.result >> 8), x.result_left.eq(x.result_left - 1)]
                with m.If(ends):
                    m.next = "Ask"
                    with m.If(x.count == 0):
                        m.next = "Length"

    def _run(self, m: Module, x: Execution) -> None:
        """RUN to Running: a run, up to its limit."""
        with m.State("RUN"):
            # Here, because the comparison with the limit is a cycle late: it must not see those of an earlier run.
            m.d.sync += [x.index.eq(0), x.cycles.eq(0)]
            m.next = "Word"
        with m.State("Start"):
            with m.If(self.core.start.ready):
                m.d.sync += [x.starts.eq(0), x.cycles.eq(x.cycles + 1)]
                m.next = "Running"
        with m.State("Running"):
            # A cycle after the limit.
            with m.If(x.at_limit):
                x.refuse(LinkError.LIMIT)
            with m.Elif(self.core.done):
                m.d.sync += x.flags.eq(self.core.flags)
                x.answer()
            with m.Else():
                m.d.sync += x.cycles.eq(x.cycles + 1)

    def _answer(self, m: Module, x: Execution) -> None:
        """Skip to Send text: a refusal, or the head of an answer, and the text of IDENTIFY."""
        with m.State("Skip"):
            with m.If(x.left == 0):
                m.d.sync += [x.refused.eq(x.refused + 1), x.wrong.eq(1), x.place.eq(0)]
                m.next = "Reply"
            with m.Else():
                x.take()
        with m.State("Reply"):
            m.d.sync += [x.out.eq(x.answer_bytes[x.place]), x.last.eq(x.place == x.final)]
            m.next = "Send"
            with m.If(x.starting):
                m.next = "Length"
        with m.State("Send"):
            m.d.comb += [
                self.o.valid.eq(1),
                self.o.payload.data.eq(x.out),
                self.o.payload.end.eq(x.last & (x.wrong | ~x.follows)),
            ]
            with m.If(self.o.ready):
                m.d.sync += x.place.eq(x.place + 1)
                m.next = "Reply"
                with m.If(x.last):
                    m.next = "Length"
                    with m.If(~x.wrong & (x.kind == Command.READ)):
                        m.next = "Ask"
                    with m.If(~x.wrong & (x.kind == Command.IDENTIFY)):
                        m.d.sync += self.booting.eq(1)
                        m.next = "Text"
        with m.State("Text"):
            m.d.comb += self.jump.eq(1)
            m.d.sync += x.left.eq(self.text)
            m.next = "Send text"
        with m.State("Send text"):
            # By a flip-flop: `booting` and the boot memory must not be on the way to what takes the answer.
            with m.If(x.take(x.out)):
                m.next = "Send byte of text"
        with m.State("Send byte of text"):
            ends = x.left == 0
            m.d.comb += [self.o.valid.eq(1), self.o.payload.data.eq(x.out), self.o.payload.end.eq(ends)]
            with m.If(self.o.ready):
                m.next = "Send text"
                with m.If(ends):
                    m.d.sync += self.booting.eq(0)
                    m.next = "Length"
