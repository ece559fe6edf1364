"""`zeroskip finetune`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zeroskip.commands import options
from zeroskip.commands.console import require_writable, show, training_bar
from zeroskip.model.search.choices import CriterionName, PenaltyName, ScheduleName

if TYPE_CHECKING:
    from zeroskip.model.pruning.training import TrainingSettings

TARGET_PANEL, TRAINING_PANEL, HELP_PANEL = "What goes, and when", "Training", "What helps"
WEIGHT_DECAY = 2e-4
ROUNDS = 5


def finetune_command(
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[Path, typer.Option(help="Safetensors file of weights to write, for `zeroskip compile`.")],
    weights: options.Weights = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="Prune to a plan from `zeroskip search`.", rich_help_panel=TARGET_PANEL),
    ] = None,
    compression: Annotated[
        float | None,
        typer.Option(
            help="Or prune until one weight in so many stays, all layers competing.", rich_help_panel=TARGET_PANEL
        ),
    ] = None,
    criterion: Annotated[
        CriterionName,
        typer.Option(help="By what the weights, or channels, that stay are chosen.", rich_help_panel=TARGET_PANEL),
    ] = "l1",
    schedule: Annotated[
        ScheduleName, typer.Option(help="How the densities fall, round by round.", rich_help_panel=TARGET_PANEL)
    ] = "one-shot",
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Rounds of the iterative and the cubic schedule, {ROUNDS} unless given.",
            rich_help_panel=TARGET_PANEL,
        ),
    ] = None,
    train: Annotated[
        int,
        typer.Option(min=0, help="Epochs of dense training before anything is pruned.", rich_help_panel=TRAINING_PANEL),
    ] = 0,
    train_rate: Annotated[
        float | None,
        typer.Option(help="Learning rate of the dense training, 0.05 unless given.", rich_help_panel=TRAINING_PANEL),
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=0, help="Epochs after each round of pruning.", rich_help_panel=TRAINING_PANEL)
    ] = 5,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="A tenth to a hundredth of the dense training's; a tenth of --train-rate unless given.",
            rich_help_panel=TRAINING_PANEL,
        ),
    ] = None,
    final_epochs: Annotated[
        int, typer.Option(min=0, help="Epochs more after the last round.", rich_help_panel=TRAINING_PANEL)
    ] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples in a batch.", rich_help_panel=TRAINING_PANEL)] = 64,
    regularise: Annotated[
        PenaltyName | None,
        typer.Option(
            help="Penalty while pruning: on all weights, or growing on those about to go.", rich_help_panel=HELP_PANEL
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            help="Factor of the penalty, about 1e-5 for l1 and group-lasso, 1e-4 for l2, 1 for growing.",
            rich_help_panel=HELP_PANEL,
        ),
    ] = None,
    distil: Annotated[
        bool,
        typer.Option("--distil", help="Learn from the dense network while pruning.", rich_help_panel=HELP_PANEL),
    ] = False,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="By which the outputs are softened to learn from, 4 unless given.", rich_help_panel=HELP_PANEL
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="Share of the dense network against the labels, 0 to 1; 0.9 unless given.", rich_help_panel=HELP_PANEL
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Training state, to go on from; OUTPUT.ckpt unless given.")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Prune a network, to a plan or to a number of weights, and train what is left.

    A fifth of the data, the same as in the search, is left out to measure accuracy. With --train the network is trained
    dense first. Training that was cut short goes on where it stopped.
    """
    from zeroskip.model.data.named import load_data
    from zeroskip.model.loading import load_network, save_weights
    from zeroskip.model.pruning.distil import Distil
    from zeroskip.model.pruning.training import TrainingSettings
    from zeroskip.model.search.finetune import finetune
    from zeroskip.model.search.finetune_settings import FinetuneSettings, Regularisation
    from zeroskip.model.search.plan import CHANNELS, Plan, load_plan

    start = time.monotonic()
    if (plan is None) == (compression is None):
        raise ValueError("either --plan or --compression must be given, and not both")
    _require_with("--rounds", rounds, "--schedule iterative or cubic", schedule != "one-shot")
    _require_with("--train-rate", train_rate, "--train", train > 0)
    _require_with("--strength", strength, "--regularise", regularise is not None)
    _require_with("--temperature", temperature, "--distil", distil)
    _require_with("--alpha", alpha, "--distil", distil)
    if regularise is not None and strength is None:
        raise ValueError(f"--regularise {regularise} needs --strength")
    # Weights may be trained on in place: they are read before they are written.
    require_writable(output, Path(data), *([] if plan is None else [plan]))

    dense_rate = 0.05 if train_rate is None else train_rate
    rate = dense_rate / 10 if learning_rate is None else learning_rate

    def training(epochs: int, rate: float) -> TrainingSettings:
        return TrainingSettings(epochs=epochs, learning_rate=rate, weight_decay=WEIGHT_DECAY, batch_size=batch_size)

    softened = {"temperature": temperature, "alpha": alpha}
    settings = FinetuneSettings(
        train=training(train, dense_rate) if train else None,
        training=training(epochs, rate),
        final=training(final_epochs, rate) if final_epochs else None,
        schedule=schedule,
        rounds=rounds or ROUNDS,
        criterion=criterion,
        regularisation=None if regularise is None else Regularisation(name=regularise, strength=strength or 0),
        distil=Distil(**{name: value for name, value in softened.items() if value is not None}) if distil else None,
        threads=1,
    )
    target = load_plan(plan) if plan is not None else compression
    assert target is not None
    module, removed = load_network(network, weights)
    dataset = load_data(data, seed)
    with training_bar() as progress:
        result = finetune(
            module,
            target,
            dataset,
            settings=settings,
            seed=seed,
            checkpoint=checkpoint or Path(f"{output}.ckpt"),
            progress=progress,
        )
    gone = isinstance(target, Plan) and target.granularity == CHANNELS
    save_weights(result.module, output, removed=removed or gone)
    summary = {
        "weights": str(output),
        "accuracy": result.accuracies,
        "kept": result.count,
        "total": result.total,
        "density": result.kept,
        "compression": result.total / result.count,
        "layers": {name: {"kept": kept, "total": total} for name, (kept, total) in result.layers.items()},
        "seconds": time.monotonic() - start,
    }
    rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in result.accuracies.items()]
    rows += [(f"layer {name}", f"{kept:,} of {total:,} weights") for name, (kept, total) in result.layers.items()]
    rows += [
        (
            "weights kept",
            f"{result.count:,} of {result.total:,} ({result.kept:.1%}, {summary['compression']:.1f}x compression)",
        ),
        ("written", str(output)),
    ]
    show(summary, rows, title=f"{network} fine-tuned", as_json=as_json)


def _require_with(name: str, value: object, switch: str, on: bool) -> None:
    """Raise ValueError where an option was given that means nothing without another."""
    if value is not None and not on:
        raise ValueError(f"{name} needs {switch}")
