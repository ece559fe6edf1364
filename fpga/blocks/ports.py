"""Any component behind two pins, so that it can be placed and routed alone."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class BehindPins(wiring.Component):
    """`component` with all its inputs in a shift register and a register, and its outputs in a register and a shift
    register that adds them modulo 2: every path in the component runs from register to register, and no path around it
    is as long as those inside.

    Ports
    -----
    si, so : 1
        The first bit of the one, and the last bit of the other shift register.
    """

    def __init__(self, component: Any) -> None:
        self.component = component
        super().__init__({"si": In(1), "so": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.component = component = self.component
        inputs: list[Any] = []
        outputs: list[Any] = []
        for _, member, port in component.signature.flatten(component):
            value = Value.cast(port)
            # The `ready` of a stream that is always ready is a constant.
            if not isinstance(value, Const):
                (outputs if member.flow is Out else inputs).append(value)
        width = sum(len(value) for value in inputs)
        shifted, held = Signal(max(width, 1)), Signal(max(width, 1))
        m.d.sync += [shifted.eq(Cat(self.si, shifted)), held.eq(shifted)]
        m.d.comb += Cat(*inputs).eq(held)

        caught = Signal(max(sum(len(value) for value in outputs), 1))
        leaving = Signal.like(caught)
        m.d.sync += [caught.eq(Cat(*outputs)), leaving.eq(caught ^ (leaving >> 1))]
        m.d.comb += self.so.eq(leaving[0])
        return m
