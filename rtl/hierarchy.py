"""Submodules that stay modules of their own: emitted once for all of their instances, or kept apart by synthesis."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.lib import wiring


def emit_once(component: wiring.Component, platform: Any, *, parameters: Hashable) -> Elaboratable:
    """Returns what to add to the design in place of `component`, when the design holds many equal ones.

    `parameters` is what, together with the class, determines the component: components of one class with equal
    parameters share one module. A platform that has a method `get_once(component, parameters)` returns an instance of
    that module; elsewhere this is the component itself.

    Amaranth emits a module for every instance: without this, the simulators compile an array of 64 equal PEs 64 times.
    """
    return platform.get_once(component, parameters) if hasattr(platform, "get_once") else component


def keep_apart(
    component: wiring.Component, platform: Any, *, parameters: Hashable, clocked: bool = False
) -> Elaboratable:
    """Returns what to add to the design in place of a `component` that synthesis must not flatten: the flattened logic
    is larger, or is to be compared with that of another design that holds the same component.

    A platform that has a method `get_apart(component, parameters, clocked)` returns an instance of a module that keeps
    its hierarchy; `parameters` are those of `emit_once`. Elsewhere this is the component itself. A component without
    registers is not `clocked`.
    """
    return platform.get_apart(component, parameters, clocked) if hasattr(platform, "get_apart") else component
