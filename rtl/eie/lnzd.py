"""Leading non-zero detection."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for


class LnzdNode(wiring.Component):
    """Node of the quadtree: of four children, each with a flag and an index, the first that has its flag up.

    Combinational. `any` tells whether there is one; `index` is its number, then the child's own index below it. The
    children of the lowest nodes are flags, without an index (`child_bits` is 0).
    """

    def __init__(self, child_bits: int) -> None:
        self.child_bits = child_bits
        ports = {"child_any": In(4), "any": Out(1), "index": Out(child_bits + 2)}
        if child_bits:
            ports["child_index"] = In(child_bits).array(4)
        super().__init__(ports)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.any.eq(self.child_any.any())
        for child in reversed(range(4)):
            with m.If(self.child_any[child]):
                below = [self.child_index[child]] if self.child_bits else []
                m.d.comb += self.index.eq(Cat(*below, Const(child, 2)))
        return m


class Lnzd(wiring.Component):
    """Finds the lowest set bit of `width` flags with a quadtree of nodes (EIE section IV, distributed leading
    non-zero detection; 64 flags take its 16 + 4 + 1 nodes).

    Combinational. `index` is zero where `any` is low.
    """

    def __init__(self, width: int) -> None:
        if width < 2:
            raise ValueError(f"width must be at least 2, not {width}")
        self.width = width
        super().__init__({"i": In(width), "any": Out(1), "index": Out(bits_for(width))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # Flags of one level of the tree, and the nodes that give them.
        flags: list[Any] = list(self.i)
        nodes: list[LnzdNode] = []
        height = 0
        while len(flags) > 1:
            parents = []
            for first in range(0, len(flags), 4):
                m.submodules[f"node_{height}_{first // 4}"] = node = LnzdNode(2 * height)
                m.d.comb += node.child_any.eq(Cat(flags[first : first + 4]))
                for child, below in enumerate(nodes[first : first + 4]):
                    m.d.comb += node.child_index[child].eq(below.index)
                parents.append(node)
            nodes, flags, height = parents, [node.any for node in parents], height + 1
        m.d.comb += [self.any.eq(nodes[0].any), self.index.eq(nodes[0].index)]
        return m
