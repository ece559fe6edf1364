"""`zeroskip bench eie`."""

from __future__ import annotations

from typing import Annotated

import typer

from zeroskip.api.eie.bench import EieBenchSettings, bench_eie
from zeroskip.commands import options
from zeroskip.commands.console import finish, show_tables, working
from zeroskip.commands.eie import options as eie_options
from zeroskip.model.eie.geometry import EieGeometry, word_geometry


def bench_command(
    layers: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help="Layers of the paper's Table III, separated by commas.", show_default="all nine"
        ),
    ] = "",
    pes: eie_options.Pes = EieGeometry.pes,
    queue_depth: eie_options.QueueDepth = EieGeometry.queue_depth,
    index_bits: eie_options.IndexBits = EieGeometry.index_bits,
    word_bits: eie_options.WordBits = 64,
    balance_load: eie_options.BalanceLoad = EieBenchSettings.balance_load,
    model_only: Annotated[bool, typer.Option("--model-only", help="Run only the cycle model, not the RTL.")] = False,
    load: options.Load = EieBenchSettings.load,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Run the nine layers of the EIE paper, random with its sizes and densities, on the RTL.

    ratio: microseconds at 800 MHz, relative to the "actual" ones of the paper's Table IV. utilisation: multiplied
    weights, relative to PEs x cycles. lost: the other cycles by cause, as fractions of all. reference: the same product
    on this machine, in microseconds. calibration: the seed and number of the activations by which the load is balanced;
    those of the run are others, drawn with seed. The exit code is 1 unless every output and every cycle is right.
    """
    settings = EieBenchSettings(
        layers=options.names(layers),
        geometry=word_geometry(pes=pes, queue_depth=queue_depth, index_bits=index_bits, word_bits=word_bits),
        balance_load=balance_load,
        model_only=model_only,
        load=load,
    )
    with working() as progress:
        result = bench_eie(settings=settings, seed=seed, progress=progress)
    show_tables(result.summary(), result.tables(), result.notes(), as_json=as_json)
    finish(result.equal)
