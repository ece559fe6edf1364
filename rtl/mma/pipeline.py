"""Registers between the stages of a pipeline."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Module, Signal, Value


def register(m: Module, value: Value, name: str) -> Signal:
    """The value in the next cycle."""
    copy = Signal.like(value, name=name)
    m.d.sync += copy.eq(value)
    return copy


def registers(m: Module, values: Iterable[Value], name: str) -> list[Signal]:
    """Each of the values in the next cycle."""
    return [register(m, value, f"{name}{i}") for i, value in enumerate(values)]


def delay(m: Module, value: Value, name: str, cycles: int) -> Value:
    """The value so many cycles later."""
    for cycle in range(cycles):
        value = register(m, value, f"{name}_{cycle}")
    return value
