"""A register map: the one description of a core for software, from which hardware, SystemRDL and C header are made."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from zeroskip.model.bits import power_of_two_at_least

REGISTER_BYTES = 4
"""Bytes of a register, and of an access of the bus."""

REGISTER_BITS = 8 * REGISTER_BYTES

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


class Kind(enum.Enum):
    """What a field is, to software."""

    CONSTANT = "constant"
    """Reads as a number that is fixed in the hardware."""
    STATUS = "status"
    """Reads as what the hardware has at the moment."""
    SETTING = "setting"
    """Written by software, and read back."""
    PULSE = "pulse"
    """Writing a one does something, once; reads as zero."""
    EVENT = "event"
    """Set by the hardware, and cleared by writing a one."""


WRITABLE = frozenset({Kind.SETTING, Kind.PULSE, Kind.EVENT})


@dataclass(frozen=True, kw_only=True)
class Field:
    """Bits of a register.

    `reset` is the value of a CONSTANT, and what a SETTING has after a reset. A SETTING takes values from `least` to
    `most`, by default all that fit.
    """

    name: str
    low: int
    width: int
    kind: Kind
    meaning: str
    reset: int = 0
    least: int = 0
    most: int | None = None

    def __post_init__(self) -> None:
        _check_name("field", self.name)
        if self.width < 1 or self.low < 0 or self.low + self.width > REGISTER_BITS:
            raise ValueError(
                f"field {self.name} must be in bits 0 to {REGISTER_BITS - 1}, "
                f"not {self.low} to {self.low + self.width - 1}"
            )
        if self.width != 1 and self.kind in (Kind.PULSE, Kind.EVENT):
            raise ValueError(f"field {self.name} must be one bit, as every {self.kind.value}, not {self.width}")
        if not self.least <= self.reset <= self.largest or self.largest >= 1 << self.width:
            raise ValueError(
                f"field {self.name} must have a reset value from {self.least} to {self.largest}, which fits "
                f"{self.width} bits, not {self.reset}"
            )

    @property
    def largest(self) -> int:
        return (1 << self.width) - 1 if self.most is None else self.most

    @property
    def limited(self) -> bool:
        """Whether there are values of its width that it does not take."""
        return self.least > 0 or self.largest < (1 << self.width) - 1


@dataclass(frozen=True, kw_only=True)
class Register:
    """Fields under one address, which is a multiple of REGISTER_BYTES. A `guarded` register is not written while the
    core is in use."""

    name: str
    address: int
    meaning: str
    fields: tuple[Field, ...]
    guarded: bool = False

    def __post_init__(self) -> None:
        _check_name("register", self.name)
        if self.address % REGISTER_BYTES:
            raise ValueError(f"register {self.name} must be at a multiple of {REGISTER_BYTES}, not {self.address}")
        taken = 0
        for field in self.fields:
            mask = ((1 << field.width) - 1) << field.low
            if taken & mask:
                raise ValueError(f"register {self.name} must have fields that do not overlap, unlike {field.name}")
            taken |= mask

    @property
    def writable(self) -> bool:
        return any(field.kind in WRITABLE for field in self.fields)

    @property
    def reset(self) -> int:
        """What it reads as after a reset, where nothing of it is a STATUS."""
        return sum(field.reset << field.low for field in self.fields)


@dataclass(frozen=True, kw_only=True)
class Window:
    """A memory of the core among the addresses: `entries` words of `bits` bits, `instances` times.

    A word takes a power of two of bytes, at least REGISTER_BYTES; its high bits beyond `bits` are ignored. Instance i
    begins `i * stride` bytes after the window. Windows are either written or read; numbers that are `signed` are read
    with their sign extended to REGISTER_BITS.
    """

    name: str
    base: int
    meaning: str
    entries: int
    bits: int
    instances: int = 1
    written: bool = True
    signed: bool = False

    def __post_init__(self) -> None:
        _check_name("window", self.name)
        if self.base % self.size:
            raise ValueError(f"window {self.name} must be at a multiple of its size {self.size}, not {self.base}")

    @property
    def word_bytes(self) -> int:
        return word_bytes(self.bits)

    @property
    def lanes(self) -> int:
        """Accesses of the bus for a word."""
        return self.word_bytes // REGISTER_BYTES

    @property
    def stride(self) -> int:
        """Bytes from one instance to the next: a power of two."""
        return power_of_two_at_least(self.entries) * self.word_bytes

    @property
    def size(self) -> int:
        """Bytes that it takes among the addresses: a power of two."""
        return power_of_two_at_least(self.instances) * self.stride


def word_bytes(bits: int) -> int:
    """Bytes among the addresses of a memory's word of so many bits."""
    return power_of_two_at_least(max(REGISTER_BYTES, -(-bits // 8)))


def window_size(entries: int, bits: int, instances: int = 1) -> int:
    """Bytes that a window takes (Window.size)."""
    return power_of_two_at_least(instances) * power_of_two_at_least(entries) * word_bytes(bits)


@dataclass(frozen=True, kw_only=True)
class RegisterMap:
    """The registers and windows of a core. `name` is an identifier, in small letters."""

    name: str
    title: str
    meaning: str
    registers: tuple[Register, ...]
    windows: tuple[Window, ...]

    def __post_init__(self) -> None:
        spans = [(r.address, r.address + REGISTER_BYTES, r.name) for r in self.registers]
        spans += [(w.base, w.base + w.size, w.name) for w in self.windows]
        spans.sort()
        for (_, end, before), (begin, _, after) in pairwise(spans):
            if begin < end:
                raise ValueError(f"{before} and {after} must not share addresses: the first ends at {end:#x}")
        if self.windows and min(w.base for w in self.windows) < self.registers_size:
            raise ValueError(f"windows must begin behind the registers, at {self.registers_size:#x} or later")
        names = [name for _, _, name in spans]
        if len(set(names)) != len(names):
            raise ValueError("registers and windows must have different names")

    @cached_property
    def registers_size(self) -> int:
        """Bytes that the registers take: a power of two."""
        return power_of_two_at_least(max(r.address for r in self.registers) + REGISTER_BYTES)

    @cached_property
    def address_bits(self) -> int:
        """Bits of an address of the bus."""
        end = max([self.registers_size, *(w.base + w.size for w in self.windows)])
        return (end - 1).bit_length()

    def register(self, name: str) -> Register:
        return next(register for register in self.registers if register.name == name)

    def window(self, name: str) -> Window:
        return next(window for window in self.windows if window.name == name)

    def fields(self, kind: Kind) -> Iterator[tuple[Register, Field]]:
        """All fields of a kind."""
        return ((register, field) for register in self.registers for field in register.fields if field.kind is kind)


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"a {what} must have a name of capital letters, digits and underscores, not {name!r}")
