"""Gains and costs of the N:M tile: `zeroskip bench mma`. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from zeroskip.api.checks import require_at_least, require_settings
from zeroskip.api.inputs import in_turn
from zeroskip.api.tables import Table, yes
from zeroskip.model.progress import Progress, Step, silent

PARTS = ("gemms", "luts", "permutation", "formats")
"""Matrix products, look-up tables after synthesis, channel permutation, and number formats."""


@dataclass(frozen=True, kw_only=True)
class MmaBenchSettings:
    """The `parts` that run (of PARTS; none means all); the sizes of the tile; and how many `blocks` of each number
    format run on the RTL."""

    parts: tuple[str, ...] = ()
    m: int = 4
    n: int = 4
    blocks: int = 100_000

    def __post_init__(self) -> None:
        require_settings(self)
        require_at_least(self, blocks=1)
        if unknown := [name for name in self.parts if name not in PARTS]:
            raise ValueError(f"parts must be some of {', '.join(PARTS)}, not {unknown[0]!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class MmaBenchResult:
    """`figures` as `zeroskip bench mma --json` prints them, of a tile of the sizes `tile`."""

    figures: dict[str, Any]
    tile: str

    @property
    def equal(self) -> bool:
        """Whether every bit and every cycle is right."""
        wrong = any(row["mismatches"] for row in self.figures.get("formats", []))
        return not wrong and all(row["equal"] for row in self.figures.get("gemms", []))

    def summary(self) -> dict[str, Any]:
        """What `zeroskip bench mma --json` prints."""
        return self.figures

    def tables(self) -> list[Table]:
        """The same for people."""
        made = {"gemms": self._products, "luts": self._luts, "formats": self._formats}
        return [table() for part, table in made.items() if part in self.figures]

    def notes(self) -> list[str]:
        """The gain of channel permutation, next to the published figures."""
        if "permutation" not in self.figures:
            return []
        found = self.figures["permutation"]
        published = found["published"]
        return [
            f"{found['rows']} x {found['columns']}: 2:4 keeps {found['without']:.1f} of {found['total']:.1f}, with "
            f"permuted channels {found['with']:.1f}",
            f"(efficacy {found['efficacy']:.1%}) in {found['seconds']:.2f} s; published: {published['kept']} "
            f"({published['efficacy']:.1%}) in {published['seconds']} s",
        ]

    def _products(self) -> Table:
        rows = [
            (
                row["name"],
                f"{row['dense_cycles']:,}",
                f"{row['sparse_cycles']:,}",
                f"{row['speedup']:.3f}",
                f"{row['utilisation']:.1%}" if "utilisation" in row else "",
                yes(row["equal"]) if "equal" in row else "",
            )
            for row in self.figures["gemms"] + self.figures["networks"]
        ]
        heads = ("product", "dense cycles", "2:4 cycles", "speedup", "utilisation", "equal")
        return Table(title=f"2:4 on {self.tile} multipliers, fp16", heads=heads, rows=rows)

    def _luts(self) -> Table:
        rows = [
            (
                row["format"],
                f"{row['sparse']:,}",
                f"{row['dense']:,}",
                f"{row['overhead']:.1%}",
                f"{row['multipliers']:,}",
            )
            for row in self.figures["luts"]
        ]
        heads = ("format", "LUTs, 2:4", "LUTs, dense only", "overhead", "multipliers")
        return Table(title="ECP5 after synthesis", heads=heads, rows=rows)

    def _formats(self) -> Table:
        rows = [
            (row["format"], row["generation"], f"{row['blocks']:,}", f"{row['mismatches']:,}")
            for row in self.figures["formats"]
        ]
        heads = ("format", "generation", "blocks", "sums that differ")
        return Table(title="RTL and golden model", heads=heads, rows=rows)


def bench_mma(
    *, settings: MmaBenchSettings | None = None, seed: int = 0, progress: Progress = silent
) -> MmaBenchResult:
    """Compare 2:4 with dense products on the same multipliers, and every number format with the golden model.

    Raises ValueError for sizes that the tile cannot have.
    """
    settings = settings or MmaBenchSettings()
    progress(Step(task="starting"))
    from zeroskip.cosim.mma.bench import NETWORKS, SIZES, formats, networks, products
    from zeroskip.cosim.mma.formats import modes
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.fpga.mma.tile_luts import TILES, luts
    from zeroskip.model.mma.geometry import mode_geometry
    from zeroskip.model.pruning.permutation_bench import permutation_row

    require_tools(Simulator.VERILATOR)
    parts = settings.parts or PARTS
    geometry = mode_geometry(generation="A100", dtype="fp16", out="fp32", m=settings.m, n=settings.n)
    counts = {
        "gemms": len(SIZES) + sum(map(len, NETWORKS.values())),
        "luts": 2 * TILES,
        "permutation": 1,
        "formats": len(modes()),
    }
    step = in_turn(progress, sum(counts[part] for part in parts), "steps")
    figures: dict[str, Any] = {}
    if "gemms" in parts:
        found = products(geometry, seed, step)
        figures["gemms"] = [dataclasses.asdict(product) for product in found]
        figures["networks"] = networks(found)
    if "luts" in parts:
        figures["luts"] = luts(step)
        figures["lut_overhead"] = figures["luts"][0]["overhead"]
    if "permutation" in parts:
        step("permutation")
        figures["permutation"] = permutation_row()
    if "formats" in parts:
        figures["formats"] = formats(settings.blocks, seed, step)
    return MmaBenchResult(figures=figures, tile=f"{geometry.m} x {geometry.n} x {geometry.k}")
