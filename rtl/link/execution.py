"""What the executor remembers of a request, and what its states do to that."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value

from zeroskip.rtl.link.ports import CoreSizes
from zeroskip.rtl.link.protocol import FIELDS, HEAD, REFUSED, Command, LinkError

ERROR_BITS = 4
"""Width of an error."""


class Execution:
    """The registers of an Executor, in its module `m`, and the verbs of its states. `i` is its stream of requests,
    `core` its port to the core."""

    def __init__(self, m: Module, sizes: CoreSizes, i: Any, core: Any) -> None:
        self._m, self._sizes, self._i, self._core = m, sizes, i, core

        # Of the request: bytes that are left of it, its command and number, and why it is refused.
        self.left = Signal(15)
        self.command = Signal(8)
        self.number = Signal(8)
        # Of a command that is known, three bits are enough.
        self.kind = self.command[:3]
        self.error = Signal(ERROR_BITS)
        self.damaged = Signal()
        # What Examine found.
        self.ordered = Signal()
        self.known = Signal()
        self.fits = Signal()
        self.touches = Signal()
        # Fields come in from the top: the last four bytes, an address or a limit, stand in the same place for every
        # command.
        self.fields = Signal(8 * max(FIELDS.values()))
        self.fields_left = Signal(range(max(FIELDS.values()) + 1))
        self.width, self.target, self.address = self.fields[:8], self.fields[8:24], self.fields[24:]
        # READ has its count where WRITE has its target.
        self.count = self.target

        # Of all requests.
        self.expected = Signal(8)
        self.refused = Signal(16)
        self.cycles = Signal(32)
        self.starting = Signal(init=1)
        # The memories keep their words in a reset, and so it is still known that they were written.
        self.changed = Signal(reset_less=True)

        # A word on its way to the core, and a result on its way to the host.
        self.word_bytes = max(sizes.data_bytes, sizes.start_bytes)
        self.word = Signal(8 * self.word_bytes)
        self.index = Signal(range(self.word_bytes + 1))
        self.taken = Signal(range(self.word_bytes + 1))
        self.measure = Signal(15)
        self.result = Signal(8 * sizes.result_bytes)
        self.result_left = Signal(range(sizes.result_bytes + 1))
        self.at_limit = Signal()
        self.flags = Signal(8)
        # What the core sees of the state comes from flip-flops of its own: it lies all over the device.
        self.loads, self.asks, self.takes, self.starts = (
            Signal(name=name) for name in ("loads", "asks", "takes", "starts")
        )

        # What is answered: a refusal or not, and which byte of it comes next.
        self.wrong = Signal()
        self.place = Signal(range(16))
        self.out = Signal(8)
        self.last = Signal()

    def take(self, target: Value | None = None) -> Value:
        """Takes a byte of the request, into `target` if there is one; true when a byte has come."""
        self._m.d.comb += self._i.ready.eq(1)
        with self._m.If(self._i.valid):
            self._m.d.sync += self.left.eq(self.left - 1)
            if target is not None:
                self._m.d.sync += target.eq(self._i.payload)
        return self._i.valid

    def shift_in(self, byte: Any) -> None:
        """Words come in from the top, too."""
        self._m.d.sync += [self.word.eq(Cat(self.word[8:], byte)), self.index.eq(self.index + 1)]

    def answer(self) -> None:
        """The request was obeyed."""
        self._m.d.sync += [self.wrong.eq(0), self.place.eq(0), self.expected.eq(self.number + 1)]
        self._m.next = "Reply"

    def refuse(self, why: LinkError) -> None:
        self._m.d.sync += self.error.eq(why)
        self._m.next = "Skip"

    @property
    def next_address(self) -> list[Any]:
        """Goes on to the next word, or result."""
        reached = self.address[: max(self._sizes.address, self._sizes.read)]
        return [reached.eq(reached + 1)]

    def drive_core(self) -> None:
        """What the core sees, and what comes from it."""
        m, core = self._m, self._core
        m.d.comb += [
            core.load.valid.eq(self.loads),
            core.read.valid.eq(self.asks),
            core.result.ready.eq(self.takes),
            core.start.valid.eq(self.starts),
            core.load.payload.target.eq(self.target),
            core.load.payload.address.eq(self.address),
            core.load.payload.data.eq(self.word),
            core.start.payload.eq(self.word),
            core.read.payload.eq(self.address),
        ]
        m.d.sync += self.at_limit.eq(self.cycles == self.address)
        # Not where the state says so: many flip-flops would wait for it.
        with m.If(self.takes):
            m.d.sync += [self.result.eq(core.result.payload), self.result_left.eq(self._sizes.result_bytes)]

    def lay_answer(self) -> None:
        """The bytes of an answer in front of results and text, `answer_bytes`, of which `final` is the last, and
        whether anything `follows`."""
        m = self._m
        # RUN is answered by a part of what STATUS is answered by.
        state = Mux(self.kind == Command.RUN, self.flags, Cat(self._core.idle, self.changed))
        self.answer_bytes = Array(
            [
                Mux(self.wrong, REFUSED, self.command),
                self.number,
                Mux(self.wrong, self.error, state),
                Mux(self.wrong, self.expected, self.cycles[:8]),
                *(self.cycles.word_select(byte, 8) for byte in range(1, 4)),
                *(self.refused.word_select(byte, 8) for byte in range(2)),
            ]
        )
        self.final = Signal(range(len(self.answer_bytes)))
        self.follows = Signal()
        m.d.comb += [
            self.final.eq(HEAD - 1),
            self.follows.eq((self.kind == Command.READ) | (self.kind == Command.IDENTIFY)),
        ]
        with m.If(self.wrong):
            m.d.comb += self.final.eq(HEAD + 1)
        with m.Elif(self.kind == Command.RUN):
            m.d.comb += self.final.eq(HEAD + 4)
        with m.Elif(self.kind == Command.STATUS):
            m.d.comb += self.final.eq(HEAD + 6)
