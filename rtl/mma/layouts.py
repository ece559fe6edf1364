"""Layouts of the words that pass over the ports of the tile and of the GEMM around it."""

from __future__ import annotations

from amaranth.hdl import unsigned
from amaranth.lib import data, enum

from zeroskip.model.bits import bits_for
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import IntFormat, block_rule
from zeroskip.rtl.mma.float_dot import FloatDot
from zeroskip.rtl.mma.int_dot import IntDot
from zeroskip.rtl.mma.step_dot import StepDot
from zeroskip.rtl.mma.timing import Timing


def dot_class(geometry: TileGeometry) -> type[IntDot | FloatDot | StepDot]:
    """The geometry's dot-product unit."""
    if isinstance(geometry.operand, IntFormat):
        return IntDot
    rule = block_rule(geometry.generation, geometry.dtype, geometry.out)
    return StepDot if rule.addend_last else FloatDot


def timing(geometry: TileGeometry) -> Timing:
    """The timing of the geometry's dot-product units."""
    return dot_class(geometry).timing_of(geometry)


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
    """A step of the tile: its operands, and the sum to which it belongs.

    `slot` names the sum. It begins with `c` if `first` is set; it is the result if `last` is set. If `dense` is set,
    the codes are ignored and phase p of `phases` takes the window's positions from `dense_places`.
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
    return data.StructLayout(fields)


class MatrixTarget(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]
    """The memory that a transfer over the load port of a Gemm writes."""

    A = 0
    """Word `address` of row `bank`: `a_row_layout`."""
    B = 1
    """Word `address` of column `bank`: `window` values, the first row of B in the lowest bits."""
    C = 2
    """Word `address` of row `bank`: `n` values, the first column in the lowest bits."""


def a_row_layout(geometry: TileGeometry) -> data.StructLayout:
    """A row's word of A: the values of a step and their codes."""
    fields = {"values": values_layout(geometry).elem_shape}
    if not geometry.pattern.dense:
        fields["codes"] = codes_layout(geometry).elem_shape
    return data.StructLayout(fields)


def load_layout(geometry: TileGeometry) -> data.StructLayout:
    """A transfer of the load port: `data` goes to `address` of `bank` of the memory `target` (see MatrixTarget)."""
    words = (a_row_layout(geometry), window_layout(geometry).elem_shape, results_layout(geometry).elem_shape)
    return data.StructLayout(
        {
            "target": MatrixTarget,
            "bank": bits_for(max(geometry.m, geometry.n)),
            "address": bits_for(max(geometry.a_words, geometry.b_words, geometry.d_words)),
            "data": max(layout.size for layout in words),
        }
    )


def read_layout(geometry: TileGeometry) -> data.StructLayout:
    """A request for the word `address` of row `bank` of D."""
    return data.StructLayout({"bank": bits_for(geometry.m), "address": bits_for(geometry.d_words)})


def job_layout(geometry: TileGeometry) -> data.StructLayout:
    """A product of two matrices in the memories, in tiles of `m` x `n` sums: `rows` tiles down A, `sums` tiles in all.

    Tile i of A lies at `a_base + i * steps`, one word for each step; column tile j of B at `b_base + j * windows`, one
    word for each window; C and D, tile by tile down the columns, at `d_base`. A window takes one step, or `phases`
    steps if `dense` is set; the last window may take fewer. `rows`, `sums`, `windows` and `steps` are at least 1.
    """
    fields = {
        "a_base": bits_for(geometry.a_words),
        "b_base": bits_for(geometry.b_words),
        "d_base": bits_for(geometry.d_words),
        "rows": bits_for(geometry.d_words + 1),
        "sums": bits_for(geometry.d_words + 1),
        "windows": bits_for(geometry.b_words + 1),
        "steps": bits_for(geometry.a_words + 1),
    }
    if not geometry.pattern.dense:
        fields["dense"] = 1
    return data.StructLayout(fields)


def fetch_layout(geometry: TileGeometry) -> data.StructLayout:
    """The addresses of a step's words in the memories, and what the tile needs to know about the step."""
    fields = {
        "a": bits_for(geometry.a_words),
        "b": bits_for(geometry.b_words),
        "d": bits_for(geometry.d_words),
        "first": 1,
        "last": 1,
        "slot": bits_for(timing(geometry).slots),
    }
    if not geometry.pattern.dense:
        fields |= {"dense": 1, "phase": bits_for(geometry.phases)}
    return data.StructLayout(fields)
