"""Checks the metadata."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern
from zeroskip.rtl.mma.selector import indices


class Checker(wiring.Component):
    """Detects illegal codes of a row of A: indices that do not increase (strict), or two equal indices (relaxed; PTX
    ISA 9.1, section 9.7.14.6.3, `mma.sp::ordered_metadata` and `mma.sp`). For 1:2, all codes except 0100 and 1110
    are illegal.

    Combinational.

    Parameters
    ----------
    geometry : TileGeometry
        With a sparse pattern.

    Ports
    -----
    codes : array of groups codes, in
        Metadata of a step of a row of A.
    illegal : 1, out
        High if any of them is illegal.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "codes": In(data.ArrayLayout(geometry.pattern.code_bits, geometry.groups)),
                "illegal": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        strict = self.geometry.check == "strict"
        codes = [self.codes[group] for group in range(self.geometry.groups)]
        m.d.comb += self.illegal.eq(Cat(_illegal(code, self.geometry.pattern, strict) for code in codes).any())
        return m


def _illegal(code: Value, pattern: Pattern, strict: bool) -> Value:
    if pattern.halves:
        return (code != 0b0100) & (code != 0b1110)
    positions = indices(code, pattern)
    if strict:
        faults = [low >= high for low, high in pairwise(positions)]
    else:
        faults = [one == other for i, one in enumerate(positions) for other in positions[:i]]
    return Cat(*faults).any() if faults else Cat(0)
