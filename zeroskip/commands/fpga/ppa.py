"""`zeroskip fpga ppa`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.fpga.ppa import ppa
from zeroskip.commands import options
from zeroskip.commands.console import show_tables, working


def ppa_command(
    liberty: Annotated[
        Path, typer.Option(metavar="FILE", help="Library of standard cells, in the Liberty format; .gz is read too.")
    ],
    block: Annotated[
        list[str] | None, typer.Option(help="Block, such as eie.pe; give it again for more.", show_default="all")
    ] = None,
    sram: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON list of SRAM macros, objects with depth, width, area and access_ns.",
            show_default="memories count neither as area nor as time",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Map every block to standard cells: area and critical path, beside Table II of the EIE paper.

    The figures are those before layout, with an ideal clock. Critical paths need OpenSTA. Blocks whose RTL did not
    change come from the cache; the others take 2 to 60 seconds each.
    """
    with working() as progress:
        found = ppa(liberty, block or (), sram=sram, progress=progress)
    show_tables(found.summary(), found.tables(), (), as_json=as_json)
