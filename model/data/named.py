"""Labelled data by one argument of the command line: the name of a data set, or the path of the user's own file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.data.cifar10 import load_cifar10
from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.digits import load_digits
from zeroskip.model.data.fashion import load_fashion_mnist
from zeroskip.model.data.mnist_5k import load_mnist_5k
from zeroskip.model.data.names import NAMES
from zeroskip.model.data.npz import labels_field as npz_labels_field
from zeroskip.model.data.npz import load_npz
from zeroskip.model.data.split import held_out
from zeroskip.model.data.text import load_python_topics, load_text


def load_data(spec: str, seed: int) -> Dataset:
    """The data set of this name, with its own test split, and its inputs as images (n, channels, height, width) or as
    tokens (n, length); or the
    samples of an NPZ file, of which a random fraction, chosen by `seed`, is the test split.

    Raises FileNotFoundError, or ValueError with the reason.
    """
    if (found := _named(spec)) is not None:
        return found
    inputs, labels = load_npz(_file(spec), labels_required=True)
    assert labels is not None
    return held_out(spec, inputs, labels, seed, labels_named=npz_labels_field(_file(spec)))


def load_samples(spec: str, split: Literal["train", "test"]) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """One split of the data set of this name, inputs and labels; or all samples of an NPZ file, whose labels may be
    missing. Raises as `load_data` does."""
    if (found := _named(spec)) is not None:
        return getattr(found, f"{split}_inputs"), getattr(found, f"{split}_labels")
    return load_npz(_file(spec))


def labels_field(spec: str, split: Literal["train", "test"]) -> str:
    """What errors call the labels that `load_samples` reads."""
    return f"{spec}: {split}_labels" if _is_name(spec) else npz_labels_field(_file(spec))


def _is_name(spec: str) -> bool:
    name, colon, folder = spec.partition(":")
    return name in _LOADERS and bool(folder) == bool(colon)


def _named(spec: str) -> Dataset | None:
    if not _is_name(spec):
        return None
    name, _, folder = spec.partition(":")
    try:
        return _LOADERS[name](Path(folder) if folder else None)
    except ModuleNotFoundError as error:
        raise ValueError(f"{name}: {error}") from error


def _file(spec: str) -> Path:
    path = Path(spec)
    if not path.is_file():
        raise FileNotFoundError(f"{spec} does not exist or is not a file, and is not one of the data sets {NAMES}")
    return path


def _images(dataset: Dataset, size: int) -> Dataset:
    """The data set with its rows of pixels as square images of one channel."""
    shape = (-1, 1, size, size)
    return dataclasses.replace(
        dataset, train_inputs=dataset.train_inputs.reshape(shape), test_inputs=dataset.test_inputs.reshape(shape)
    )


def _digits(folder: Path | None) -> Dataset:
    _require_no_folder("digits", folder)
    return _images(load_digits(), 8)


def _fashion_mnist(folder: Path | None) -> Dataset:
    return _images(load_fashion_mnist(folder), 28)


def _mnist_5k(folder: Path | None) -> Dataset:
    _require_no_folder("mnist-5k", folder)
    return _images(load_mnist_5k(), 28)


def _cifar_10(folder: Path | None) -> Dataset:
    if folder is None:
        raise ValueError("cifar-10 needs the folder of its batches, as in cifar-10:cifar-10-batches-py")
    return load_cifar10(folder)


def _python_topics(folder: Path | None) -> Dataset:
    _require_no_folder("python-topics", folder)
    return load_python_topics()


def _text(file: Path | None) -> Dataset:
    if file is None:
        raise ValueError("text needs a file, as in text:book.txt")
    return load_text(file)


def _require_no_folder(name: str, folder: Path | None) -> None:
    if folder is not None:
        raise ValueError(f"{name} takes no folder, not '{folder}'")


_LOADERS: dict[str, Callable[[Path | None], Dataset]] = {
    "digits": _digits,
    "fashion-mnist": _fashion_mnist,
    "mnist-5k": _mnist_5k,
    "cifar-10": _cifar_10,
    "python-topics": _python_topics,
    "text": _text,
}
