import re

import numpy as np
import pytest

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.digits import load_digits


def test_values_are_fractions_of_one() -> None:
    dataset = load_digits()
    assert dataset.train_inputs.min() == 0
    assert dataset.train_inputs.max() == 1


def test_split_is_fixed_stratified_and_disjoint() -> None:
    dataset, again = load_digits(), load_digits()
    assert dataset.train_inputs.shape == (1437, 64)
    assert dataset.test_inputs.shape == (360, 64)
    assert np.array_equal(dataset.test_inputs, again.test_inputs)
    assert np.bincount(dataset.test_labels).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    train = {image.tobytes() for image in dataset.train_inputs}
    assert not any(image.tobytes() in train for image in dataset.test_inputs)


def test_dataset_names_the_field_that_is_wrong() -> None:
    inputs, labels = np.zeros((3, 2), np.float32), np.zeros(3, np.int64)
    good = {
        "name": "mine",
        "train_inputs": inputs,
        "train_labels": labels,
        "test_inputs": inputs,
        "test_labels": labels,
    }
    Dataset(**good)
    for field, value, message in [
        ("test_inputs", np.zeros((3, 2)), "test_inputs must be float32 (n, ...), not float64 (3, 2)"),
        ("train_inputs", inputs[0], "train_inputs must be float32 (n, ...), not float32 (2,)"),
        ("test_labels", labels[:2], "test_labels must be int64 (3,), not int64 (2,)"),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(f'mine: {message}')}$"):
            Dataset(**{**good, field: value})
