"""`zeroskip finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.finetune import FinetuneSettings, finetune
from zeroskip.commands import options
from zeroskip.commands.console import Kept, show, working
from zeroskip.model.search.choices import CriterionName, PenaltyName, ScheduleName

PRUNING_PANEL, TRAINING_PANEL, HELP_PANEL = "Pruning", "Training", "Regularisation and distillation"


def finetune_command(
    context: typer.Context,
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[Path, typer.Option(help="Safetensors file to write the weights to, for `zeroskip compile`.")],
    weights: options.Weights = None,
    plan: Annotated[
        Path | None, typer.Option(help="Prune to this plan, from `zeroskip search`.", rich_help_panel=PRUNING_PANEL)
    ] = None,
    compression: Annotated[
        float | None,
        typer.Option(
            help="Or prune to this compression ratio, dense weights to kept weights, over all layers together.",
            rich_help_panel=PRUNING_PANEL,
        ),
    ] = None,
    criterion: Annotated[
        CriterionName, typer.Option(help="How weights, or channels, are ranked.", rich_help_panel=PRUNING_PANEL)
    ] = FinetuneSettings.criterion,
    refit: Annotated[
        bool,
        typer.Option(
            help="Fit the weights that pruning at once leaves, before training.", rich_help_panel=PRUNING_PANEL
        ),
    ] = FinetuneSettings.refit,
    schedule: Annotated[
        ScheduleName,
        typer.Option(help="Prune at once, or in rounds with densities that fall.", rich_help_panel=PRUNING_PANEL),
    ] = FinetuneSettings.schedule,
    rounds: Annotated[
        int,
        typer.Option(min=1, help="Rounds of the iterative and the cubic schedule.", rich_help_panel=PRUNING_PANEL),
    ] = FinetuneSettings.rounds,
    train: Annotated[
        int, typer.Option(min=0, help="Epochs of dense training before pruning.", rich_help_panel=TRAINING_PANEL)
    ] = FinetuneSettings.train_epochs,
    train_rate: Annotated[
        float, typer.Option(help="Learning rate of dense training.", rich_help_panel=TRAINING_PANEL)
    ] = FinetuneSettings.train_rate,
    epochs: Annotated[
        int, typer.Option(min=0, help="Epochs of training after each round of pruning.", rich_help_panel=TRAINING_PANEL)
    ] = FinetuneSettings.epochs,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Learning rate after pruning, a tenth to a hundredth of that of dense training.",
            show_default="a tenth of --train-rate",
            rich_help_panel=TRAINING_PANEL,
        ),
    ] = None,
    final_epochs: Annotated[
        int, typer.Option(min=0, help="Further epochs after the last round.", rich_help_panel=TRAINING_PANEL)
    ] = FinetuneSettings.final_epochs,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Samples in a batch.", rich_help_panel=TRAINING_PANEL)
    ] = FinetuneSettings.batch_size,
    regularise: Annotated[
        PenaltyName | None,
        typer.Option(
            help="Penalty while pruning: on all weights, or growing on those that are pruned next.",
            rich_help_panel=HELP_PANEL,
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
        typer.Option("--distil", help="Train with the dense network as teacher.", rich_help_panel=HELP_PANEL),
    ] = False,
    temperature: Annotated[
        float, typer.Option(help="Temperature that softens the teacher's outputs.", rich_help_panel=HELP_PANEL)
    ] = FinetuneSettings.temperature,
    alpha: Annotated[
        float,
        typer.Option(help="Weight of the teacher's outputs against the labels, 0 to 1.", rich_help_panel=HELP_PANEL),
    ] = FinetuneSettings.alpha,
    from_dense: Annotated[
        bool,
        typer.Option(
            "--from-dense",
            help="Start from the dense weights, also where NetAdapt's trained ones lie beside the plan.",
            rich_help_panel=TRAINING_PANEL,
        ),
    ] = False,
    checkpoint: options.Checkpoint = None,
    device: options.Device = "cpu",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Prune a network to a plan or to a compression ratio, and train it.

    Accuracy is measured on the test split of the data set; of a file, a fifth of the samples is held out for this, the
    same as in the search. Training that was cut short continues from its checkpoint.
    """
    if (plan is None) == (compression is None):
        raise ValueError("either --plan or --compression must be given, and not both")
    options.require_with(context, "rounds", "--schedule iterative or cubic", schedule != "one-shot")
    options.require_with(context, "train_rate", "--train", train > 0)
    options.require_with(context, "strength", "--regularise", regularise is not None)
    options.require_with(context, "temperature", "--distil", distil)
    options.require_with(context, "alpha", "--distil", distil)
    options.require_with(context, "from_dense", "--plan", plan is not None)
    if regularise is not None and strength is None:
        raise ValueError(f"--regularise {regularise} needs --strength")
    settings = FinetuneSettings(
        criterion=criterion,
        refit=refit,
        schedule=schedule,
        rounds=rounds,
        train_epochs=train,
        train_rate=train_rate,
        epochs=epochs,
        learning_rate=learning_rate,
        final_epochs=final_epochs,
        batch_size=batch_size,
        regularise=regularise,
        strength=strength,
        distil=distil,
        temperature=temperature,
        alpha=alpha,
        from_dense=from_dense,
    )
    checkpoint = checkpoint or Path(f"{output}.ckpt")
    with working(Kept("epochs", checkpoint, "run the same command again to continue")) as progress:
        result = finetune(
            network,
            data,
            plan=plan,
            compression=compression,
            weights=weights,
            settings=settings,
            output=output,
            checkpoint=checkpoint,
            device=device,
            seed=seed,
            progress=progress,
        )
    show(result.summary(), result.rows(), title=f"{network}, fine-tuned", as_json=as_json)
