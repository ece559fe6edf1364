"""`zeroskip train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.train import OptimizerName, TrainSettings, train
from zeroskip.commands import options
from zeroskip.commands.console import Kept, show, working


def train_command(
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[Path, typer.Option(help="Safetensors file to write the weights to.")],
    weights: options.Weights = None,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of training.")] = TrainSettings.epochs,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate at the start; it falls to zero along half a cosine.")
    ] = TrainSettings.learning_rate,
    optimizer: Annotated[OptimizerName, typer.Option(help="How the weights learn.")] = TrainSettings.optimizer,
    checkpoint: options.Checkpoint = None,
    device: options.Device = "cpu",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Train a dense network. `search`, `finetune` and `compile` start from it.

    By SGD with momentum 0.9 or by Adam, with weight decay and batches of 64. Accuracy is measured on the test split of
    the data set; of a file, a fifth of the samples is held out for this. Training that was cut short continues from its
    checkpoint.
    """
    checkpoint = checkpoint or Path(f"{output}.ckpt")
    with working(Kept("epochs", checkpoint, "run the same command again to continue")) as progress:
        result = train(
            network,
            data,
            weights=weights,
            settings=TrainSettings(epochs=epochs, learning_rate=learning_rate, optimizer=optimizer),
            output=output,
            checkpoint=checkpoint,
            device=device,
            seed=seed,
            progress=progress,
        )
    show(result.summary(), result.rows(), title=f"{network}, trained", as_json=as_json)
