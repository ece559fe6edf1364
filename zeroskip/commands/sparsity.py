"""`zeroskip bench sparsity`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.sparsity.bench import SparsityBenchSettings, bench_sparsity
from zeroskip.commands import options
from zeroskip.commands.console import show_tables, working

DEFAULTS = SparsityBenchSettings()


def bench_command(
    sizes: Annotated[
        str, typer.Option(metavar="N,...", help="Inputs and outputs of the layers, separated by commas.")
    ] = ",".join(map(str, DEFAULTS.sizes)),
    batches: Annotated[str, typer.Option(metavar="N,...", help="Vectors that a layer gets together.")] = ",".join(
        map(str, DEFAULTS.batches)
    ),
    multipliers: Annotated[int, typer.Option(help="Multipliers of each, a power of two from 8 to 256.")] = (
        DEFAULTS.multipliers
    ),
    patterns: Annotated[str, typer.Option(metavar="N:M,...", help="Patterns of the tiles.")] = ",".join(
        DEFAULTS.patterns
    ),
    activations: Annotated[
        float, typer.Option(help="Fraction of the activations that is not zero, for the second array.")
    ] = DEFAULTS.activations,
    bandwidth: Annotated[
        int | None,
        typer.Option(help="Bits of weights that a memory gives a cycle.", show_default="8 for each multiplier"),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PNG file to draw the cycles in.", show_default="none")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Find the density from which on unstructured sparsity, or an N:M pattern, pays.

    A square layer runs on a dense tile, on tiles of N:M patterns and on the EIE array, each with the same number of
    multipliers and the same bandwidth of the memory of the weights. Cycles come from the exact cycle models.
    """
    settings = SparsityBenchSettings(
        sizes=options.integers("sizes", sizes),
        batches=options.integers("batches", batches),
        multipliers=multipliers,
        patterns=options.names(patterns),
        activations=activations,
        bandwidth=bandwidth,
    )
    with working() as progress:
        result = bench_sparsity(settings=settings, picture=picture, seed=seed, progress=progress)
    show_tables(result.summary(), result.tables(), result.notes(), as_json=as_json)
