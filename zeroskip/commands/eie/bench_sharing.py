"""`zeroskip bench sharing`."""

from __future__ import annotations

from typing import Annotated

import typer

from zeroskip.api.eie.bench_sharing import SharingBenchSettings, bench_sharing
from zeroskip.commands import options
from zeroskip.commands.console import show_tables, working


def bench_sharing_command(
    network: options.Network,
    data: options.LabelledData,
    weights: options.Weights = None,
    density: Annotated[
        float, typer.Option(help="Fraction of each layer's weights that pruning keeps.")
    ] = SharingBenchSettings.density,
    pattern: options.Pattern = SharingBenchSettings.pattern,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Compare ways to prune a trained network at once, and to share its weights in 4 bits, without training.

    By magnitude, Wanda and SparseGPT, to a density and to an N:M pattern, and then by each `--sharing` of `zeroskip
    compile`. Samples of the training split calibrate; accuracy, and the perplexity of a language model, are measured on
    the test split.
    """
    with working() as progress:
        result = bench_sharing(
            network,
            data,
            weights=weights,
            settings=SharingBenchSettings(density=density, pattern=pattern),
            seed=seed,
            progress=progress,
        )
    show_tables(result.summary(), result.tables(), result.notes(), as_json=as_json)
