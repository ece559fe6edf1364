"""`zeroskip fpga build`: a compiled network to a bitstream for a board. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zeroskip.api.checks import require_at_least, require_positive, require_settings, typed
from zeroskip.api.paths import require_writable
from zeroskip.api.simulate import CompiledNetwork, load_compiled
from zeroskip.api.told import keeps_warnings
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.temporary import reserved

if TYPE_CHECKING:
    from zeroskip.fpga.bitstream.timing import Timing
    from zeroskip.fpga.boards.board import Board


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """`pes` is the number of processing elements of the EIE array, a power of two, or "auto": as many as fit. `clock`
    is the core's clock in MHz and `baud` the bits a second of the serial line; None means the board's own. With
    `allow_timing`, a clock that the routed design does not reach is reported, and is no error. `seed` is that of place
    and route."""

    pes: int | Literal["auto"] = "auto"
    clock: float | None = None
    baud: int | None = None
    allow_timing: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        require_settings(self)
        if self.pes != "auto":
            require_at_least(self, pes=1)
        require_positive(self, "clock", "baud")
        require_at_least(self, seed=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Built:
    """A bitstream: the file, and the network as it is laid out for the board's memories, which `zeroskip fpga run`
    takes. `core` is the core's name, `geometry` its sizes, and `sizes` tell them to people. `cells` are the places of
    the device that are taken. `inside` says whether the bitstream holds the network; otherwise the host loads it.
    `cached` if a routed design of the same geometry was there."""

    board: Board
    core: str
    geometry: Any
    sizes: tuple[tuple[str, str], ...]
    bitstream: Path
    network: Path
    sha256: str
    cells: dict[str, int]
    timing: Timing
    clock_mhz: float
    baud: int
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
            "network": str(self.network),
            "inside": self.inside,
            **self.cells,
            "fmax": self.timing.fmax,
            "constraint": self.timing.constraint,
            "met": self.timing.met,
            "critical_path": {"ns": self.timing.path_ns, "signals": list(self.timing.path)},
            "clock": self.clock_mhz,
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
            ("critical path", f"{self.timing.path_ns:.1f} ns"),
            ("  from", self.timing.path[0] if self.timing.path else "-"),
            ("  to", self.timing.path[-1] if self.timing.path else "-"),
            ("network", "in the bitstream" if self.inside else "loaded by the host"),
            ("bitstream", str(self.bitstream)),
            ("SHA-256", self.sha256),
            ("network as laid out", str(self.network)),
        ]
        return rows


@typed
@keeps_warnings
def build(
    network: CompiledNetwork,
    board: str,
    *,
    settings: BuildSettings | None = None,
    output: Path | str | None = None,
    progress: Progress = silent,
) -> Built:
    """Build a bitstream for `board` with the core of a compiled network, and with the network inside where the board's
    memories can hold it.

    `network` is a file's path, a Compiled, or its network. One for the EIE array is laid out anew for the number of
    PEs, one for the N:M tile for memories that fit the board, with the same outputs in every bit. The bitstream of a
    tile holds no network: the host loads the operands of each product.

    `output` is the bitstream to write, by default NETWORK-BOARD.bit; beside it, with the suffix .zs, lies the network
    as it is laid out. What was routed before for the same geometry comes from the cache: then only the contents of the
    memories are replaced.

    Raises ValueError for an unknown board, a clock that its PLL does not make, a number of PEs for the tile and a
    network that does not fit, OSError where a file cannot be written, ToolError where a tool is missing or fails, and
    TimingError where the clock is not reached.
    """
    start = time.monotonic()
    settings = settings or BuildSettings()
    progress(Step(task="loading the network"))
    from zeroskip.fpga.bitstream.pack import SUFFIX
    from zeroskip.fpga.boards.named import board_named

    chosen = board_named(board)
    suffix = SUFFIX[chosen.family]
    _, compiled = load_compiled(network)
    source = Path(network) if isinstance(network, str | Path) else None
    if output is None:
        stem = "network" if source is None else str(source).removesuffix(".zs")
        output = f"{stem}-{chosen.name}{suffix}"
    bitstream_file = Path(output)
    network_file = bitstream_file.with_suffix(".zs")
    sources = [] if source is None else [source]
    require_writable(bitstream_file, *sources, suffix=suffix)
    require_writable(network_file, *sources, suffix=".zs")
    with reserved(bitstream_file, network_file):
        return _build(compiled, chosen, settings, bitstream_file, network_file, progress, start)


def _build(
    compiled: Any,
    board: Board,
    settings: BuildSettings,
    bitstream_file: Path,
    network_file: Path,
    progress: Progress,
    start: float,
) -> Built:
    from zeroskip.fpga.bitstream.cells import counted
    from zeroskip.fpga.bitstream.flow import bitstream, require_tools, route_board
    from zeroskip.fpga.bitstream.timing import timing
    from zeroskip.fpga.drivers import board_fitting, core_on_board
    from zeroskip.model.cores import load_core
    from zeroskip.model.files import replacing

    require_tools(board.family)
    laid = board_fitting(compiled.core)(compiled, board, None if settings.pes == "auto" else settings.pes)

    def announce(phase: str) -> None:
        progress(Step(task=phase))

    announce("writing the design")
    baud = settings.baud or board.baud
    design = core_on_board(compiled.core)(board, laid.geometry, mhz=settings.clock or board.clock_mhz, baud=baud)
    routed = route_board(design, seed=settings.seed, announce=announce)
    reached = timing(routed.report, design.mhz)
    if not settings.allow_timing:
        reached.require()
    packed = bitstream(design, routed, laid, announce)
    load_core(compiled.core).save(laid, network_file)
    with replacing(bitstream_file) as temporary:
        temporary.write_bytes(packed)
    return Built(
        board=board,
        core=compiled.core,
        geometry=laid.geometry,
        sizes=design.sizes,
        bitstream=bitstream_file,
        network=network_file,
        sha256=hashlib.sha256(packed).hexdigest(),
        cells=counted(routed.report, routed.cells, board.family),
        timing=reached,
        clock_mhz=design.mhz,
        baud=baud,
        inside=design.holds_network,
        cached=routed.cached,
        seconds=time.monotonic() - start,
    )
