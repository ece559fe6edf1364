"""Fashion-MNIST (arXiv 1708.07747): 70,000 pictures of clothes, 28x28 pixels, ten classes."""

from pathlib import Path

import numpy as np

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.idx import read_idx

# Where Debian's and Ubuntu's package dataset-fashion-mnist puts the files.
PACKAGE_FOLDER = Path("/usr/share/datasets/fashion-mnist")


def load_fashion_mnist(folder: Path | None = None) -> Dataset:
    """60,000 training and 10,000 test images as rows of 784 pixels in [0, 1].

    `folder` holds the four IDX files, gzipped or not. Raises FileNotFoundError, which says how to get them, and
    ValueError where a file is damaged or does not have the contents that its name promises.
    """
    folder = PACKAGE_FOLDER if folder is None else folder
    train_inputs, train_labels = _split(folder, "train")
    test_inputs, test_labels = _split(folder, "t10k")
    return Dataset(
        name="fashion-mnist",
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )


def _split(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    images_path = _find(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = _find(folder, f"{prefix}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise ValueError(f"{images_path}: images must be uint8 (n, 28, 28), not {images.dtype} {images.shape}")
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise ValueError(f"{labels_path}: labels must be uint8 ({len(images)},), not {labels.dtype} {labels.shape}")
    if labels.max(initial=0) > 9:
        raise ValueError(f"{labels_path}: labels must be 0 to 9, not {labels.max()}")
    return images.reshape(len(images), 784).astype(np.float32) / np.float32(255), labels.astype(np.int64)


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"{folder / name}[.gz] does not exist. Fashion-MNIST comes with "
        "`apt-get install dataset-fashion-mnist`; or put its four IDX files into a folder of your own and "
        "name it as the folder, or as the data fashion-mnist:FOLDER"
    )
