import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from zeroskip.model.data.fashion import PACKAGE_FOLDER, load_fashion_mnist
from zeroskip.model.data.idx import read_idx


def idx_bytes(array: np.ndarray, code: int) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x08, "u1"), (0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")],
)
def test_reads_every_element_type(tmp_path: Path, code: int, dtype: str) -> None:
    array = np.array([[1, 2, 3], [4, 5, 100]], dtype)
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(array, code))
    read = read_idx(path)
    assert read.dtype == np.dtype(dtype)
    assert np.array_equal(read, array)


def test_reads_gzip_by_content_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(gzip.compress(idx_bytes(IMAGES, 8)))
    assert np.array_equal(read_idx(path), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the header must have at least 4 bytes, not 0"),
        (b"\0\0\x08", "the header must have at least 4 bytes, not 3"),
        (b"PK\x08\x01", "the first two bytes must be 00 00, not 50 4b"),
        (b"\0\0\x0a\x01", "the element type must be one of 08, 09, 0b, 0c, 0d, 0e, not 0a"),
        (b"\0\0\x08\x00", "the number of dimensions must be at least 1, not 0"),
        (b"\0\0\x08\x03\0\0\0\x02", "the header of 3 dimensions must have 16 bytes, not 8"),
        (idx_bytes(IMAGES, 8)[:-1], "the elements of shape (2, 3, 4) must take 24 bytes, not 23"),
        (idx_bytes(IMAGES, 8) + b"\0", "the elements of shape (2, 3, 4) must take 24 bytes, not 25"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
        read_idx(path)


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    whole = gzip.compress(idx_bytes(IMAGES, 8))
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # in the CRC
    for content in (whole[:-3], whole[:15], bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: the gzip stream must be complete, but: ."):
            read_idx(path)


def write_fashion(folder: Path, train: int = 5, test: int = 3) -> None:
    for prefix, count in (("train", train), ("t10k", test)):
        images = np.full((count, 28, 28), 255, np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images, 8))
        labels = np.arange(count, dtype=np.uint8)
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels, 8)))


def test_fashion_mnist_from_a_folder(tmp_path: Path) -> None:
    write_fashion(tmp_path)
    dataset = load_fashion_mnist(tmp_path)
    assert np.array_equal(dataset.train_inputs, np.ones((5, 784), np.float32))
    assert dataset.test_labels.tolist() == [0, 1, 2]


def test_fashion_mnist_that_is_missing_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        load_fashion_mnist(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/train-images-idx3-ubyte[.gz] does not exist. Fashion-MNIST comes with "
        "`apt-get install dataset-fashion-mnist`; or put its four IDX files into a folder of your own and "
        "name it as the folder, or as the data fashion-mnist:FOLDER"
    )


def test_fashion_mnist_files_must_hold_what_their_names_say(tmp_path: Path) -> None:
    write_fashion(tmp_path)
    images, labels = tmp_path / "t10k-images-idx3-ubyte", tmp_path / "t10k-labels-idx1-ubyte.gz"
    for content, path, message in [
        (np.zeros((2,), np.uint8), labels, "labels must be uint8 (3,), not uint8 (2,)"),
        (np.array([0, 10, 1], np.uint8), labels, "labels must be 0 to 9, not 10"),
        (np.zeros((3, 8, 8), np.uint8), images, "images must be uint8 (n, 28, 28), not uint8 (3, 8, 8)"),
    ]:
        path.write_bytes(idx_bytes(content, 8))
        with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
            load_fashion_mnist(tmp_path)


@pytest.mark.skipif(not PACKAGE_FOLDER.is_dir(), reason="optional: apt-get install dataset-fashion-mnist")
def test_fashion_mnist_of_the_package() -> None:
    dataset = load_fashion_mnist()
    assert dataset.train_inputs.shape == (60000, 784)
    assert dataset.test_inputs.shape == (10000, 784)
    assert dataset.train_inputs.max() == 1
    assert np.bincount(dataset.train_labels).tolist() == [6000] * 10
    assert np.bincount(dataset.test_labels).tolist() == [1000] * 10
