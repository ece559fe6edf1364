"""What the register maps of the cores have in common."""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES, Field, Kind, Register, Window, window_size

MAGIC = 0x5A534B
"""The letters ZSK: what is here is a core of zeroskip."""

WINDOWS_FROM = 0x1000
"""The address behind the registers at which the windows begin."""

MEANING = "Registers of 32 bits, and windows on the memories, at byte addresses. Little-endian."
"""What every map says of itself."""

REFUSALS = {
    "LOCKED": "An access to a window, or a write, was refused: the core was in use. Nothing was changed.",
    "ILLEGAL": "An access was refused that what is there does not take: a write to what is read-only, a read of what "
    "is write-only, a value out of range, a word of a window that was written in part or out of order. Nothing was "
    "changed.",
    "UNMAPPED": "An access was refused: nothing is at its address.",
}
"""The events of accesses that are refused, and what they mean."""


class Registers:
    """Registers that are added one after the other: first who the core is, and the version of the map."""

    def __init__(self, core: int, which: str, *, version: int) -> None:
        self.found: list[Register] = []
        magic = constant("MAGIC", 8, 24, MAGIC, "The letters ZSK.")
        self.add("ID", "What is at these addresses.", constant("CORE", 0, 8, core, which), magic)
        self.add("VERSION", "Of this register map.", constant("VERSION", 0, 32, version, "Changes with the map."))

    def add(self, name: str, meaning: str, *fields: Field, guarded: bool = False) -> None:
        address = REGISTER_BYTES * len(self.found)
        self.found.append(Register(name=name, address=address, meaning=meaning, fields=fields, guarded=guarded))

    def add_events(self, events: Mapping[str, str]) -> None:
        """EVENTS and INTERRUPTS; `events` are their names, from bit 0 on, and meanings."""
        happened = [
            Field(name=name, low=bit, width=1, kind=Kind.EVENT, meaning=meaning)
            for bit, (name, meaning) in enumerate(events.items())
        ]
        enabled = [
            Field(name=name, low=bit, width=1, kind=Kind.SETTING, meaning=f"Whether {name} does.")
            for bit, name in enumerate(events)
        ]
        self.add("EVENTS", "What has happened; a one clears it.", *happened)
        self.add("INTERRUPTS", "The events that make `irq` high while they are set.", *enabled)

    def add_counters(self, counters: Mapping[str, str]) -> None:
        """The performance counters, by their names and meanings."""
        for name, meaning in counters.items():
            text = "Counts modulo 2**32, and begins at 0 with a reset."
            self.add(name, meaning, status(name, 0, REGISTER_BITS, text))


class Windows:
    """Windows that are added one after the other, each behind those before: small ones should come first."""

    def __init__(self) -> None:
        self.found: list[Window] = []

    def add(
        self,
        name: str,
        meaning: str,
        *,
        entries: int,
        bits: int,
        instances: int = 1,
        written: bool = True,
        signed: bool = False,
    ) -> None:
        size = window_size(entries, bits, instances)
        end = self.found[-1].base + self.found[-1].size if self.found else WINDOWS_FROM
        self.found.append(
            Window(
                name=name,
                base=-(-end // size) * size,
                meaning=meaning,
                entries=entries,
                bits=bits,
                instances=instances,
                written=written,
                signed=signed,
            )
        )


def constant(name: str, low: int, width: int, value: int, meaning: str) -> Field:
    return Field(name=name, low=low, width=width, kind=Kind.CONSTANT, reset=value, meaning=meaning)


def status(name: str, low: int, width: int, meaning: str) -> Field:
    return Field(name=name, low=low, width=width, kind=Kind.STATUS, meaning=meaning)


def pulse(name: str, low: int, meaning: str) -> Field:
    return Field(name=name, low=low, width=1, kind=Kind.PULSE, meaning=meaning)


def setting(name: str, width: int, reset: int, least: int, most: int, meaning: str) -> Field:
    return Field(name=name, low=0, width=width, kind=Kind.SETTING, reset=reset, least=least, most=most, meaning=meaning)
