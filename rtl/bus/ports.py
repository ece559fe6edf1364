"""Signatures of the ports of the bus wrappers, as seen by the side that begins."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES


class Refusal(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]
    """Why an access changed nothing, and has no answer."""

    NONE = 0
    """It was obeyed."""
    LOCKED = 1
    """The core is in use."""
    ILLEGAL = 2
    """What is there does not take it: it is read-only or write-only, a value is out of range, or a word of a window was
    not written in whole and in order."""
    UNMAPPED = 3
    """Nothing is there."""


def access_port(address_bits: int) -> wiring.Signature:
    """An access to a register or a window, one at a time. Everything stands still from `valid` to `done`.

    Members
    -------
    valid : 1, out
        An access is wanted.
    write : 1, out
        Whether it writes.
    address : address_bits, out
        Byte address. The lowest two bits are ignored.
    data : 32, out
        What to write.
    strobe : 4, out
        Which bytes of it.
    done : 1, in
        The access has ended. In the next cycle, `valid` is low or means another one.
    answer : 32, in
        What was read; zero where it was refused.
    refusal : Refusal, in
        Whether it was obeyed.
    """
    return wiring.Signature(
        {
            "valid": Out(1),
            "write": Out(1),
            "address": Out(address_bits),
            "data": Out(REGISTER_BITS),
            "strobe": Out(REGISTER_BYTES),
            "done": In(1),
            "answer": In(REGISTER_BITS),
            "refusal": In(Refusal),
        }
    )


def beat_layout(values: int, value_bits: int) -> data.StructLayout:
    """A transfer of an AXI4-Stream: `values` numbers, the first in the lowest bits, and which of their bytes count."""
    bits = values * value_bits
    return data.StructLayout({"data": bits, "keep": bits // 8, "last": 1})


def beat_stream(values: int, value_bits: int) -> Any:
    """A stream of `beat_layout`."""
    return stream.Signature(beat_layout(values, value_bits))
