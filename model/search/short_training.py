"""Training for a few batches, which predicts the accuracy after fine-tuning."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from zeroskip.model.pruning.training import TrainingSettings, train
from zeroskip.model.search.samples import Samples


def train_for_batches(
    network: nn.Module,
    samples: Samples,
    *,
    iterations: int,
    learning_rate: float,
    batch_size: int,
    constant: bool,
    seed: int,
    number: int,
) -> None:
    """Trains `network` in place by SGD for `iterations` batches, going through the samples as often as needed.

    The learning rate stays `constant` or falls along half a cosine. The order of the samples depends on `seed` and
    `number` alone, so that networks that are compared see the same batches. Raises FloatingPointError if training
    diverges.
    """
    if iterations == 0:
        return
    random = np.random.default_rng((seed, number))
    wanted = iterations * batch_size
    rounds = -(-wanted // len(samples.labels))
    order = np.concatenate([random.permutation(len(samples.labels)) for _ in range(rounds)])
    chosen = torch.from_numpy(order[:wanted])
    training = TrainingSettings(
        epochs=1,
        learning_rate=learning_rate,
        weight_decay=1e-4,
        batch_size=batch_size,
        constant=constant,
    )
    train(
        network,
        samples.inputs[chosen],
        samples.labels[chosen],
        training=training,
        optimizer=training.make_optimizer(network),
        seed=seed,
        stage=number,
        on_epoch=lambda *_: None,
    )
