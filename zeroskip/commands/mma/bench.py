"""`zeroskip bench mma`."""

from __future__ import annotations

from typing import Annotated

import typer

from zeroskip.api.mma.bench import PARTS, MmaBenchSettings, bench_mma
from zeroskip.commands import options
from zeroskip.commands.console import finish, show_tables, working
from zeroskip.commands.mma import options as mma_options


def bench_command(
    parts: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help=f"Parts to run, separated by commas: {', '.join(PARTS)}.", show_default="all"
        ),
    ] = "",
    blocks: Annotated[
        int, typer.Option(min=1, help="Blocks of each number format on the RTL.")
    ] = MmaBenchSettings.blocks,
    m: mma_options.TileRows = MmaBenchSettings.m,
    n: mma_options.TileColumns = MmaBenchSettings.n,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Compare 2:4 with dense on the same multipliers, and every number format with the golden model.

    speedup: dense cycles over 2:4 cycles. utilisation: products with kept values, relative to all that the multipliers
    could compute. lut_overhead: look-up tables (ECP5) of the fp16 tile, relative to a dense-only tile. permutation:
    magnitude that 2:4 keeps with and without channel permutation. The exit code is 1 unless every bit and every cycle
    is right.
    """
    settings = MmaBenchSettings(parts=options.names(parts), m=m, n=n, blocks=blocks)
    with working() as progress:
        result = bench_mma(settings=settings, seed=seed, progress=progress)
    show_tables(result.summary(), result.tables(), result.notes(), as_json=as_json)
    finish(result.equal)
