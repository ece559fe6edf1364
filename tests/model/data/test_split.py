"""The held-out split: a random fifth, another one for each seed."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.model.data.split import held_out

INPUTS = np.arange(53, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
LABELS = np.arange(53) % 7


@pytest.mark.parametrize("seed", [0, 1, 12])
def test_a_fifth_in_the_order_of_the_seed(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(53)
    split = held_out("some", INPUTS, LABELS, seed)
    assert split.name == "some"
    assert np.array_equal(split.test_inputs, INPUTS[order[:10]])
    assert np.array_equal(split.test_labels, LABELS[order[:10]])
    assert np.array_equal(split.train_inputs, INPUTS[order[10:]])
    assert np.array_equal(split.train_labels, LABELS[order[10:]])


def test_another_seed_holds_out_others() -> None:
    held = [set(held_out("some", INPUTS, LABELS, seed).test_inputs[:, 0].tolist()) for seed in range(5)]
    assert len({frozenset(some) for some in held}) == 5
    assert all(len(some) == 10 for some in held)


def test_too_few_samples() -> None:
    assert len(held_out("some", INPUTS[:5], LABELS[:5], 0).test_inputs) == 1
    with pytest.raises(ValueError, match=r"some: needs at least 5 samples, so that some can be held out .* not 4"):
        held_out("some", INPUTS[:4], LABELS[:4], 0)
