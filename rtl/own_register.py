"""A register that is near to what it serves."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class OwnRegister(wiring.Component):
    """A register of which others hold the same.

    Where many blocks far from each other see one signal, each has its own register: a single one cannot be near to all
    of them, and logic behind a long wire has little of the cycle left. But synthesis merges registers that are equal. A
    platform that has a method `get_own_register(register)` prevents that: it returns an Elaboratable that drives `o`.

    Latency: one cycle. Throughput: one value a cycle.

    Parameters
    ----------
    width
        Bits, at least 1. ValueError otherwise.
    resets
        Whether a reset empties it.

    Ports
    -----
    i : width, in
        The next value.
    o : width, out
        The value, 0 at first.
    """

    def __init__(self, width: int, *, resets: bool) -> None:
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        self.width = width
        self.resets = resets
        super().__init__({"i": In(width), "o": Out(width)})

    def elaborate(self, platform: Any) -> Elaboratable:
        if hasattr(platform, "get_own_register"):
            chosen: Elaboratable = platform.get_own_register(self)
            return chosen
        m = Module()
        register = Signal(self.width, reset_less=not self.resets)
        m.d.sync += register.eq(self.i)
        m.d.comb += self.o.eq(register)
        return m
