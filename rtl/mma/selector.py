# amaranth: UnusedElaboratable=no
# (a component that synthesis keeps apart is an instance in the design: zeroskip.rtl.hierarchy)
"""The multiplexers that make a tile sparse: metadata codes choose among the rows of B."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern
from zeroskip.rtl.hierarchy import keep_apart


class Selector(wiring.Component):
    """Selects the `k` values of a column of B that the codes of a row of A name: lane l of a group takes position
    `index_l` of that group of B, `pair` values each (PTX ISA 9.1, section 9.7.14.6.1). The result is defined for
    illegal codes too.

    Combinational.

    Parameters
    ----------
    geometry : TileGeometry
        With a sparse pattern.

    Ports
    -----
    codes : array of groups codes, in
        Metadata of a step of a row of A.
    window : array of window operands, in
        A column of B.
    chosen : array of k operands, out
        The values that the row multiplies.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        width = geometry.operand.operand_bits
        super().__init__(
            {
                "codes": In(data.ArrayLayout(geometry.pattern.code_bits, geometry.groups)),
                "window": In(data.ArrayLayout(width, geometry.window)),
                "chosen": Out(data.ArrayLayout(width, geometry.k)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pattern = self.geometry.pattern
        for group in range(self.geometry.groups):
            for lane, index in enumerate(indices(self.codes[group], pattern)):
                for t in range(pattern.pair):
                    places = [
                        self.window[group * pattern.group + i * pattern.pair + t] for i in range(pattern.positions)
                    ]
                    m.d.comb += self.chosen[group * pattern.keep + lane * pattern.pair + t].eq(
                        _choose(m, platform, index, places)
                    )
        return m


class Lower(wiring.Component):
    """The first half of a 4-to-1 multiplexer. If the upper bit of the index is set, its output is the lower bit, so
    that the second half needs no third look-up table for that bit. Synthesis would undo this: set keep_hierarchy on
    it, as zeroskip.fpga.synthesis does (zeroskip.rtl.hierarchy.keep_apart).

    Combinational.

    Parameters
    ----------
    width
        Bits of a value.

    Ports
    -----
    index : 2, in
        Number of the wanted value, of four.
    zero : width, in
        Value 0.
    one : width, in
        Value 1.
    chosen : width, out
        Value 0 or 1, or the lower bit of the index in each place.
    """

    def __init__(self, width: int) -> None:
        super().__init__({"index": In(2), "zero": In(width), "one": In(width), "chosen": Out(width)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lower, upper = self.index[0], self.index[1]
        m.d.comb += self.chosen.eq(Mux(upper, lower.replicate(len(self.zero)), Mux(lower, self.one, self.zero)))
        return m


def indices(code: Value, pattern: Pattern) -> list[Value]:
    """The position that each lane of a group takes."""
    if pattern.halves:
        # 0100 and 1110 are indices of halves of values: the upper bit of a half's index is the index of its value.
        return [code[1]]
    return [code.word_select(lane, pattern.index_bits) for lane in range(pattern.lanes)]


def _choose(m: Module, platform: Any, index: Value, places: Sequence[Value]) -> Value:
    """places[index]"""
    if len(places) == 1:
        return places[0]
    if len(places) == 2:
        return Mux(index, places[1], places[0])
    if len(places) == 4:
        # Two 4-input look-up tables a bit; a tree of multiplexers takes three.
        first = Lower(len(places[0]))
        m.submodules += keep_apart(first, platform, parameters=len(places[0]))
        m.d.comb += [first.index.eq(index), first.zero.eq(places[0]), first.one.eq(places[1])]
        # For each bit: if the upper bit is set, the first half selects value 3 or 2.
        return Mux(index[1], (first.chosen & places[3]) | (~first.chosen & places[2]), first.chosen)
    half = len(places) // 2
    return Mux(
        index[-1], _choose(m, platform, index[:-1], places[half:]), _choose(m, platform, index[:-1], places[:half])
    )
