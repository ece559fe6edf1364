"""`zeroskip fpga build --core mapping`: a mapping unit to a bitstream for a board. Imports nothing heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from zeroskip.api.checks import typed
from zeroskip.api.fpga.bitstream import BoardSettings, Built, built, chosen_board
from zeroskip.api.mapping.width import WIDTH, require_width
from zeroskip.api.paths import only_with_result, require_writable
from zeroskip.api.told import keeps_warnings
from zeroskip.model.progress import Progress, silent
from zeroskip.model.temporary import reserved


@dataclass(frozen=True, kw_only=True)
class BoardMapperSettings(BoardSettings):
    """`width` is how many keys the unit merges in a cycle, a power of two."""

    width: int = WIDTH

    def __post_init__(self) -> None:
        super().__post_init__()
        require_width(self.width)


@typed
@keeps_warnings
def build_mapper(
    board: str,
    *,
    settings: BoardMapperSettings | None = None,
    output: Path | str | None = None,
    progress: Progress = silent,
) -> Built:
    """Build a bitstream for `board` with a mapping unit, whose memories fill the board's block RAMs.

    Points have three coordinates. The host loads the points of each layer, so that `inside` is False. `output` is the
    bitstream to write, by default mapping-WIDTH-BOARD.bit.

    Raises ValueError for an unknown board, a carrier that it does not have, a clock that its PLL does not make and a
    unit that does not fit, OSError where the file cannot be written, ToolError where a tool is missing or fails, and
    TimingError where the clock is not reached.
    """
    start = time.monotonic()
    settings = settings or BoardMapperSettings()
    from zeroskip.fpga.bitstream.flow import require_tools
    from zeroskip.fpga.bitstream.mapping.design import board_design
    from zeroskip.fpga.bitstream.mapping.fit import fitting
    from zeroskip.fpga.bitstream.pack import SUFFIX

    chosen = chosen_board(board, settings)
    suffix = SUFFIX[chosen.family]
    file = Path(output or f"mapping-{settings.width}-{chosen.name}{suffix}")
    with only_with_result(file):
        require_writable(file, suffix=suffix)
        with reserved(file):
            require_tools(chosen)
            return built(
                board_design,
                chosen,
                settings,
                core="mapping",
                geometry=fitting(chosen, settings.width),
                contents=None,
                file=file,
                network=None,
                progress=progress,
                start=start,
            )
