"""CIFAR-10 (Krizhevsky 2009): 60,000 colour pictures, 32x32 pixels, ten classes, from the original python batches."""

from pathlib import Path

import numpy as np

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.plain_pickle import read_plain_pickle

TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
PIXELS = 3 * 32 * 32


def load_cifar10(folder: Path) -> Dataset:
    """50,000 training and 10,000 test images (n, 3, 32, 32) in [0, 1], red, green and blue.

    `folder` holds the unpacked files of cifar-10-python.tar.gz. They are pickles, but no code in them is run. Raises
    FileNotFoundError, which says how to get the files, and ValueError where a file is damaged, hostile or does not have
    the contents that its name promises.
    """
    train_inputs, train_labels = _split(folder, TRAIN)
    test_inputs, test_labels = _split(folder, TEST)
    return Dataset(
        name="cifar-10",
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def _split(folder: Path, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    batches = [_batch(folder / name) for name in names]
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    return images.reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255), labels


def _batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist. CIFAR-10 is cifar-10-python.tar.gz of "
            "https://www.cs.toronto.edu/~kriz/cifar.html; unpack it and name the folder cifar-10-batches-py"
        )
    content = read_plain_pickle(path)
    for key in ("data", "labels"):
        if key not in content:
            raise ValueError(f"{path}: must have the key '{key}', but has {', '.join(content) or 'no keys'}")
    images, labels = content["data"], content["labels"]
    if not isinstance(images, np.ndarray) or images.ndim != 2 or images.shape[1] != PIXELS:
        what = f"of the shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"{path}: 'data' must be an array (n, {PIXELS}), not {what}")
    if not isinstance(labels, list) or len(labels) != len(images):
        what = str(len(labels)) if isinstance(labels, list) else type(labels).__name__
        raise ValueError(f"{path}: 'labels' must be a list of {len(images)}, not {what}")
    for label in labels:
        if type(label) is not int or not 0 <= label <= 9:
            what = str(label) if type(label) is int else type(label).__name__
            raise ValueError(f"{path}: 'labels' must be integers 0 to 9, not {what}")
    return images, np.array(labels, np.int64)
