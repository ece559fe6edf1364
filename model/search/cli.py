"""`zeroskip search` and `zeroskip finetune`."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from torch import nn

from model import options
from model.console import progress_bar, require_writable, show, training_bar
from model.data.dataset import Dataset
from model.data.named import load_data
from model.data.split import held_out
from model.formats.geometry import EieGeometry
from model.formats.pattern import Pattern
from model.formats.tile import TileGeometry, mode_geometry
from model.loading import load_network, save_weights
from model.pruning.masks import Masks
from model.pruning.stages import configuration
from model.pruning.training import Course
from model.search.cost import cost_table
from model.search.evaluation import Evaluator
from model.search.exact import exact_eie_cycles, exact_mma_cycles
from model.search.finetune import FinetuneSettings, finetune
from model.search.layers import read_layers
from model.search.plan import WEIGHTS, Plan, choices, load_plan, save_plan, weight_shapes
from model.search.sensitivity import save_scan, scan, solve

SAMPLE = 16
"""Images by which the cycles of the EIE array are counted."""

LARGEST_PART = 5_000
"""Images at most that a search measures accuracy on."""


def sensitivity_command(
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[Path, typer.Option(help="The plan to write (.json); the curves are written beside it.")],
    budget: Annotated[float, typer.Option(help="Fraction of the dense cost to reach.")],
    weights: options.Weights = None,
    granularity: Annotated[
        Literal["weights", "nm"], typer.Option(help="Prune single weights, or N:M by the pattern.")
    ] = "weights",
    pattern: options.NmPattern = "2:4",
    cost: Annotated[
        Literal["eie-cycles", "mma-cycles", "macs", "params", "bytes"], typer.Option(help="What the budget counts.")
    ] = "eie-cycles",
    pes: options.Pes = 8,
    m: options.TileRows = 4,
    n: options.TileColumns = 4,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the journal of a search that was cut short.")
    ] = False,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Prune each layer alone to several densities, and find a plan within a budget from the curves.

    A fifth of the data is left out as a test set, and of the rest another fifth, 5,000 samples at most, serves to
    measure accuracy. In the plan all layers keep the same accuracy when pruned alone, the highest within the budget.
    """
    start = time.monotonic()
    require_writable(output, Path(data))
    chosen = WEIGHTS if granularity == "weights" else str(Pattern.parse(pattern))
    densities = choices(chosen)
    array = EieGeometry(pes=pes)
    nm = Pattern() if chosen == WEIGHTS else Pattern.parse(pattern)
    tile = mode_geometry(
        generation="A100", dtype="fp16", out="fp32", m=m, n=n, keep=nm.keep, group=nm.group, pair=nm.pair
    )
    module, dataset = _network_and_data(network, weights, data, seed)
    module.eval()
    part_inputs, part_labels = _held_back(dataset, seed)
    layers = read_layers(module, dataset.train_inputs[:SAMPLE])
    table = cost_table(cost, layers, chosen, array=array, tile=tile, cache=output.parent / ".costs")
    evaluator = Evaluator(
        module,
        torch.from_numpy(part_inputs),
        torch.from_numpy(part_labels),
        granularity=chosen,
        configuration=configuration(module, dataset, chosen, seed),
        journal=Path(f"{output}.journal"),
        resume=resume,
    )
    with progress_bar() as bar:
        task = bar.add_task("scan", total=len(layers) * len(densities))

        def progress(name: str, density: float, accuracy: float) -> None:
            bar.update(task, advance=1, description=f"{name} at {density:.0%}: {accuracy:.1%}")

        found = scan(evaluator, [layer.name for layer in layers], densities, progress=progress)
    plan = solve(found, table, budget, weight_shapes(module))
    accuracy = {"dense": found.dense, "plan": evaluator.accuracy(plan.densities)}
    exact = _exact(module, plan, dataset, array, tile)
    files = save_scan(found, output)
    save_plan(plan, output)

    total = table.total(plan.densities)
    summary: dict[str, Any] = {
        "plan": str(output),
        "layers": plan.densities,
        "granularity": chosen,
        "cost": {
            "name": cost,
            "dense": table.dense,
            "plan": total,
            "reached": plan.reached,
            "budget": budget,
            "exact": exact,
        },
        "density": plan.density,
        "accuracy": accuracy,
        "evaluations": evaluator.measured,
        "files": [str(path) for path in files],
        "seconds": time.monotonic() - start,
    }
    rows = [
        (f"layer {layer.name}", f"{layer.density:.1%} of {' x '.join(map(str, layer.shape))}") for layer in plan.layers
    ]
    rows += [
        ("weights kept", f"{plan.density:.1%}"),
        (f"{cost}, dense", f"{table.dense:,.0f}"),
        (f"{cost}, plan", f"{total:,.0f} ({plan.reached:.1%}, budget {budget:.1%})"),
    ]
    if exact is not None:
        rows.append(("whole network, exact model", f"{exact:,.0f} ({exact / total - 1:+.1%} to the table's sum)"))
    rows += [
        ("accuracy, dense", f"{accuracy['dense']:.2%}"),
        ("accuracy, plan before fine-tuning", f"{accuracy['plan']:.2%}"),
        ("evaluations", f"{evaluator.measured:,}"),
        ("written", ", ".join(str(path) for path in (output, *files))),
    ]
    show(summary, rows, title=f"{network}: sensitivity", as_json=as_json)


