"""Leading non-zero detection."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from model.formats.geometry import bits_for


class LnzdNode(wiring.Component):
    """Node of the quadtree: of four children, each with a flag and an index, the first that has its flag up.

    Combinational. `any` tells whether there is one; `index` is its number, then the child's own index below it.
    """

    def __init__(self, child_bits: int) -> None:
        self.child_bits = child_bits
        super().__init__(
            {
                "child_any": In(4),
                "child_index": In(child_bits).array(4),
                "any": Out(1),
                "index": Out(child_bits + 2),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.any.eq(self.child_any.any())
        for child in reversed(range(4)):
            with m.If(self.child_any[child]):
                m.d.comb += self.index.eq(Cat(self.child_index[child], Const(child, 2)))
        return m


class Lnzd(wiring.Component):
    """Finds the lowest set bit of `width` flags with a quadtree of nodes (EIE section IV, distributed leading
    non-zero detection; 64 flags take its 16 + 4 + 1 nodes).

    Combinational. `index` is zero where `any` is low.
    """

    def __init__(self, width: int) -> None:
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        self.width = width
        super().__init__({"i": In(width), "any": Out(1), "index": Out(bits_for(width))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        level = [(flag, Signal(0, name="leaf")) for flag in self.i]
        height = 0
        while len(level) > 1:
            parents = []
            for first in range(0, len(level), 4):
                children = level[first : first + 4]
                m.submodules[f"node_{height}_{first // 4}"] = node = LnzdNode(2 * height)
                for child, (flag, index) in enumerate(children):
                    m.d.comb += [node.child_any[child].eq(flag), node.child_index[child].eq(index)]
                parents.append((node.any, node.index))
            level, height = parents, height + 1
        flag, index = level[0]
        m.d.comb += [self.any.eq(flag), self.index.eq(index)]
        return m
