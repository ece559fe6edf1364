"""Columns of comparators that sort blocks (Batcher's bitonic network), with registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data

Column = list[tuple[int, int]]
"""Comparators that work side by side: each puts the smaller entry in the first of its places, the larger in the
second."""


def settling(width: int) -> list[Column]:
    """The columns that sort a bitonic block of a power of two of entries, also one that begins at any place and goes on
    from its end to its beginning: log2(width) of them."""
    distances = [width >> level for level in range(1, width.bit_length())]
    return [[(place, place + far) for place in range(width) if not place & far] for far in distances]


def sorting(width: int) -> list[Column]:
    """The columns that sort any block of a power of two of entries: neighbours are merged, then pairs, then fours."""
    columns: list[Column] = []
    for size in (1 << level for level in range(width.bit_length() - 1)):
        groups = range(0, width, 2 * size)
        # The first entry of one half meets the last of the other: both halves of what comes out are bitonic.
        columns.append([(first + place, first + 2 * size - 1 - place) for first in groups for place in range(size)])
        for column in settling(size):
            columns.append([(first + low, first + high) for first in range(0, width, size) for low, high in column])
    return columns


def less(x: Value, y: Value) -> Value:
    """Whether x is less than y. A subtraction ends a carry chain without a look-up table behind it."""
    return (x - y)[-1]


def pipeline(m: Module, advance: Value, valid: Value, block: Any, columns: Sequence[Column]) -> tuple[Value, Any]:
    """Sends blocks (block_layout) through columns of comparators, in two cycles each: one compares, the next exchanges.
    (On an FPGA, the way from a comparator to both entries it exchanges takes as long as the comparison.) Returns
    whether there is a block behind the last column, and the block."""
    layout = data.StructLayout({"valid": 1, "block": block.shape()})
    for number, column in enumerate(columns):
        compared, exchanged = Signal(layout, name=f"compared{number}"), Signal(layout, name=f"exchanged{number}")
        swaps = Signal(len(column), name=f"swaps{number}")
        with m.If(advance):
            m.d.sync += [compared.valid.eq(valid), compared.block.eq(block), exchanged.eq(compared)]
            before, after = (values(one.entries) for one in (block, compared.block))
            for swap, (low, high) in zip(swaps, column, strict=True):
                m.d.sync += [
                    swap.eq(less(before[high], before[low])),
                    exchanged.block.entries[low].eq(Mux(swap, after[high], after[low])),
                    exchanged.block.entries[high].eq(Mux(swap, after[low], after[high])),
                ]
        valid, block = exchanged.valid, exchanged.block
    return valid, block


def values(entries: Any) -> list[Value]:
    """Entries as the numbers that are compared."""
    return [entries[lane].as_value() for lane in range(len(entries))]
