"""What the register maps of the cores have in common."""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.rtl.bus.register_map import Field, Kind, Window, window_size

MAGIC = 0x5A534B
"""The letters ZSK: what is here is a core of zeroskip."""

WINDOWS_FROM = 0x1000
"""The address behind the registers at which the windows begin."""

REFUSALS = {
    "LOCKED": "An access to a window, or a write, was refused: the core was in use. Nothing was changed.",
    "ILLEGAL": "An access was refused that what is there does not take: a write to what is read-only, a read of what "
    "is write-only, a value out of range, a word of a window that was written in part or out of order. Nothing was "
    "changed.",
    "UNMAPPED": "An access was refused: nothing is at its address.",
}
"""The events of accesses that are refused, and what they mean."""


def identity(core: int, which: str) -> list[Field]:
    """The fields of the first register of a map."""
    return [constant("CORE", 0, 8, core, which), constant("MAGIC", 8, 24, MAGIC, "The letters ZSK.")]


def event_fields(events: Mapping[str, str]) -> list[Field]:
    """The fields of the register EVENTS; `events` are their names, from bit 0 on, and meanings."""
    return [
        Field(name=name, low=bit, width=1, kind=Kind.EVENT, meaning=meaning)
        for bit, (name, meaning) in enumerate(events.items())
    ]


def interrupt_fields(events: Mapping[str, str]) -> list[Field]:
    """The fields of the register INTERRUPTS."""
    return [
        Field(name=name, low=bit, width=1, kind=Kind.SETTING, meaning=f"Whether {name} does.")
        for bit, name in enumerate(events)
    ]


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
