"""Components that tools must treat as wholes: emitted once, or kept apart by synthesis."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.lib import wiring


def once(component: wiring.Component, platform: Any) -> Elaboratable:
    """The component itself, or, on a platform that has a method `get_once(component)`, what that returns: an instance
    of a module that serves for all components of the same class and geometry.

    Amaranth emits a module for every instance: the simulators would compile an array of 64 equal PEs 64 times over.
    """
    return platform.get_once(component) if hasattr(platform, "get_once") else component


def apart(component: wiring.Component, platform: Any) -> Elaboratable:
    """A combinational component itself, or, on a platform that has a method `get_apart(component)`, what that returns:
    an instance of a module that synthesis does not take apart, because it would not find as good a solution again."""
    return platform.get_apart(component) if hasattr(platform, "get_apart") else component
