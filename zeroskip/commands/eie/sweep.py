"""`zeroskip sweep eie`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.eie.sweep import sweep_eie
from zeroskip.commands import options
from zeroskip.commands.console import show, working


def sweep_command(
    layers: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help="Layers of the paper's Table III, separated by commas.", show_default="all nine"
        ),
    ] = "",
    output: Annotated[Path, typer.Option(help="Folder of plots and data; their page is written next to it.")] = Path(
        "docs/sweeps"
    ),
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, of 2 GB each.", show_default="one per CPU core, at most 4"),
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Redraw figures 8, 9, 11, 12 and 13 of the EIE paper with this design, and storage over index bits.

    Queue depth 1 to 256, PEs 1 to 256, words of 32 to 512 bits, index bits 2 to 8: with the exact cycle model, on
    random layers with the sizes and densities of the paper.
    """
    with working() as progress:
        result = sweep_eie(
            output=output, layers=options.names(layers), processes=processes, seed=seed, progress=progress
        )
    title = f"EIE, geometric means of {len(result.figures['layers'])} layers"
    show(result.summary(), result.rows(), title=title, as_json=as_json)
