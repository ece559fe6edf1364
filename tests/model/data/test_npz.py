import re
from pathlib import Path

import numpy as np
import pytest

from zeroskip.model.data.npz import load_npz

X = np.arange(6, dtype=np.uint8).reshape(3, 2)
Y = np.array([0, 1, 2])


def test_reads_inputs_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, inputs=X, labels=Y.astype(np.uint8))
    inputs, labels = load_npz(path)
    assert inputs.dtype == np.float32
    assert np.array_equal(inputs, X)
    assert labels is not None
    assert labels.dtype == np.int64
    assert np.array_equal(labels, Y)


@pytest.mark.parametrize("inputs_key", ["inputs", "images", "x", "X", "data"])
@pytest.mark.parametrize("labels_key", ["labels", "targets", "y", "Y"])
def test_aliases(tmp_path: Path, inputs_key: str, labels_key: str) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, allow_pickle=False, **{inputs_key: X, labels_key: Y})
    inputs, labels = load_npz(path, labels_required=True)
    assert np.array_equal(inputs, X)
    assert np.array_equal(labels, Y)


def test_labels_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, inputs=X)
    assert load_npz(path)[1] is None


NAN = np.array([[0, 1], [2, np.nan]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "must have the key 'inputs' (or images, x, X, data), but has no keys"),
        ({"a": X, "b": Y}, "must have the key 'inputs' (or images, x, X, data), but has a, b"),
        ({"inputs": X}, "must have the key 'labels' (or targets, y, Y), but has inputs"),
        ({"images": X, "x": X, "y": Y}, "'images' and 'x' mean the same; keep only one of them"),
        ({"x": X.astype(complex), "y": Y}, "'x' must hold real numbers, not complex128"),
        ({"x": X.astype(str), "y": Y}, "'x' must hold real numbers, not <U3"),
        ({"x": X[0], "y": Y}, "'x' must have the shape (samples, ...), not (2,)"),
        ({"x": X[:0], "y": Y}, "'x' must hold at least one sample and value, not the shape (0, 2)"),
        ({"x": NAN, "y": Y}, "'x' must be finite in float32, not nan at (1, 1)"),
        ({"x": X * 1e39, "y": Y}, "'x' must be finite in float32, not 1e+39 at (0, 1)"),
        ({"x": X, "y": Y[:2]}, "'y' must have the shape (3,), one for each sample, not (2,)"),
        (
            {"x": X, "y": np.eye(3, dtype=int)},
            "'y' must have the shape (3,), one class number for each sample, not (3, 3); "
            "of one-hot rows take labels.argmax(axis=1)",
        ),
        (
            {"x": X, "y": Y[:, None]},
            "'y' must have the shape (3,), one class number for each sample, not (3, 1); use labels.reshape(-1)",
        ),
        ({"x": X, "y": Y / 2}, "'y' must hold integers, not float64; where they are whole, use astype('int64')"),
        ({"x": X, "y": Y > 0}, "'y' must hold integers, not bool; where they are whole, use astype('int64')"),
        ({"x": X, "y": Y - 1}, "'y' must be class numbers from 0, not -1 at 0"),
        (
            {"x": X, "y": np.array([0, 1, 2**63], np.uint64)},
            "'y' must be class numbers from 0, not 9223372036854775808 at 2",
        ),
    ],
)
def test_wrong_content_is_named(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
        load_npz(path, labels_required=True)


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([[1], [None]], dtype=object))
    with pytest.raises(ValueError, match=f"^{path}: 'x' must be a plain array of numbers, but: Object arrays"):
        load_npz(path)


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(FileNotFoundError, match=f"^{path} does not exist or is not a file$"):
        load_npz(path)


def test_other_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.save(tmp_path / "data.npy", X)
    path.write_bytes((tmp_path / "data.npy").read_bytes())
    with pytest.raises(
        ValueError, match=f"^{path}: must be an .npz file as numpy.savez writes it, but is not a zip archive$"
    ):
        load_npz(path)
    np.savez(path, inputs=X)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(X.tobytes())] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=f"^{path}: must be a complete .npz file, but: Bad CRC-32"):
        load_npz(path)
