"""From which density on which kind of sparsity pays: `zeroskip bench sparsity`. Imports nothing heavy."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroskip.api.checks import require_settings
from zeroskip.api.paths import require_writable, reserves
from zeroskip.api.tables import Table
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.progress import Progress, Step, silent

DENSITIES = (0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
LARGEST = 8192


@dataclass(frozen=True, kw_only=True)
class SparsityBenchSettings:
    """The layers: squares of `sizes`, for batches of so many vectors. `multipliers` of each rival, a power of two from
    8 to 256; the `patterns` of the tiles beside the dense one; the fraction of `activations` that is not zero; and the
    `bandwidth` of the memory of the weights in bits a cycle, 8 for each multiplier where it is None."""

    sizes: tuple[int, ...] = (64, 256, 1024, 4096)
    batches: tuple[int, ...] = (1, 8, 64)
    multipliers: int = 64
    patterns: tuple[str, ...] = ("2:4", "1:4", "4:8")
    activations: float = 0.35
    bandwidth: int | None = None

    def __post_init__(self) -> None:
        require_settings(self)
        for name, largest in (("sizes", LARGEST), ("batches", 1 << 16)):
            given = getattr(self, name)
            if not given or min(given) < 1 or max(given) > largest:
                raise ValueError(f"{name} must be numbers from 1 to {largest:,}, not {', '.join(map(str, given))}")
        if not 8 <= self.multipliers <= 256 or self.multipliers & (self.multipliers - 1):
            raise ValueError(f"multipliers must be a power of two from 8 to 256, not {self.multipliers}")
        for pattern in self.patterns:
            parsed = Pattern.parse(pattern)
            if parsed.dense or 8 % parsed.keep:
                raise ValueError(f"patterns must be sparse and keep 1, 2, 4 or 8 of a group, not {pattern!r}")
        if not 0 < self.activations <= 1:
            raise ValueError(f"activations must be above 0 and at most 1, not {self.activations:g}")
        if self.bandwidth is not None and self.bandwidth < 1:
            raise ValueError(f"bandwidth must be at least 1 bit a cycle, not {self.bandwidth}")

    @property
    def bits_a_cycle(self) -> int:
        """The bandwidth that counts."""
        return 8 * self.multipliers if self.bandwidth is None else self.bandwidth


@dataclass(frozen=True, kw_only=True, eq=False)
class SparsityBenchResult:
    """`figures` as `zeroskip bench sparsity --json` prints them."""

    figures: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """What `zeroskip bench sparsity --json` prints."""
        return self.figures

    def tables(self) -> list[Table]:
        """The same for people: below which densities an array is faster than a tile."""
        found: dict[tuple[int, int, str], dict[str, float | None]] = {}
        for row in self.figures["crossovers"]:
            found.setdefault((row["size"], row["batch"], row["against"]), {})[row["rival"]] = row["density"]
        rows = [
            [f"{size:,} x {size:,}", f"{batch}", tile, *map(shown, densities.values())]
            for (size, batch, tile), densities in found.items()
        ]
        heads = ["layer", "batch", "against", *next(iter(found.values()))]
        title = f"Densities below which the array is faster, {self.figures['multipliers']} multipliers each"
        return [Table(title=title, heads=heads, rows=rows)]

    def notes(self) -> list[str]:
        """What the table does not say."""
        written = [] if self.figures["picture"] is None else [f"written to {self.figures['picture']}"]
        return [
            f"cycles by the exact models, or those in which a memory of {self.figures['bandwidth']:,} bits a cycle "
            "gives the weights that are read, if these are more; a tile is as fast at every density",
            *written,
        ]


@reserves("picture")
def bench_sparsity(
    *,
    settings: SparsityBenchSettings | None = None,
    picture: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> SparsityBenchResult:
    """Compare dense, N:M and unstructured sparsity on this project's hardware, with the same number of multipliers and
    the same bandwidth of the memory of the weights. `picture` is a PNG file to draw the cycles in. Raises OSError if it
    cannot be written."""
    if picture is not None:
        require_writable(picture, suffix=".png")
    settings, begin = settings or SparsityBenchSettings(), time.monotonic()
    progress(Step(task="starting"))
    from zeroskip.api.sparsity.rivals import EieRival, rivals

    compared = rivals([Pattern.parse(pattern) for pattern in settings.patterns], settings.activations, DENSITIES, seed)
    work = [(size, batch, rival) for size in settings.sizes for batch in settings.batches for rival in compared]
    rows: list[dict[str, Any]] = []
    for done, (size, batch, rival) in enumerate(work):
        progress(Step(task=f"{size} x {size}, batch {batch}, {rival.name}", done=done, total=len(work)))
        for point in rival.points(size, batch, settings.multipliers):
            rows.append(
                {
                    "size": size,
                    "batch": batch,
                    "rival": rival.name,
                    "density": point.density,
                    "cycles": point.cycles,
                    "bits": point.bits,
                    "bounded_cycles": max(point.cycles, point.bits / settings.bits_a_cycle),
                }
            )
    arrays = [rival.name for rival in compared if isinstance(rival, EieRival)]
    tiles = [rival.name for rival in compared if rival.name not in arrays]
    figures: dict[str, Any] = {
        "multipliers": settings.multipliers,
        "bandwidth": settings.bits_a_cycle,
        "activations": settings.activations,
        "rows": rows,
        "crossovers": crossovers(rows, arrays, tiles),
        "picture": None if picture is None else str(picture),
        "seconds": time.monotonic() - begin,
    }
    if picture is not None:
        progress(Step(task="drawing"))
        from zeroskip.api.sparsity.figure import draw

        draw(figures, picture)
    return SparsityBenchResult(figures=figures)


def crossovers(rows: list[dict[str, Any]], arrays: list[str], tiles: list[str]) -> list[dict[str, Any]]:
    """For each layer, array and tile: the density at which both take as many cycles, between two measured ones on
    straight lines in logarithmic scales. 1 where the array is faster at every density, None where at none."""
    found = []
    for size, batch in dict.fromkeys((row["size"], row["batch"]) for row in rows):
        here = [row for row in rows if (row["size"], row["batch"]) == (size, batch)]
        for tile in tiles:
            (wanted,) = (row["bounded_cycles"] for row in here if row["rival"] == tile)
            for array in arrays:
                curve = [(row["density"], row["bounded_cycles"]) for row in here if row["rival"] == array]
                found.append(
                    {"size": size, "batch": batch, "rival": array, "against": tile, "density": _cross(curve, wanted)}
                )
    return found


def _cross(curve: list[tuple[float, float]], wanted: float) -> float | None:
    """The largest density up to which the curve, of rising densities, stays at `wanted` or below."""
    if curve[0][1] > wanted:
        return None
    for (density, cycles), (following, more) in itertools.pairwise(curve):
        if more > wanted:
            part = math.log(wanted / cycles) / math.log(more / cycles)
            return float(density * (following / density) ** part)
    return curve[-1][0]


def shown(density: float | None) -> str:
    """A crossover's density, for people."""
    if density is None:
        return "never"
    return "always" if density == 1 else f"{density:.1%}"
