"""`zeroskip train`: the dense network that pruning starts from."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from zeroskip.commands import options
from zeroskip.commands.console import require_writable, show, training_bar
from zeroskip.model.data.named import load_data
from zeroskip.model.loading import load_network, save_weights
from zeroskip.model.pruning.fitting import require_classifier
from zeroskip.model.pruning.training import TrainingSettings, evaluate
from zeroskip.model.pruning.training_run import TrainingRun, configuration

THREADS = 1
"""Sums that are split among threads round differently: with one, a seed gives the same weights everywhere."""


def train_command(
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[Path, typer.Option(help="Safetensors file of weights to write.")],
    weights: options.Weights = None,
    epochs: Annotated[int, typer.Option(min=0, help="Passes over the training samples.")] = 20,
    learning_rate: Annotated[float, typer.Option(help="At the start; it falls to zero along half a cosine.")] = 0.05,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Training state, to go on from. [default: OUTPUT.ckpt]")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Train a dense network, which `search`, `finetune` and `compile` start from.

    By SGD with momentum 0.9, weight decay and batches of 64. Accuracy is that on the data set's own test split, or on
    the fifth of a file that is left out. Training that was cut short goes on where it stopped.
    """
    start = time.monotonic()
    require_writable(output, Path(data))
    training = TrainingSettings(epochs=epochs, learning_rate=learning_rate, weight_decay=2e-4, batch_size=64)
    module, removed = load_network(network, weights)
    dataset = load_data(data, seed)
    require_classifier(module, dataset)
    torch.set_num_threads(THREADS)
    trained = copy.deepcopy(module)
    with training_bar() as progress:
        run = TrainingRun(
            torch.from_numpy(dataset.train_labels),
            seed=seed,
            total=epochs,
            configuration=configuration(module, dataset, training, seed),
            path=checkpoint or Path(f"{output}.ckpt"),
            progress=progress,
        )
        run.stage("train", trained, torch.from_numpy(dataset.train_inputs), training, keep="dense")
    test = torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels)
    accuracy = {"start": evaluate(module, *test), "trained": evaluate(trained, *test)}
    save_weights(trained, output, removed=removed)
    summary = {
        "weights": str(output),
        "samples": {"train": len(dataset.train_inputs), "test": len(dataset.test_inputs)},
        "epochs": epochs,
        "accuracy": accuracy,
        "seconds": time.monotonic() - start,
    }
    rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in accuracy.items()]
    rows += [
        ("samples", f"{len(dataset.train_inputs):,} to train by, {len(dataset.test_inputs):,} to measure by"),
        ("written", str(output)),
    ]
    show(summary, rows, title=f"{network} trained", as_json=as_json)
