"""What travels over the ports of the tile and of the GEMM around it."""

from __future__ import annotations

from amaranth.lib import data

from model.formats.geometry import bits_for
from model.formats.numerics import IntFormat
from model.formats.tile import TileGeometry
from rtl.mma.float_dot import FloatDot
from rtl.mma.int_dot import IntDot
from rtl.mma.timing import Timing


def timing(geometry: TileGeometry) -> Timing:
    """That of the geometry's dot-product units."""
    return IntDot.timing if isinstance(geometry.operand, IntFormat) else FloatDot.timing


def values_layout(geometry: TileGeometry) -> data.ArrayLayout:
    """`k` kept values of each of the `m` rows of A."""
    return data.ArrayLayout(data.ArrayLayout(geometry.operand.operand_bits, geometry.k), geometry.m)


def codes_layout(geometry: TileGeometry) -> data.ArrayLayout:
    """The metadata codes of those values, group by group."""
    return data.ArrayLayout(data.ArrayLayout(geometry.pattern.code_bits, geometry.groups), geometry.m)


def window_layout(geometry: TileGeometry) -> data.ArrayLayout:
    """`window` rows of B, column by column."""
    return data.ArrayLayout(data.ArrayLayout(geometry.operand.operand_bits, geometry.window), geometry.n)


def results_layout(geometry: TileGeometry) -> data.ArrayLayout:
    """`m` x `n` values of C or D, row by row."""
    return data.ArrayLayout(data.ArrayLayout(geometry.result.bits, geometry.n), geometry.m)


def step_layout(geometry: TileGeometry) -> data.StructLayout:
    """A step of the tile: what it multiplies, and for whose sum.

    `slot` names the sum, which begins with `c` where `first` and is the result where `last`. Where `dense`, codes count
    for nothing and phase p of `phases` takes the places of the window that `dense_places` names.
    """
    fields: dict[str, object] = {
        "a": values_layout(geometry),
        "b": window_layout(geometry),
        "c": results_layout(geometry),
        "first": 1,
        "last": 1,
        "slot": bits_for(timing(geometry).slots),
    }
    if not geometry.pattern.dense:
        fields["codes"] = codes_layout(geometry)
        fields["dense"] = 1
        fields["phase"] = bits_for(geometry.phases)
    return data.StructLayout(fields)  # type: ignore[arg-type]
