import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from support.python2_pickles import array, integers, pickled, string

from zeroskip.model.data.cifar10 import load_cifar10

NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def batch(number: int, images: np.ndarray | None = None, labels: list[int] | None = None) -> bytes:
    """Two images, each pixel of which is `number`; the first green one is 255."""
    if images is None:
        images = np.full((2, 3072), number, np.uint8)
        images[:, 1024] = 255
    found = {b"batch_label": string(b"a batch"), b"labels": integers([number, 9] if labels is None else labels)}
    return pickled({**found, b"data": array(images), b"filenames": integers([])})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(batch(number))
    return tmp_path


def test_batches_become_images(folder: Path) -> None:
    dataset = load_cifar10(folder)
    assert dataset.train_inputs.shape == (10, 3, 32, 32)
    assert dataset.test_inputs.shape == (2, 3, 32, 32)
    assert dataset.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert dataset.test_labels.tolist() == [5, 9]
    assert dataset.train_inputs[9, :, 0, :2].tolist() == [
        [pixel / np.float32(255) for pixel in row] for row in ([4, 4], [255, 4], [4, 4])
    ]


def test_missing_batch_says_how_to_get_it(folder: Path) -> None:
    (folder / "data_batch_4").unlink()
    with pytest.raises(FileNotFoundError) as error:
        load_cifar10(folder)
    assert str(error.value) == (
        f"{folder}/data_batch_4 does not exist. CIFAR-10 is cifar-10-python.tar.gz of "
        "https://www.cs.toronto.edu/~kriz/cifar.html; unpack it and name the folder cifar-10-batches-py"
    )


class Runs:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


def test_hostile_batch_is_not_run(folder: Path) -> None:
    path = folder / "test_batch"
    path.write_bytes(pickle.dumps({"data": Runs(folder / "marker"), "labels": [1]}, 2))
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: .* must not name (posix|nt)\.mkdir$"):
        load_cifar10(folder)
    assert not (folder / "marker").exists()


IMAGES = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickled({b"data": array(IMAGES)}), "must have the key 'labels', but has data"),
        (pickled({}), "must have the key 'data', but has no keys"),
        (batch(0, IMAGES[:, 1:]), "'data' must be an array (n, 3072), not of the shape (2, 3071)"),
        (
            pickled({b"data": string(b"x"), b"labels": integers([1])}),
            "'data' must be an array (n, 3072), not bytes",
        ),
        (batch(0, IMAGES, [1]), "'labels' must be a list of 2, not 1"),
        (
            pickled({b"data": array(IMAGES), b"labels": string(b"12")}),
            "'labels' must be a list of 2, not bytes",
        ),
        (batch(0, IMAGES, [1, 10]), "'labels' must be integers 0 to 9, not 10"),
        (batch(0, IMAGES, [-1, 0]), "'labels' must be integers 0 to 9, not -1"),
        (pickled({b"data": array(IMAGES), b"labels": b"](NNe"}), "'labels' must be integers 0 to 9, not NoneType"),
    ],
)
def test_batches_must_hold_what_their_names_say(folder: Path, content: bytes, message: str) -> None:
    path = folder / "data_batch_2"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
        load_cifar10(folder)
