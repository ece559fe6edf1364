"""`zeroskip finetune`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from model import options
from model.console import require_writable, show, training_bar
from model.data.named import load_data
from model.loading import load_network, save_weights
from model.pruning.training import Course
from model.search.finetune import FinetuneSettings, finetune
from model.search.plan import CHANNELS, load_plan


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
    module, removed = load_network(network, weights)
    dataset = load_data(data, seed)
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
    save_weights(result.module, output, removed=removed or chosen.granularity == CHANNELS)
    summary = {
        "weights": str(output),
        "density": result.kept,
        "accuracy": result.accuracies,
        "seconds": time.monotonic() - start,
    }
    rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in result.accuracies.items()]
    rows += [("weights kept", f"{result.kept:.1%}"), ("written", str(output))]
    show(summary, rows, title=f"{network} fine-tuned", as_json=as_json)


def add_commands(app: typer.Typer) -> None:
    app.command("finetune")(finetune_command)
