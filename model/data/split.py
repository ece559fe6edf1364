"""A part of the user's data that nothing is trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.data.dataset import Dataset

HELD_OUT = 0.2
"""Fraction of the user's samples that accuracy is measured on, and nothing else is done with."""


def held_out(name: str, inputs: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> Dataset:
    """The samples `name`, a random HELD_OUT of them as the test split. Raises ValueError where there are too few."""
    order = np.random.default_rng(seed).permutation(len(inputs))
    count = int(len(inputs) * HELD_OUT)
    if count == 0:
        raise ValueError(
            f"{name}: needs at least {int(1 / HELD_OUT)} samples, to leave some out that accuracy is measured on, "
            f"not {len(inputs)}"
        )
    test, train = order[:count], order[count:]
    return Dataset(
        name=name,
        train_inputs=inputs[train],
        train_labels=labels[train],
        test_inputs=inputs[test],
        test_labels=labels[test],
    )
