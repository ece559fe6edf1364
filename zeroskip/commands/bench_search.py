"""`zeroskip bench search`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zeroskip.commands import options
from zeroskip.commands.console import progress_bar, require_json, require_writable
from zeroskip.commands.eie import options as eie_options
from zeroskip.model.eie.geometry import EieGeometry

if TYPE_CHECKING:
    from zeroskip.model.search.storage.journal import Journal


def bench_search_command(
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[Path, typer.Option(help="JSON file to write; journals stand beside it.")],
    weights: options.Weights = None,
    budget: Annotated[float, typer.Option(help="Fraction of the dense EIE cycles of the first plan.")] = 0.4,
    granularity: Annotated[
        Literal["weights", "channels"], typer.Option(help="Prune single weights, or whole channels.")
    ] = "weights",
    step: Annotated[
        float | None,
        typer.Option(help="Fraction of the dense cost that each step prunes; for 30 of them unless given."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of fine-tuning.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of fine-tuning.")] = 0.005,
    seeds: Annotated[int, typer.Option(min=1, help="Fine-tunings of each plan.")] = 3,
    images: Annotated[int, typer.Option(min=1, help="Test images on the RTL.")] = 50,
    pes: eie_options.Pes = 8,
    workers: options.Workers = "1",
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """What it pays to search in cycles: plans by NetAdapt for EIE cycles, MACs and parameters, on the RTL.

    The first is for EIE cycles. The others keep as many weights as it does, or a few less where channels are pruned.
    All are fine-tuned alike, and the first of each is compiled and run. The exit code is 1 unless every output and
    every cycle is right.
    """
    import torch

    from zeroskip.cosim.search_bench import CORE, COSTS, SearchBench, bench_search
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.data.named import load_data
    from zeroskip.model.files import save_json
    from zeroskip.model.loading import load_network
    from zeroskip.model.pruning.training import TrainingSettings
    from zeroskip.model.search.settings import NetAdaptSettings
    from zeroskip.model.search.setup import prepare
    from zeroskip.model.search.storage.journal import Journal
    from zeroskip.model.search.workers import parse_workers

    start = time.monotonic()
    require_tools(Simulator.VERILATOR)
    torch.set_num_threads(1)
    require_json(output)
    require_writable(output, Path(data))
    module, _ = load_network(network, weights)
    setup = prepare(
        module,
        load_data(data, 0),
        granularity=granularity,
        cost=COSTS[0],
        geometries={CORE: EieGeometry(pes=pes)},
        seed=0,
        cache=output.parent / ".search",
    )
    # All steps of one size: searches for one cost share them, whatever their budget, and any budget is reached.
    settings = NetAdaptSettings(step=NetAdaptSettings(step=step, decay=1.0).first_step(budget), decay=1.0)
    what = SearchBench(
        setup=setup,
        budget=budget,
        settings=settings,
        training=TrainingSettings(epochs=epochs, learning_rate=learning_rate, weight_decay=2e-4, batch_size=64),
        seeds=seeds,
        images=images,
        workers=parse_workers(workers),
    )

    def journal(cost: str) -> Journal:
        return Journal(Path(f"{output}.{cost}.journal"), f"{setup.configuration} {settings} {cost}", resume=resume)

    with progress_bar() as bar:
        task = bar.add_task("", total=len(COSTS) * (2 + seeds))
        rows = bench_search(
            what,
            journal,
            simulator=Simulator.VERILATOR,
            progress=lambda doing: bar.update(task, description=doing, advance=1),
        )
    summary = {
        "network": network,
        "budget": budget,
        "granularity": granularity,
        "pes": pes,
        "plans": rows,
        "seconds": time.monotonic() - start,
    }
    save_json(output, summary)
    if as_json:
        print(json.dumps(summary))
    else:
        _show(rows, f"{network}: plans for each cost, {pes} PEs")
    if not all(row["mismatches"] == 0 and row["cycle_model_equal"] for row in rows):
        raise typer.Exit(1)


def _show(rows: list[dict[str, Any]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    heads = ("cost", "weights", "MACs", "cycles", "ratio", "accuracy", "equal")
    for head in heads:
        table.add_column(head, justify="left" if head == heads[0] else "right", no_wrap=True)
    for row in rows:
        accuracy = row["accuracy"]
        table.add_row(
            row["cost"],
            f"{row['kept']:.2%}",
            f"{row['costs']['macs']:.1%}",
            f"{row['rtl_cycles']:,.0f}",
            f"{row['cycles_ratio']:.2f}",
            f"{accuracy['after']:.2%} ± {accuracy['std']:.2%}",
            "yes" if row["mismatches"] == 0 and row["cycle_model_equal"] else "NO",
        )
    Console().print(table)
    print("weights: kept weights; cycles: RTL cycles per image, and their ratio to those of the first plan;")
    print("accuracy: on the test split after fine-tuning")
    print(f"dense: {accuracy['dense']:.2%}")
