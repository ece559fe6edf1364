"""Runs the cocotb bench of a core on a bus."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from support.rdl import facts

from zeroskip.cosim.build import Design
from zeroskip.cosim.simulator import Simulator
from zeroskip.rtl.bus.register_map import RegisterMap


def run_bench(bench: str, design: Design, described: RegisterMap, *, bus: str, geometry: Any, folder: Path) -> None:
    """All tests of a bench of zeroskip.cosim.bus, which holds the hardware to what a SystemRDL compiler reads."""
    (folder / "geometry.json").write_text(json.dumps(dataclasses.asdict(geometry)))
    (folder / "map.json").write_text(json.dumps(facts(described, folder)))
    design.build(Simulator.VERILATOR).run(
        bench=f"zeroskip.cosim.bus.{bench}",
        folder=folder,
        plusargs={"bus": bus, "geometry": folder / "geometry.json", "map": folder / "map.json"},
        seed=12,
    )
