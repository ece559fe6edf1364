"""Data by name and from a file, and the errors where there are none."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from zeroskip.model.data.digits import load_digits
from zeroskip.model.data.named import load_data


def test_digits_are_images() -> None:
    dataset, rows = load_data("digits", 0), load_digits()
    assert dataset.train_inputs.shape == (1437, 1, 8, 8)
    assert dataset.test_inputs.shape == (360, 1, 8, 8)
    np.testing.assert_array_equal(dataset.train_inputs.reshape(-1, 64), rows.train_inputs)
    np.testing.assert_array_equal(dataset.test_labels, rows.test_labels)


def test_mnist_is_images() -> None:
    assert load_data("mnist-5k", 0).test_inputs.shape == (1000, 1, 28, 28)


def test_a_file_is_split_by_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, inputs=np.arange(20.0).reshape(10, 2), labels=np.arange(10))
    first, same, other = (load_data(str(path), seed) for seed in (1, 1, 2))
    assert (len(first.train_inputs), len(first.test_inputs)) == (8, 2)
    np.testing.assert_array_equal(first.test_labels, same.test_labels)
    assert first.test_labels.tolist() != other.test_labels.tolist()


def test_folders_are_passed_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path}/data_batch_1 does not exist. CIFAR-10 is")):
        load_data(f"cifar-10:{tmp_path}", 0)
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path}/train-images-idx3-ubyte[.gz] does not exist.")):
        load_data(f"fashion-mnist:{tmp_path}", 0)


NAMES = "digits, fashion-mnist, fashion-mnist:FOLDER, mnist-5k, cifar-10:FOLDER, python-topics, text:FILE"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing.npz", f"nothing.npz does not exist or is not a file, and is not one of the data sets {NAMES}"),
        ("cifar", f"cifar does not exist or is not a file, and is not one of the data sets {NAMES}"),
        ("digits:", f"digits: does not exist or is not a file, and is not one of the data sets {NAMES}"),
        ("digits:folder", "digits takes no folder, not 'folder'"),
        ("mnist-5k:folder", "mnist-5k takes no folder, not 'folder'"),
        ("python-topics:folder", "python-topics takes no folder, not 'folder'"),
        ("text", "text needs a file, as in text:book.txt"),
        ("text:nothing.txt", "nothing.txt does not exist or is not a file"),
        ("cifar-10", "cifar-10 needs the folder of its batches, as in cifar-10:cifar-10-batches-py"),
    ],
)
def test_what_is_no_data_is_told(spec: str, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=f"^{re.escape(message)}$"):
        load_data(spec, 0)


def test_files_too_small_or_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, inputs=np.zeros((4, 2)), labels=np.zeros(4, int))
    message = f"{path}: needs at least 5 samples, so that some can be held out to measure accuracy on, not 4"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_data(str(path), 0)
    np.savez(path, inputs=np.zeros((10, 2)))
    with pytest.raises(ValueError, match="must have the key 'labels'"):
        load_data(str(path), 0)
