"""Cores by themselves, as simulators build them for benches that drive their ports."""

from __future__ import annotations

from typing import Any

from zeroskip.cosim.build import Design, geometry_key
from zeroskip.cosim.emit import emit_verilog
from zeroskip.model.sources import PACKAGE


def bare_design(component: type[Any], geometry: Any, top: str, **options: int) -> Design:
    """A component of a geometry, and of `options` that its constructor takes, as the module `top`."""
    return Design(
        component=component,
        key=" ".join([geometry_key(geometry), *map(str, options.values())]),
        top=top,
        verilog=lambda: emit_verilog(component(geometry, **options), top),
        sources=(PACKAGE / "cosim/sram.v",),
    )
