"""`zeroskip fpga flash`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.fpga.flash import flash
from zeroskip.commands import options
from zeroskip.commands.console import finish, show
from zeroskip.fpga.boards.named import BOARDS


def flash_command(
    bitstream: Annotated[Path, typer.Argument(help="A bitstream from `zeroskip fpga build`.")],
    board: Annotated[str, typer.Option(help=f"One of {', '.join(BOARDS)}.")],
    keep: Annotated[
        bool, typer.Option("--keep", help="Write it into the board's flash: it stays when the board is switched off.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Write a bitstream to a board.

    openFPGALoader does it. Where that is not installed, the command is printed, and the exit code is 1.
    """
    flashed = flash(bitstream, board, keep=keep)
    show(flashed.summary(), flashed.rows(), title=bitstream.name, as_json=as_json)
    finish(flashed.done)
