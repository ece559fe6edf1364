"""`zeroskip fpga blocks`: each block alone on a small FPGA, against its limits. Imports nothing heavy."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import typed
from zeroskip.api.paths import require_writable
from zeroskip.api.tables import Table
from zeroskip.fpga.blocks.named import BLOCKS
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.fpga.blocks.measure import Measured


@dataclass(frozen=True, kw_only=True)
class BlockFigures:
    """The figures of each block, its limits, and what breaks them, in words."""

    measured: dict[str, Measured]
    limits: Mapping[str, Mapping[str, float]]
    broken: list[str]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What `zeroskip fpga blocks --json` prints."""
        blocks = [
            {"name": name, **asdict(one), "path": list(one.path), "limits": self.limits.get(name)}
            for name, one in self.measured.items()
        ]
        return {"device": "LFE5U-25F-6", "blocks": blocks, "broken": self.broken, "seconds": self.seconds}

    def tables(self) -> list[Table]:
        """The same for people."""
        rows = []
        for name, one in self.measured.items():
            limit = self.limits.get(name, {})
            floor, ceiling = (f"{limit[kind]:,g}" if kind in limit else "-" for kind in ("mhz", "lut"))
            taken = (f"{one.ff:,}", f"{one.ram}", f"{one.dsp}")
            rows.append([name, f"{one.mhz:.1f}", floor, f"{one.lut:,}", ceiling, *taken])
        heads = ["block", "MHz", "floor", "LUTs", "ceiling", "FFs", "RAMs", "DSPs"]
        return [Table(title="each block alone on an ECP5-25F, speed grade 6", heads=heads, rows=rows)]


@typed
def blocks(names: Sequence[str] = (), *, new_limits: bool = False, progress: Progress = silent) -> BlockFigures:
    """Place and route blocks alone: all, or those named. With `new_limits`, what is measured becomes their limits.

    Blocks whose RTL did not change come from the cache; others take 5 to 60 seconds each.

    Raises ValueError for an unknown block and for damaged limits, OSError where new limits cannot be written, and
    ToolError where a tool is missing or fails.
    """
    start = time.monotonic()
    if unknown := [name for name in names if name not in BLOCKS]:
        raise ValueError(f"blocks must be among {', '.join(BLOCKS)}, not {unknown[0]!r}")
    from zeroskip.fpga.blocks.limits import FILE, broken, limits, set_limits
    from zeroskip.fpga.blocks.measure import measure

    limits()
    if new_limits:
        require_writable(FILE, suffix=".json")

    wanted, measured = list(names or BLOCKS), {}
    for done, name in enumerate(wanted):

        def announce(phase: str, done: int = done, name: str = name) -> None:
            progress(Step(task=f"{name}: {phase}", done=done, total=len(wanted), unit="blocks"))

        announce("elaborating")
        measured[name] = measure(BLOCKS[name].make(), announce)
    if new_limits:
        set_limits(measured)
    kept = limits()
    return BlockFigures(
        measured=measured,
        limits=kept,
        broken=[problem for name, one in measured.items() for problem in broken(name, one, kept.get(name))],
        seconds=time.monotonic() - start,
    )
