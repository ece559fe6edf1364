"""What the packages of all cores on buses have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zeroskip.cosim.bus.player import TITLES, WRITES
from zeroskip.cosim.package.description import Description
from zeroskip.model.cores import CORES, UNITS
from zeroskip.model.sources import PACKAGE

WAVE_CYCLES = 16
"""Cycles of a timing diagram."""

AXI_LITE = ("axi_lite_access.v", "axi_lite_ports.v")
"""What the ports of the player for AXI include."""


def describe(
    core: str,
    bus: str,
    component: Any,
    geometry: Any,
    *,
    latency: Mapping[str, int | str],
    shows: str,
    others: Sequence[Any] = (),
    wave_cycles: int = WAVE_CYCLES,
    defines: Mapping[str, int] | None = None,
    files: Mapping[str, str] | None = None,
    targets: str = "",
) -> Description:
    """A component of `core` and `geometry` on a bus, one of TITLES. Its timing diagram has the write of a register and
    the signals `others` (WaveJSON), and `shows` says what is seen."""
    written = [{**one, "wave": one["wave"][:wave_cycles]} for one in WRITES[bus]]
    return Description(
        core=core,
        title=f"{(CORES | UNITS)[core].title} on {TITLES[bus]}",
        prefix=core,
        component=component,
        geometry=geometry,
        words={},
        enums={},
        latency={"an access to a register to its answer": component.access_latency, **latency},
        player=PACKAGE / "cosim/bus/bus_player.v",
        player_top="bus_player",
        instance=f"    eie_{_name(bus)}_array array (",
        defines={**(defines or {}), "ADDRESS_BITS": component.described.address_bits},
        waves={
            "signal": [
                {"name": "clk", "wave": "p".ljust(wave_cycles, ".")},
                {"name": "rst", "wave": "10".ljust(wave_cycles, ".")},
                ["write", *written],
                *others,
            ],
            "head": {"text": shows},
        },
        registers=component.described,
        inlined=_inlined(bus),
        files=files or {},
        targets=targets,
    )


def _name(bus: str) -> str:
    return bus.replace("-", "_")


def _inlined(bus: str) -> dict[str, Path]:
    folder = PACKAGE / "cosim/bus"
    # The ports come first: they include the others.
    return {"host_port.v": folder / f"{_name(bus)}_port.v", **{name: folder / name for name in AXI_LITE}}
