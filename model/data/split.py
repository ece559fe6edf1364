"""Splits off samples that nothing is trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.data.dataset import Dataset

HELD_OUT = 0.2
"""The fraction of the samples that is held out: only accuracy is measured on it."""


def held_out(
    name: str, inputs: NDArray[np.float32], labels: NDArray[np.int64], seed: int, *, labels_named: str | None = None
) -> Dataset:
    """A data set `name` of the samples, with a random fraction HELD_OUT of them as the test split; errors call the
    labels `labels_named`. Raises ValueError where there are too few samples."""
    order = np.random.default_rng(seed).permutation(len(inputs))
    count = int(len(inputs) * HELD_OUT)
    if count == 0:
        raise ValueError(
            f"{name}: needs at least {int(1 / HELD_OUT)} samples, so that some can be held out to measure accuracy on, "
            f"not {len(inputs)}"
        )
    test, train = order[:count], order[count:]
    return Dataset(
        name=name,
        train_inputs=inputs[train],
        train_labels=labels[train],
        test_inputs=inputs[test],
        test_labels=labels[test],
        labels_named=labels_named,
    )
