"""`zeroskip sparseconv`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.sparseconv.network import SparseNetworkSettings, run_sparse_network
from zeroskip.commands import options
from zeroskip.commands.console import finish, show_tables, working

_DEFAULT = SparseNetworkSettings()


def network_command(
    file: Annotated[
        Path,
        typer.Argument(help="Vectors of a sparse network in int8, from zeroskip.sparseconv.int8.save_vectors."),
    ],
    width: Annotated[
        int, typer.Option(help="Keys that the mapping unit merges in a cycle, a power of two from 1 to 64.")
    ] = _DEFAULT.width,
    m: Annotated[int, typer.Option("--m", help="Rows of the tile, 1 to 64.")] = _DEFAULT.m,
    n: Annotated[int, typer.Option("--n", help="Columns of the tile, 1 to 64.")] = _DEFAULT.n,
    simulator: options.Simulator = "verilator",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Run a sparse network in int8 on the RTL of the mapping unit and the N:M tile.

    The mapping unit finds the map of each layer, the tile multiplies the features of each offset's pairs by its
    weights, dense or 2:4. The exit code is 1 unless every map, product, sum and feature equals torch's, and the cycles
    equal the cycle models.
    """
    settings = SparseNetworkSettings(width=width, m=m, n=n, simulator=simulator)
    with working() as progress:
        result = run_sparse_network(file, settings=settings, seed=seed, progress=progress)
    show_tables(result.summary(), result.tables(), result.notes(), as_json=as_json)
    finish(result.equal)
