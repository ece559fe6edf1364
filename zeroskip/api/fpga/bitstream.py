"""What the builds of all cores have in common: settings, and from a core on a board to its bitstream. Imports nothing
heavy."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_positive, require_settings
from zeroskip.model.progress import Progress, Step

if TYPE_CHECKING:
    from zeroskip.fpga.bitstream.flow import BoardDesign
    from zeroskip.fpga.bitstream.timing import Timing
    from zeroskip.fpga.boards.board import Board


MOST_SEED = (1 << 31) - 1
"""The largest seed of place and route."""


@dataclass(frozen=True, kw_only=True)
class BoardSettings:
    """`clock` is the core's clock in MHz, `carrier` what carries the link ("uart" or "usb"), and `baud` the bits a
    second of a serial line; None means the board's own. With `allow_timing`, a clock that the routed design does not
    reach is reported, and is no error. `seed` is that of place and route."""

    clock: float | None = None
    carrier: str | None = None
    baud: int | None = None
    allow_timing: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        require_settings(self)
        require_positive(self, "clock", "baud")
        if not 0 <= self.seed <= MOST_SEED:
            raise ValueError(f"seed must be 0 to {MOST_SEED}, which place and route takes, not {self.seed}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Built:
    """A bitstream: the file, and the network as it is laid out for the board's memories, which `zeroskip fpga run`
    takes; None for a core that runs no networks. `core` is the core's name, `geometry` its sizes, and `sizes` tell them
    to people. `cells` are the places of the device that are taken. `inside` says whether the bitstream holds the
    network; otherwise the host loads it. `cached` if a routed design of the same geometry was there."""

    board: Board
    core: str
    geometry: Any
    sizes: tuple[tuple[str, str], ...]
    bitstream: Path
    network: Path | None
    sha256: str
    cells: dict[str, int]
    timing: Timing
    clock_mhz: float
    baud: int | None
    inside: bool
    cached: bool
    seconds: float
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """What `zeroskip fpga build --json` prints. Frequencies are in MHz."""
        return {
            "board": self.board.name,
            "core": self.core,
            "pes": getattr(self.geometry, "pes", None),
            "bitstream": str(self.bitstream),
            "sha256": self.sha256,
            "network": None if self.network is None else str(self.network),
            "inside": self.inside,
            **self.cells,
            "fmax": self.timing.fmax,
            "constraint": self.timing.constraint,
            "met": self.timing.met,
            "timing": "estimate" if self.board.device.untimed else "whole",
            "untimed": list(self.board.device.untimed),
            "critical_path": {"ns": self.timing.path_ns, "signals": list(self.timing.path)},
            "clock": self.clock_mhz,
            "carrier": self.board.carrier,
            "baud": self.baud,
            "geometry": dataclasses.asdict(self.geometry),
            "cached": self.cached,
            "warnings": list(self.warnings),
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        device = self.board.device
        rows = [
            *self.sizes,
            ("look-up tables", f"{self.cells['lut']:,} of {device.luts:,}"),
            ("flip-flops", f"{self.cells['ff']:,}"),
            ("block RAMs", f"{self.cells['ram']} of {device.block_rams}"),
            ("multipliers", f"{self.cells['dsp']} of {device.multipliers}"),
        ]
        if device.single_port_rams:
            rows.append(("single-port RAMs", f"{self.cells['spram']} of {device.single_port_rams}"))
        rows += [
            (f"clock {name}", f"{mhz:.1f} MHz, {self.timing.constraint[name]:g} asked for")
            for name, mhz in self.timing.fmax.items()
        ]
        rows += [
            ("link", "USB" if self.baud is None else f"serial line, {self.baud:,} baud"),
            ("critical path", f"{self.timing.path_ns:.1f} ns"),
            ("  from", self.timing.path[0] if self.timing.path else "-"),
            ("  to", self.timing.path[-1] if self.timing.path else "-"),
            ("bitstream", str(self.bitstream)),
            ("SHA-256", self.sha256),
        ]
        if self.network is not None:
            rows += [
                ("network", "in the bitstream" if self.inside else "loaded by the host"),
                ("network as laid out", str(self.network)),
            ]
        return rows


def chosen_board(name: str, settings: BoardSettings) -> Board:
    """The board with the carrier that the settings ask for. Raises ValueError where it is unknown or does not have it,
    for a baud rate where the link goes over USB, and for a clock that the board cannot make or that does not suit its
    serial line."""
    from zeroskip.fpga.boards.named import board_named
    from zeroskip.rtl.link.uart import phase_step

    board = board_named(name).carried_by(settings.carrier)
    if board.carrier == "usb" and settings.baud is not None:
        raise ValueError(
            f"baud must not be given where the link of {board.title} goes over USB, which has a rate of its own; a "
            "serial line: --carrier uart"
        )
    if settings.clock is not None:
        made = board.made_mhz(settings.clock)
        if board.carrier == "uart":
            phase_step(made * 1e6, settings.baud or board.baud)
    return board


def built(
    make: Any,
    board: Board,
    settings: BoardSettings,
    *,
    core: str,
    geometry: Any,
    contents: Any,
    file: Path,
    network: Path | None,
    progress: Progress,
    start: float,
    save: Callable[[], object] = lambda: None,
) -> Built:
    """Builds the bitstream `file` of the design that `make` gives (zeroskip.fpga.bitstream.<core>.design.board_design),
    whose memories hold `contents`. `network` is the file of the network as laid out, which `save` writes: where that
    fails, an older bitstream stays. `start` is when the work began.

    Raises ClockError, ToolError, PatchError, TimingError, ValueError where the clock does not suit the serial line, and
    OSError.
    """
    from zeroskip.fpga.bitstream.cells import counted
    from zeroskip.fpga.bitstream.flow import bitstream, route_board
    from zeroskip.fpga.bitstream.timing import timing
    from zeroskip.model.files import replacing
    from zeroskip.model.warned import warn

    def announce(phase: str) -> None:
        progress(Step(task=phase))

    announce("writing the design")
    baud = settings.baud or board.baud
    design: BoardDesign = make(board, geometry, mhz=settings.clock, baud=baud)
    routed = route_board(design, seed=settings.seed, announce=announce)
    reached = timing(routed.report, design.mhz)
    if board.device.untimed:
        warn(
            f"the frequencies for {board.title} are an estimate: the tools do not count the delays of paths "
            f"{', '.join(board.device.untimed)}"
        )
    if settings.allow_timing:
        for problem in reached.missed():
            warn(f"{problem}; the board may give wrong results")
    else:
        reached.require(board.makes)
    packed = bitstream(design, routed, contents, announce)
    with replacing(file) as temporary:
        temporary.write_bytes(packed)
        save()
    return Built(
        board=board,
        core=core,
        geometry=geometry,
        sizes=design.sizes,
        bitstream=file,
        network=network,
        sha256=hashlib.sha256(packed).hexdigest(),
        cells=counted(routed.report, routed.cells, board.family),
        timing=reached,
        clock_mhz=design.mhz,
        baud=None if board.carrier == "usb" else baud,
        inside=design.holds_network,
        cached=routed.cached,
        seconds=time.monotonic() - start,
    )
