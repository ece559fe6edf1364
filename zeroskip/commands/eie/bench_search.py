"""`zeroskip bench search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zeroskip.api.eie.bench_search import SearchBenchSettings, bench_search
from zeroskip.commands import options
from zeroskip.commands.console import Kept, finish, show_tables, working
from zeroskip.commands.eie import options as eie_options


def bench_search_command(
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[Path, typer.Option(help="JSON file to write; journals are written next to it.")],
    weights: options.Weights = None,
    budget: Annotated[
        float, typer.Option(help="Cycles that the first plan may have, as a fraction of the dense EIE cycles.")
    ] = SearchBenchSettings.budget,
    granularity: Annotated[
        Literal["weights", "channels"], typer.Option(help="Prune single weights, or whole channels.")
    ] = "weights",
    step: Annotated[
        float | None,
        typer.Option(
            help="Fraction of the dense cost that each step of NetAdapt saves.", show_default="30 steps to the budget"
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of fine-tuning.")] = SearchBenchSettings.epochs,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of fine-tuning.")
    ] = SearchBenchSettings.learning_rate,
    seeds: Annotated[int, typer.Option(min=1, help="Fine-tuning runs of each plan.")] = SearchBenchSettings.seeds,
    images: Annotated[int, typer.Option(min=1, help="Test images on the RTL.")] = SearchBenchSettings.images,
    pes: eie_options.Pes = SearchBenchSettings.pes,
    workers: options.Workers = "1",
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Compare searches for EIE cycles, MACs and parameters on the RTL: the gain of searching in cycles.

    NetAdapt searches a plan for each cost, first for cycles. The other plans keep as many weights as the first, or
    slightly fewer if channels are pruned. All plans are fine-tuned in the same way, and the first network of each runs
    on the RTL. The
    exit code is 1 unless every output and every cycle is right.
    """
    settings = SearchBenchSettings(
        budget=budget,
        granularity=granularity,
        step=step,
        epochs=epochs,
        learning_rate=learning_rate,
        seeds=seeds,
        images=images,
        pes=pes,
    )
    with working(Kept("steps", Path(f"{output}.*.journal"), "continue with --resume")) as progress:
        result = bench_search(
            network,
            data,
            output=output,
            weights=weights,
            settings=settings,
            resume=resume,
            workers=workers,
            progress=progress,
        )
    show_tables(result.summary(), result.tables(), result.notes(), as_json=as_json)
    finish(result.equal)
