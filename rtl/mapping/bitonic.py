"""Columns of comparators that merge sorted blocks (Batcher's bitonic merger)."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Mux, Signal, Value


def exchange(
    m: Module, lower: Sequence[Value], upper: Sequence[Value], name: str, *, keep: Value | None = None
) -> tuple[list[Value], list[Value]]:
    """One column: puts the smaller of each pair in the first list. Two sorted blocks, the second one reversed, become
    the smaller half and the larger half of their values, each a bitonic sequence. With `keep`, nothing moves."""
    low: list[Value] = []
    high: list[Value] = []
    free = Const(1) if keep is None else ~keep
    for lane, (x, y) in enumerate(zip(lower, upper, strict=True)):
        swap, small, large = (
            Signal(name=f"{name}_swap{lane}"),
            Signal.like(x, name=f"{name}_low{lane}"),
            Signal.like(x, name=f"{name}_high{lane}"),
        )
        m.d.comb += [swap.eq(free & (x > y)), small.eq(Mux(swap, y, x)), large.eq(Mux(swap, x, y))]
        low.append(small)
        high.append(large)
    return low, high


def settle(m: Module, values: Sequence[Value], name: str) -> list[Value]:
    """Sorts a bitonic sequence of a power of two of values, in log2 columns."""
    if len(values) == 1:
        return list(values)
    half = len(values) // 2
    low, high = exchange(m, values[:half], values[half:], f"{name}_{half}")
    return settle(m, low, f"{name}l") + settle(m, high, f"{name}h")


def merge(m: Module, lower: Sequence[Value], upper: Sequence[Value], name: str) -> list[Value]:
    """Merges two sorted blocks into one."""
    low, high = exchange(m, lower, list(reversed(upper)), name)
    return settle(m, low, f"{name}l") + settle(m, high, f"{name}h")
