"""`zeroskip fpga flash`: a bitstream onto a board. Imports nothing heavy."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroskip.api.checks import typed
from zeroskip.fpga.boards.named import board_named

LOADER = "openFPGALoader"


class LoaderError(RuntimeError):
    """The bitstream did not get onto the board."""


@dataclass(frozen=True, kw_only=True)
class Flashed:
    """`command` writes the bitstream; `done` says whether it ran, which it does where openFPGALoader is installed."""

    command: tuple[str, ...]
    done: bool

    def summary(self) -> dict[str, Any]:
        """What `zeroskip fpga flash --json` prints."""
        return {"command": shlex.join(self.command), "done": self.done}

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        what = "written" if self.done else f"not written: {LOADER} is not installed; run this where it is"
        return [("bitstream", what), ("command", shlex.join(self.command))]


@typed
def flash(bitstream: Path | str, board: str, *, keep: bool = False) -> Flashed:
    """Write a bitstream to a board by openFPGALoader, where that is installed.

    The board forgets the bitstream when it is switched off, unless `keep` is set: then it goes into the board's flash.
    An OrangeCrab and an iCEBreaker always keep it.

    Raises ValueError for an unknown board and a file that does not end or begin as bitstreams for its FPGA do, OSError
    where there is no such file or nothing in it, and LoaderError where openFPGALoader fails.
    """
    from zeroskip.fpga.bitstream.held import require_bitstream
    from zeroskip.fpga.bitstream.pack import SUFFIX

    chosen, file = board_named(board), Path(bitstream)
    if not file.is_file():
        raise OSError(f"{file} must be a bitstream from `zeroskip fpga build`, and there is no such file")
    suffix = SUFFIX[chosen.family]
    if file.suffix != suffix:
        raise ValueError(f"a bitstream for {chosen.title} must end in {suffix}, not {file.suffix!r}: {file}")
    if not file.stat().st_size:
        raise OSError(f"{file} must be a bitstream from `zeroskip fpga build`, and it is empty")
    require_bitstream(file, chosen)
    # A name that begins with "-" is no option.
    name = f"./{file}" if str(file).startswith("-") else str(file)
    command = (LOADER, *chosen.loader, *(("-f",) if keep and not chosen.always_keeps else ()), name)
    if shutil.which(LOADER) is None:
        return Flashed(command=command, done=False)
    # Its own progress goes to standard error: standard output is for the result.
    run = subprocess.run(command, stdout=2, check=False)
    if run.returncode:
        raise LoaderError(f"{shlex.join(command)} ended with exit code {run.returncode}: is the board connected?")
    return Flashed(command=command, done=True)
