"""Leading non-zero detection."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for


class LnzdNode(wiring.Component):
    """Node of the quadtree: selects the first of four children whose flag is set, and its index.

    Combinational.

    Parameters
    ----------
    child_bits
        Width of a child's index; 0 in the lowest nodes, whose children are flags without an index.

    Ports
    -----
    child_any : 4, in
        Flag of each child: it holds a set bit.
    child_several : 4, in
        Flag of each child: it holds more than one; no port if `child_bits` is 0.
    child_index : child_bits, array of 4, in
        Index of the first set bit of each child; no port if `child_bits` is 0.
    any : 1, out
        High if a child's flag is set.
    several : 1, out
        High if more than one bit is set.
    index : child_bits + 2, out
        The upper two bits are the number of that child, the lower bits its own index.
    """

    def __init__(self, child_bits: int) -> None:
        self.child_bits = child_bits
        ports = {"child_any": In(4), "any": Out(1), "several": Out(1), "index": Out(child_bits + 2)}
        if child_bits:
            ports |= {"child_several": In(4), "child_index": In(child_bits).array(4)}
        super().__init__(ports)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        one_of_four = (0b0000, 0b0001, 0b0010, 0b0100, 0b1000)
        several = ~self.child_any.matches(*one_of_four)
        m.d.comb += [
            self.any.eq(self.child_any.any()),
            self.several.eq(several | self.child_several.any() if self.child_bits else several),
        ]
        for child in reversed(range(4)):
            with m.If(self.child_any[child]):
                below = [self.child_index[child]] if self.child_bits else []
                m.d.comb += self.index.eq(Cat(*below, Const(child, 2)))
        return m


class Lnzd(wiring.Component):
    """Finds the lowest set bit of `width` flags with a quadtree of nodes (EIE section IV, distributed leading
    non-zero detection; 64 flags take its 16 + 4 + 1 nodes).

    Combinational.

    Parameters
    ----------
    width
        Number of flags, at least 2. ValueError otherwise.

    Ports
    -----
    i : width, in
        The flags.
    any : 1, out
        High if a flag is set.
    several : 1, out
        High if more than one is set.
    index : bits_for(width), out
        Number of the lowest set flag; zero if there is none.
    rest : width, out
        The flags without the lowest set one.
    """

    def __init__(self, width: int) -> None:
        if width < 2:
            raise ValueError(f"width must be at least 2, not {width}")
        self.width = width
        super().__init__(
            {
                "i": In(width),
                "any": Out(1),
                "several": Out(1),
                "index": Out(bits_for(width)),
                "rest": Out(width),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # The flags of one level of the tree, and the nodes that drive them.
        flags: list[Any] = list(self.i)
        nodes: list[LnzdNode] = []
        height = 0
        while len(flags) > 1:
            parents = []
            for first in range(0, len(flags), 4):
                m.submodules[f"node_{height}_{first // 4}"] = node = LnzdNode(2 * height)
                m.d.comb += node.child_any.eq(Cat(flags[first : first + 4]))
                for child, below in enumerate(nodes[first : first + 4]):
                    m.d.comb += [node.child_several[child].eq(below.several), node.child_index[child].eq(below.index)]
                parents.append(node)
            nodes, flags, height = parents, [node.any for node in parents], height + 1
        m.d.comb += [
            self.any.eq(nodes[0].any),
            self.several.eq(nodes[0].several),
            self.index.eq(nodes[0].index),
            self.rest.eq(self.i & (self.i - 1)),
        ]
        return m
