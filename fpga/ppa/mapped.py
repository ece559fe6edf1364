"""A component mapped to standard cells by Yosys, before layout.

What was mapped is kept in the cache under the hash of the RTLIL, the library and the tools.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroskip.fpga.ppa.liberty import Liberty
from zeroskip.fpga.ppa.sram import Macro, MacroMemories, Size, cell_name, library
from zeroskip.fpga.tools import YOSYS, ToolError
from zeroskip.model.cache import kept
from zeroskip.model.files import save_json
from zeroskip.model.sources import PACKAGE, files_hash
from zeroskip.model.temporary import TemporaryFolder
from zeroskip.rtl.emit import emit_rtlil

TOP = "top"
CLOCK_PS = 2000
"""The clock that the mapping aims at. It makes what is slower faster where it can; what is faster stays small."""

GATED = 3
"""Registers with the same enable from which on a gate of their clock takes less area than a multiplexer for each."""

LOAD_FF = 10
"""Capacitance at every output of a block: a few gates."""

GATES = "&get,-n;&st;&if,-g,-K,6;&put;dch,-f;map,-B,0.9,{D};topo;buffer,-c;topo;upsize,-c,{D};dnsize,-c,{D};stime,-p"
"""The mapping of the combinational logic, by ABC: balanced for its depth, mapped, buffered, and its gates sized."""

ADDERS = "+/choices/han-carlson.v"
"""How adders are built: as fast as Kogge and Stone's but for one gate, with half as many cells."""


@dataclass(frozen=True, kw_only=True)
class Unmapped:
    """A component as RTLIL. `units` are its submodules that stay modules of their own, and `sizes` the memories in
    it."""

    rtlil: str
    units: tuple[str, ...]
    sizes: frozenset[Size]


@dataclass(frozen=True, kw_only=True)
class Area:
    """`cells` is the area of the standard cells, and `sequential` that of the flip-flops among them, in the unit of the
    library. `memories` counts the SRAM macros by their size."""

    cells: float
    sequential: float
    memories: Counter[Size]

    def of_memories(self, table: Mapping[Size, Macro]) -> float:
        return sum(count * table[size].area for size, count in self.memories.items())


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """`area` is that of all, `units` that of each unit, and `netlist` the file with the netlist, in Verilog."""

    area: Area
    units: dict[str, Area]
    netlist: Path


def unmapped(component: Any, *, keep_units: bool = False) -> Unmapped:
    """Emits a component; with `keep_units`, its direct submodules are not flattened into it."""
    platform = MacroMemories()
    rtlil = emit_rtlil(component, TOP, platform)
    units = re.findall(rf"^module \\{TOP}\.(\w+)$", rtlil, re.M) if keep_units else []
    return Unmapped(rtlil=rtlil, units=tuple(units), sizes=frozenset(platform.sizes))


def map_to_cells(design: Unmapped, liberty: Liberty) -> Mapped:
    """Maps a design to the cells of a library, or takes the result from the cache.

    Raises ToolError where Yosys is missing or fails, or uses a cell without an area.
    """
    code = files_hash(PACKAGE / "fpga" / name for name in ("tools.py", "ppa/mapped.py", "ppa/sram.py"))
    parts = [YOSYS.version, code, liberty.digest, *design.units, design.rtlil]
    folder = kept("mapped", parts, lambda unfinished: _map_in(unfinished, design, liberty)).folder
    areas = {name: _area(found) for name, found in json.loads((folder / "areas.json").read_text()).items()}
    return Mapped(area=areas.pop(TOP), units=areas, netlist=folder / "netlist.v")


def _area(found: Mapping[str, Any]) -> Area:
    memories = Counter({(depth, width): count for depth, width, count in found["memories"]})
    return Area(cells=found["cells"], sequential=found["sequential"], memories=memories)


def _map_in(folder: Path, design: Unmapped, liberty: Liberty) -> None:
    with TemporaryFolder() as work:
        (work / "design.il").write_text(design.rtlil)
        (work / "cells.lib").write_text(liberty.text)
        # For the synthesis they are black boxes: area and access time do not matter.
        macros = [Macro(depth=depth, width=width, area=0, access_ns=0) for depth, width in sorted(design.sizes)]
        (work / "srams.lib").write_text(library(macros))
        constraints = f"set_driving_cell {liberty.buffer}\nset_load {LOAD_FF} [all_outputs]\n"
        (work / "constraints").write_text(constraints)
        (work / "script").write_text("\n".join(_script(design, liberty)))
        try:
            YOSYS.run(["-q", "-s", "script"], folder=work)
        except ToolError as error:
            raise ToolError(f"with the library {liberty.name}, {error}") from error
        statistics = json.loads((work / "areas.json").read_text())
        netlist = (work / "netlist.v").read_text()
    modules = statistics["modules"]
    parts = {TOP: statistics["design"], **{unit: modules[f"\\{TOP}.{unit}"] for unit in design.units}}
    areas = {name: _counted(found, design, liberty) for name, found in parts.items()}
    save_json(folder / "areas.json", areas)
    (folder / "netlist.v").write_text(netlist)


def _script(design: Unmapped, liberty: Liberty) -> list[str]:
    return [
        "read_liberty -lib srams.lib",
        "read_rtlil design.il",
        f"hierarchy -top {TOP}",
        *(f"setattr -mod -set keep_hierarchy 1 {TOP}.{unit}" for unit in design.units),
        f"synth -flatten -booth -extra-map {ADDERS} -top {TOP}",
        # Flip-flops get the names of the registers, which the critical path names.
        "splitnets",
        "rename -wire",
        *_gating(liberty),
        "dfflibmap -liberty cells.lib",
        f"abc -liberty cells.lib -D {CLOCK_PS} -constr constraints -script +{GATES}",
        "opt_clean -purge",
        "setundef -zero",
        # OpenSTA takes neither signed wires nor assignments to concatenations.
        "splitnets",
        "splitnets -ports",
        "clean -purge",
        "read_liberty -lib -ignore_miss_func cells.lib",
        "check -mapped -assert",
        "tee -q -o areas.json stat -json -hierarchy -liberty cells.lib",
        "write_verilog -noattr -noexpr -nohex -nodec netlist.v",
    ]


def _gating(liberty: Liberty) -> list[str]:
    """Registers with the same enable share a gate of their clock: without it, each flip-flop has a multiplexer that
    keeps its bit."""
    gate = liberty.clock_gate
    if gate is None:
        return []
    return [f"clockgate -pos {gate.cell} {gate.enable}:{gate.clock}:{gate.out} -min_net_size {GATED}"]


def _counted(found: Mapping[str, Any], design: Unmapped, liberty: Liberty) -> dict[str, Any]:
    cells = {cell: int(counted["count"]) for cell, counted in found["num_cells_by_type"].items()}
    memories = {cell_name(size): size for size in design.sizes}
    for cell in cells:
        # Yosys would count it as nothing.
        if cell not in liberty.areas and cell not in memories:
            raise ToolError(f"yosys used {cell}, for which the library {liberty.name} has no area")
    return {
        "cells": float(found["num_cells"]["area"]),
        "sequential": float(found["sequential_area"]["area"]),
        "memories": [[*memories[cell], count] for cell, count in sorted(cells.items()) if cell in memories],
    }
