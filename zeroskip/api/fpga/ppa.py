"""`zeroskip fpga ppa`: blocks mapped to standard cells, area and critical path. Imports nothing heavy."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import typed
from zeroskip.api.tables import Table
from zeroskip.api.told import keeps_warnings
from zeroskip.fpga.blocks.named import BLOCKS
from zeroskip.fpga.ppa.paper import TABLE_II, WHOLE
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.warned import warn

if TYPE_CHECKING:
    from zeroskip.fpga.ppa.mapped import Area
    from zeroskip.fpga.ppa.sram import Macro, Size
    from zeroskip.fpga.ppa.timing import CriticalPath

WITHOUT_SRAM = "no table of SRAM macros was given: memories count neither as area nor as time; give one by --sram"


@dataclass(frozen=True, kw_only=True)
class BlockArea:
    """A block alone: its `area`, and the `units` that it keeps apart; `path` is None where there is no path, or no
    OpenSTA."""

    name: str
    area: Area
    units: dict[str, Area]
    path: CriticalPath | None


@dataclass(frozen=True, kw_only=True)
class PpaFigures:
    """Areas are in the unit of the library, square micrometres as a rule. `table` holds the SRAM macros; where the user
    gives none, `sram` is None, and the macros have neither area nor access time. `sta` is the version of OpenSTA, and
    None where it is not installed."""

    liberty: Path
    library: str
    sram: Path | None
    table: Mapping[Size, Macro]
    sta: str | None
    blocks: list[BlockArea]
    seconds: float
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """What `zeroskip fpga ppa --json` prints. Shares are fractions of the PE's area, its SRAM included where a
        table was given."""
        shares = self._shares()
        return {
            "liberty": str(self.liberty),
            "library": self.library,
            "sram": None if self.sram is None else str(self.sram),
            "sta": self.sta,
            "blocks": [self._block(block, shares.get(block.name)) for block in self.blocks],
            "paper": self._beside_the_paper(),
            "warnings": list(self.warnings),
            "seconds": self.seconds,
        }

    def _block(self, block: BlockArea, share: float | None) -> dict[str, Any]:
        return {
            "name": block.name,
            "area": block.area.cells,
            "sequential_area": block.area.sequential,
            "sram_area": None if self.sram is None else block.area.of_memories(self.table),
            "share": share,
            "critical_path_ns": block.path and block.path.ns,
            "path": block.path and [block.path.start, block.path.end],
            "srams": [
                {"depth": depth, "width": width, "count": count}
                for (depth, width), count in sorted(block.area.memories.items())
            ],
        }

    def _total(self, area: Area) -> float:
        return area.cells + area.of_memories(self.table)

    def _unit_shares(self) -> dict[str, float]:
        """Of the units of the PE; empty where the PE is not among the blocks."""
        whole = next((block for block in self.blocks if block.name == WHOLE), None)
        if whole is None:
            return {}
        return {unit: self._total(area) / self._total(whole.area) for unit, area in whole.units.items()}

    def _shares(self) -> dict[str, float]:
        core = WHOLE.partition(".")[0]
        units = self._unit_shares()
        return {f"{core}.{unit}": share for unit, share in units.items()} | ({WHOLE: 1.0} if units else {})

    def _beside_the_paper(self) -> list[dict[str, Any]]:
        """Table II of the paper, and our units that do the same."""
        shares = self._unit_shares()
        if not shares:
            return []
        rows = [
            {
                "unit": row.name,
                "paper_share": row.share,
                "units": list(row.units),
                # Nothing stands for the filler cells of a layout.
                "share": sum(shares.get(unit, 0.0) for unit in row.units) if row.units else None,
            }
            for row in TABLE_II
        ]
        here = {unit for row in TABLE_II for unit in row.units}
        others = [unit for unit in shares if unit not in here]
        rest = 1 - sum(share for unit, share in shares.items() if unit in here)
        return [*rows, {"unit": None, "paper_share": None, "units": [*others, "connections"], "share": rest}]

    def tables(self) -> list[Table]:
        """The same for people."""
        summary = self.summary()
        rows = [
            [
                block["name"],
                f"{block['area']:,.0f}",
                f"{block['sequential_area']:,.0f}",
                _cell(block["sram_area"], ",.0f"),
                _cell(block["share"], ".1%"),
                _cell(block["critical_path_ns"], ".2f"),
            ]
            for block in summary["blocks"]
        ]
        heads = ["block", "area", "flip-flops", "SRAM", "of the PE", "path, ns"]
        tables = [Table(title=f"{self.library}, before layout, ideal clock", heads=heads, rows=rows)]
        if summary["paper"]:
            beside = [
                [
                    row["unit"] or "-",
                    _cell(row["paper_share"], ".2%"),
                    _cell(row["share"], ".2%"),
                    ", ".join(row["units"]) or "-",
                ]
                for row in summary["paper"]
            ]
            what = "without SRAM" if self.sram is None else "with SRAM"
            title = f"area of a PE by unit, {what}, beside Table II of the EIE paper, which is with SRAM"
            tables.append(Table(title=title, heads=["unit", "paper", "here", "units here"], rows=beside))
        return tables


def _cell(figure: float | None, layout: str) -> str:
    return "-" if figure is None else format(figure, layout)


@typed
@keeps_warnings
def ppa(
    liberty: Path | str,
    blocks: Sequence[str] = (),
    *,
    sram: Path | str | None = None,
    progress: Progress = silent,
) -> PpaFigures:
    """Map blocks to the standard cells of a library: all, or those named.

    `liberty` is a file in the Liberty format, which may be compressed by gzip; `sram` a JSON list of SRAM macros,
    objects with depth, width, area and access_ns. Blocks whose RTL did not change come from the cache; others take 2 to
    60 seconds each. Critical paths need OpenSTA.

    Raises OSError for files that are not there, ValueError for an unknown block, a file that is no library and a table
    that lacks a memory of the blocks, and ToolError where a tool is missing or fails.
    """
    start = time.monotonic()
    if unknown := [name for name in blocks if name not in BLOCKS]:
        raise ValueError(f"block must be among {', '.join(BLOCKS)}, not {unknown[0]!r}")
    from zeroskip.fpga.ppa.liberty import read_liberty
    from zeroskip.fpga.ppa.mapped import map_to_cells, unmapped
    from zeroskip.fpga.ppa.sram import Macro, read_table, require_sizes
    from zeroskip.fpga.ppa.timing import MISSING, critical_path, sta_version
    from zeroskip.fpga.tools import YOSYS

    cells = read_liberty(Path(liberty))
    table = None if sram is None else read_table(Path(sram))
    YOSYS.require()
    sta = sta_version()
    names = list(dict.fromkeys(blocks or BLOCKS))

    def announce(what: str, done: int) -> None:
        progress(Step(task=f"{names[done]}: {what}", done=done, total=len(names), unit="blocks"))

    designs = []
    for done, name in enumerate(names):
        announce("elaborating", done)
        designs.append(unmapped(BLOCKS[name].make(), keep_units=name == WHOLE))
    needed = {size for design in designs for size in design.sizes}
    if table is None or sram is None:
        if needed:
            warn(WITHOUT_SRAM)
        table = {size: Macro(depth=size[0], width=size[1], area=0, access_ns=0) for size in needed}
    else:
        require_sizes(Path(sram), table, needed)
    if sta is None:
        warn(MISSING)

    figures = []
    for done, (name, design) in enumerate(zip(names, designs, strict=True)):
        announce("mapping", done)
        mapped, path = map_to_cells(design, cells), None
        if sta is not None:
            announce("timing", done)
            macros = [table[size] for size in sorted(design.sizes)]
            path = critical_path(mapped.netlist, cells, macros, version=sta)
        figures.append(BlockArea(name=name, area=mapped.area, units=mapped.units, path=path))
    return PpaFigures(
        liberty=Path(liberty),
        library=cells.name,
        sram=None if sram is None else Path(sram),
        table=table,
        sta=sta,
        blocks=figures,
        seconds=time.monotonic() - start,
    )
