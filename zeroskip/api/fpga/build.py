"""`zeroskip fpga build`: a compiled network to a bitstream for a board. Imports nothing heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zeroskip.api.checks import require_at_least, typed
from zeroskip.api.fpga.bitstream import BoardSettings, Built, built, chosen_board
from zeroskip.api.paths import only_with_result, require_writable
from zeroskip.api.simulate import CompiledNetwork, load_compiled
from zeroskip.api.told import keeps_warnings
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.temporary import reserved


@dataclass(frozen=True, kw_only=True)
class BuildSettings(BoardSettings):
    """`pes` is the number of processing elements of the EIE array, a power of two, or "auto": of those that fit, the
    number with which an image takes the fewest cycles."""

    pes: int | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pes != "auto":
            require_at_least(self, pes=1)


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

    Raises ValueError for an unknown board, a carrier that it does not have, a clock that its PLL does not make, a
    number of PEs for the tile and a network that does not fit, OSError where a file cannot be written, ToolError where
    a tool is missing or fails, and TimingError where the clock is not reached.
    """
    start = time.monotonic()
    settings = settings or BuildSettings()
    progress(Step(task="loading the network"))
    from zeroskip.fpga.bitstream.pack import SUFFIX

    chosen = chosen_board(board, settings)
    suffix = SUFFIX[chosen.family]
    _, compiled = load_compiled(network)
    source = Path(network) if isinstance(network, str | Path) else None
    if output is None:
        stem = "network" if source is None else str(source).removesuffix(".zs")
        output = f"{stem}-{chosen.name}{suffix}"
    bitstream_file = Path(output)
    sources = [] if source is None else [source]
    with only_with_result(bitstream_file):
        require_writable(bitstream_file, *sources, suffix=suffix)
        network_file = bitstream_file.with_suffix(".zs")
        require_writable(network_file, *sources, suffix=".zs")
        with reserved(bitstream_file, network_file):
            from zeroskip.fpga.bitstream.flow import require_tools
            from zeroskip.fpga.drivers import board_fitting, core_on_board
            from zeroskip.model.cores import load_core

            require_tools(chosen)
            laid = board_fitting(compiled.core)(compiled, chosen, None if settings.pes == "auto" else settings.pes)
            return built(
                core_on_board(compiled.core),
                chosen,
                settings,
                core=compiled.core,
                geometry=laid.geometry,
                contents=laid,
                file=bitstream_file,
                network=network_file,
                progress=progress,
                start=start,
                save=lambda: load_core(compiled.core).save(laid, network_file),
            )
