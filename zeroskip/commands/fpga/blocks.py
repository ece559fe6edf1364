"""`zeroskip fpga blocks`."""

from __future__ import annotations

from typing import Annotated

import typer

from zeroskip.api.fpga.blocks import blocks
from zeroskip.commands import options
from zeroskip.commands.console import finish, show_tables, working


def blocks_command(
    names: Annotated[list[str] | None, typer.Argument(help="Blocks, such as eie.pe.", show_default="all")] = None,
    new_limits: Annotated[
        bool, typer.Option("--new-limits", help="Make what is measured, with some room, the blocks' limits.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Place and route every block alone on a small ECP5.

    The exit code is 1 if a block is slower or larger than its limits (fpga/blocks/limits.json) allow. Blocks whose RTL
    did not change come from the cache; the others take 5 to 60 seconds each.
    """
    with working() as progress:
        found = blocks(names or (), new_limits=new_limits, progress=progress)
    show_tables(found.summary(), found.tables(), found.broken, as_json=as_json)
    finish(not found.broken)
