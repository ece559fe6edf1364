import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from support.python2_pickles import array, integer, integers, pickled, string

from zeroskip.model.data.plain_pickle import read_plain_pickle

VALUES = np.arange(24, dtype=np.uint8).reshape(4, 6)


def read(tmp_path: Path, content: bytes) -> dict:
    path = tmp_path / "batch"
    path.write_bytes(content)
    return read_plain_pickle(path)


def test_what_python_2_wrote_is_read(tmp_path: Path) -> None:
    """One pickle with every kind of value that these files hold: arrays in both orders, lists, strings."""
    content = {b"data": array(VALUES), b"turned": array(np.asfortranarray(VALUES)), b"labels": integers([3, 1])}
    found = read(tmp_path, pickled({**content, b"batch_label": string(b"testing batch 1 of 1")}))
    assert list(found) == ["data", "turned", "labels", "batch_label"]
    assert found["data"].dtype == np.uint8
    assert np.array_equal(found["data"], VALUES)
    assert np.array_equal(found["turned"], VALUES)
    assert found["labels"] == [3, 1]
    assert found["batch_label"] == b"testing batch 1 of 1"


class Runs:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    hostile = pickle.dumps({"data": Runs(marker)}, protocol)
    # The pickle must work elsewhere, or the test would show nothing.
    pickle.loads(hostile)
    marker.rmdir()
    with pytest.raises(ValueError, match=r"but: a pickle of plain values must not name (posix|nt)\.mkdir$"):
        read(tmp_path, hostile)
    assert not marker.exists()


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cbuiltins\neval\n" + string(b"1") + b"\x85R", "a pickle of plain values must not name builtins.eval"),
        (b"cnumpy\nload\n", "a pickle of plain values must not name numpy.load"),
        (b"cnumpy.core.multiarray\nndarray\n", "must not name numpy.core.multiarray.ndarray"),
        (b"Pother\n", "a pickle of plain values must not refer to other files"),
        # Attributes of the objects that stand for numpy's names, and calls of objects that are no functions.
        (b"cnumpy\nndarray\n}" + string(b"x") + integer(1) + b"sb", "a pickle must not change numpy"),
        (RECONSTRUCT + b"}" + string(b"x") + integer(1) + b"sb", "a pickle must not change numpy"),
        (RECONSTRUCT + b"N}" + string(b"__class__") + integer(1) + b"s\x86b", "a pickle must not change numpy"),
        (b"cnumpy\nndarray\n)R", "object is not callable"),
        (array(VALUES, dtype=b"O8"), "arrays must be of 'u1', not b'O8'"),
        (array(VALUES, shape=(4, 7)), "an array of the shape (4, 7) must have 28 bytes, not 24"),
        (array(VALUES, shape=(-4, -6)), "the shape of an array must be of integers of at least 0"),
        (RECONSTRUCT + b")R", "an array must have version, shape, dtype, order and bytes"),
    ],
)
def test_hostile_values_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    rule = re.escape(f"{tmp_path / 'batch'}: must be a complete pickle of plain values, but: ")
    with pytest.raises(ValueError, match=f"^{rule}.*{re.escape(message)}"):
        read(tmp_path, pickled({b"data": content}))


def test_every_cut_is_found(tmp_path: Path) -> None:
    whole = pickled({b"data": array(VALUES), b"labels": integers([1, 2])})
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=": must be a complete pickle of plain values, but: "):
            read(tmp_path, whole[:length])


def test_damage_is_an_error_of_the_file_or_harmless(tmp_path: Path) -> None:
    whole = pickled({b"data": array(VALUES), b"labels": integers([1, 2])})
    rng = np.random.default_rng(0)
    messages = []
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] = rng.integers(256)
        try:
            found = read(tmp_path, bytes(damaged))
        except ValueError as error:
            messages.append(str(error))
        else:
            assert all(isinstance(key, str) for key in found)
    assert len(messages) > 100
    assert all(message.startswith(f"{tmp_path / 'batch'}: ") for message in messages)


def test_what_is_no_dict_of_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the content must be a dict, not list$"):
        read(tmp_path, b"\x80\x02].")
    with pytest.raises(ValueError, match=r"keys must be strings, not int$"):
        read(tmp_path, b"\x80\x02}" + integer(1) + integer(2) + b"s.")
    with pytest.raises(FileNotFoundError):
        read_plain_pickle(tmp_path / "none")