def finetune_command(
    network: options.Network,
    plan: Annotated[Path, typer.Option(help="A plan from `zeroskip search`.")],
    data: options.LabelledData,
    output: Annotated[Path, typer.Option(help="Safetensors file of weights to write, for `zeroskip compile`.")],
    weights: options.Weights = None,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs after each round of pruning.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="A tenth to a hundredth of the dense training's.")] = 0.005,
    schedule: Annotated[
        Literal["one-shot", "iterative", "cubic"], typer.Option(help="How the densities fall, round by round.")
    ] = "one-shot",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the iterative and the cubic schedule.")] = 5,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Training state, to go on from. [default: OUTPUT.ckpt]")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Prune a network to a plan and train what is left.

    A fifth of the data, the same as in the search, is left out to measure accuracy. Training that was cut short goes on
    where it stopped.
    """
    start = time.monotonic()
    # Weights may be trained on in place: they are read before they are written.
    require_writable(output, Path(data), plan)
    chosen = load_plan(plan)
    module, dataset = _network_and_data(network, weights, data, seed)
    course = Course(epochs=epochs, learning_rate=learning_rate, weight_decay=2e-4, batch_size=64)
    with training_bar() as progress:
        result = finetune(
            module,
            chosen,
            dataset,
            settings=FinetuneSettings(schedule=schedule, rounds=rounds, course=course, threads=1),
            seed=seed,
            checkpoint=checkpoint or Path(f"{output}.ckpt"),
            progress=progress,
        )
    save_weights(result.module, output, removed=False)
    summary = {
        "weights": str(output),
        "density": chosen.density,
        "accuracy": result.accuracies,
        "seconds": time.monotonic() - start,
    }
    rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in result.accuracies.items()]
    rows += [("weights kept", f"{chosen.density:.1%}"), ("written", str(output))]
    show(summary, rows, title=f"{network} fine-tuned", as_json=as_json)


def _network_and_data(network: str, weights: Path | None, data: str, seed: int) -> tuple[nn.Module, Dataset]:
    module, _ = load_network(network, weights)
    return module, load_data(data, seed)


def _held_back(dataset: Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of the training samples that the search measures accuracy on."""
    part = held_out(Path(dataset.name), dataset.train_inputs, dataset.train_labels, seed + 1)
    return part.test_inputs[:LARGEST_PART], part.test_labels[:LARGEST_PART]


def _exact(module: nn.Module, plan: Plan, dataset: Dataset, array: EieGeometry, tile: TileGeometry) -> float | None:
    """The cost of the whole network under the plan by the exact model, or None where the table is exact itself."""
    if plan.cost not in ("eie-cycles", "mma-cycles"):
        return None
    pruned = copy.deepcopy(module)
    Masks(pruned, plan.masks(module)).apply()
    inputs = dataset.train_inputs[:SAMPLE]
    return (
        exact_eie_cycles(pruned, inputs, array) if plan.cost == "eie-cycles" else exact_mma_cycles(pruned, inputs, tile)
    )


def add_commands(app: typer.Typer) -> None:
    search = typer.Typer(help="Find how much of each layer may go.", no_args_is_help=True)
    # Without a callback, a single command would take the group's place.
    search.callback()(lambda: None)
    search.command("sensitivity")(sensitivity_command)
    app.add_typer(search, name="search")
    app.command("finetune")(finetune_command)
