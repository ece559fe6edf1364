"""The registers of a map, and the way to its windows."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.bus.ports import Refusal, access_port
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES, Kind, Register, RegisterMap


def kind_layout(described: RegisterMap, kind: Kind) -> data.StructLayout:
    """The fields of a kind, by register and name in small letters. Registers without such a field are left out."""
    registers: dict[str, dict[str, int]] = {}
    for register, field in described.fields(kind):
        registers.setdefault(register.name.lower(), {})[field.name.lower()] = field.width
    return data.StructLayout({name: data.StructLayout(fields) for name, fields in registers.items()})


def _resets(described: RegisterMap) -> dict[str, dict[str, int]]:
    """What the settings are after a reset, as `kind_layout` has them."""
    found: dict[str, dict[str, int]] = {}
    for register, field in described.fields(Kind.SETTING):
        found.setdefault(register.name.lower(), {})[field.name.lower()] = field.reset
    return found


def reported(registers: Registers, irq: Signal) -> list[Any]:
    """What all cores report alike: accesses that were refused, as events, and the interrupt of the events that are
    enabled."""
    events = registers.events.events
    enabled = registers.happened.events.as_value() & registers.settings.interrupts.as_value()
    return [
        events.locked.eq(registers.refused == Refusal.LOCKED),
        events.illegal.eq(registers.refused == Refusal.ILLEGAL),
        events.unmapped.eq(registers.refused == Refusal.UNMAPPED),
        irq.eq(enabled.any()),
    ]


class Registers(wiring.Component):
    """Answers accesses to the registers of a map, and passes on those to its windows.

    An access that is refused changes nothing. While `locked` is high, guarded registers are not written, and no window
    is accessed.

    Latency: an access to a register is done two cycles after `valid` rose. Throughput: an access in two cycles.

    Parameters
    ----------
    described : RegisterMap

    Ports
    -----
    access : access_port, in
        Accesses at all addresses.
    window : access_port, out
        Those behind the registers, while `locked` is low. An answer of it is passed on.
    locked : 1, in
        The core is in use.
    status : fields of Kind.STATUS, in
        What they read as.
    settings : fields of Kind.SETTING, out
        What software has written.
    pulses : fields of Kind.PULSE, out
        High for a cycle after software has written a one.
    events : fields of Kind.EVENT, in
        Sets those that are high.
    happened : fields of Kind.EVENT, out
        The events that are set.
    refused : Refusal, out
        Why an access was refused, for one cycle.
    """

    def __init__(self, described: RegisterMap) -> None:
        self.described = described

        def fields(kind: Kind) -> data.StructLayout:
            return kind_layout(described, kind)

        super().__init__(
            {
                "access": In(access_port(described.address_bits)),
                "window": Out(access_port(described.address_bits)),
                "locked": In(1),
                "status": In(fields(Kind.STATUS)),
                "settings": Out(fields(Kind.SETTING), init=_resets(described)),
                "pulses": Out(fields(Kind.PULSE)),
                "events": In(fields(Kind.EVENT)),
                "happened": Out(fields(Kind.EVENT)),
                "refused": Out(Refusal),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        access, window = self.access, self.window
        low = (self.described.registers_size - 1).bit_length()
        behind = Signal()
        # The cycle in which an access takes effect.
        acts = Signal()
        refusal = Signal(Refusal)
        answer = Signal(REGISTER_BITS)
        m.d.comb += behind.eq(access.address[low:].any() if low < len(access.address) else 0)

        # Accesses to windows.
        m.d.comb += [
            window.valid.eq(access.valid & ~access.done & behind & ~self.locked),
            window.write.eq(access.write),
            window.address.eq(access.address),
            window.data.eq(access.data),
            window.strobe.eq(access.strobe),
            acts.eq(access.valid & ~access.done & (~behind | self.locked | window.done)),
        ]

        # Accesses to registers.
        index = access.address[2:low]
        m.d.comb += refusal.eq(Refusal.UNMAPPED)
        with m.If(behind):
            m.d.comb += [
                refusal.eq(Mux(self.locked, Refusal.LOCKED, window.refusal)),
                answer.eq(Mux(self.locked, 0, window.answer)),
            ]
        with m.Else():
            with m.Switch(index):
                for register in self.described.registers:
                    with m.Case(register.address // REGISTER_BYTES):
                        m.d.comb += [
                            refusal.eq(Mux(access.write, self._write_refusal(register), Refusal.NONE)),
                            answer.eq(Mux(access.write, 0, self._value(register))),
                        ]
        for register in self.described.registers:
            writes = Signal(name=f"writes_{register.name.lower()}")
            hit = ~behind & (index == register.address // REGISTER_BYTES)
            m.d.comb += writes.eq(acts & access.write & hit & (refusal == Refusal.NONE))
            self._write(m, register, writes)

        m.d.sync += [
            access.done.eq(acts),
            access.answer.eq(answer),
            access.refusal.eq(refusal),
            self.refused.eq(Mux(acts, refusal, Refusal.NONE)),
        ]
        return m

    def _value(self, register: Register) -> Value:
        """What a register reads as."""
        sources = {Kind.STATUS: self.status, Kind.SETTING: self.settings, Kind.EVENT: self.happened}
        parts: list[Value] = []
        at = 0
        for field in sorted(register.fields, key=lambda field: field.low):
            value: Value
            if field.kind is Kind.CONSTANT:
                value = Const(field.reset, field.width)
            elif field.kind is Kind.PULSE:
                value = Const(0, field.width)
            else:
                value = self._field(sources[field.kind], register, field.name)
            parts += [Const(0, field.low - at), value]
            at = field.low + field.width
        return Cat(*parts)

    def _write_refusal(self, register: Register) -> Value:
        """Why a write of a register is refused."""
        if not register.writable:
            return Value.cast(Refusal.ILLEGAL)
        wrong: list[Value] = []
        written = self._written(register)
        for field in register.fields:
            if field.kind is Kind.SETTING and field.limited:
                value = written[field.low : field.low + field.width]
                if field.least:
                    wrong.append(value < field.least)
                if field.largest < (1 << field.width) - 1:
                    wrong.append(value > field.largest)
        illegal = reduce(or_, wrong, Const(0))
        found = Mux(illegal, Refusal.ILLEGAL, Refusal.NONE)
        return Mux(self.locked, Refusal.LOCKED, found) if register.guarded else found

    def _written(self, register: Register) -> Value:
        """What a register holds after a write of some of its bytes."""
        before = self._value(register)
        bits = Cat(before, Const(0, REGISTER_BITS - len(before)))
        parts: list[Value] = [
            Mux(self.access.strobe[byte], self.access.data.word_select(byte, 8), bits.word_select(byte, 8))
            for byte in range(REGISTER_BYTES)
        ]
        return Cat(*parts)

    def _write(self, m: Module, register: Register, writes: Signal) -> None:
        """What a write does to the fields of a register, and what the hardware does."""
        written = self._written(register)
        ones = Cat(
            self.access.data.word_select(byte, 8) & self.access.strobe[byte].replicate(8)
            for byte in range(REGISTER_BYTES)
        )
        for field in register.fields:
            bits = slice(field.low, field.low + field.width)
            if field.kind is Kind.SETTING:
                with m.If(writes):
                    m.d.sync += self._field(self.settings, register, field.name).eq(written[bits])
            elif field.kind is Kind.PULSE:
                m.d.sync += self._field(self.pulses, register, field.name).eq(writes & ones[bits])
            elif field.kind is Kind.EVENT:
                happened = self._field(self.happened, register, field.name)
                # An event in the cycle in which it is cleared is not lost.
                clears = writes & ones[bits]
                m.d.sync += happened.eq(self._field(self.events, register, field.name) | (happened & ~clears))

    @staticmethod
    def _field(of: Any, register: Register, name: str) -> Any:
        return of[register.name.lower()][name.lower()]
