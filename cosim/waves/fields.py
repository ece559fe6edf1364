"""Fields of structures, taken out of the bits of a waveform: many times faster than Amaranth's views."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from amaranth.hdl import Shape
from amaranth.lib import data


def fields(layout: data.StructLayout) -> Callable[[int], dict[str, int]]:
    """A function from the bits of a structure to its fields by name, signed where they are."""
    places = [(str(name), one.offset, one.width, Shape.cast(one.shape).signed) for name, one in layout]

    def split(bits: int) -> dict[str, int]:
        return {name: number(bits, offset, width, signed=signed) for name, offset, width, signed in places}

    return split


def elements(layout: data.ArrayLayout, bits: int) -> Iterator[int]:
    """The bits of each element of an array."""
    for _, one in layout:
        yield number(bits, one.offset, one.width)


def number(bits: int, offset: int, width: int, *, signed: bool = False) -> int:
    """The number in `width` bits from `offset` on."""
    value = bits >> offset & (1 << width) - 1
    return value - (1 << width) if signed and value >> (width - 1) else value
