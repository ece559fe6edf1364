from __future__ import annotations

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from support.searching import accuracies, evaluator

from zeroskip.model.search.evaluation import Evaluator
from zeroskip.model.search.storage.accuracies import Accuracies


def _add(path: Path, process: int) -> None:
    for number in range(20):
        Accuracies(path, "this").add(f"{process} {number}", number / 20)


def test_found_again(tmp_path: Path) -> None:
    path = tmp_path / "folder/accuracies.sqlite"
    kept = Accuracies(path, "this")
    assert kept.find(["a", "b"]) == {}
    kept.add("a", 0.25)
    kept.add("b", 1.0)
    assert Accuracies(path, "this").find(["b", "c", "a"]) == {"b": 1.0, "a": 0.25}
    assert Accuracies(path, "that").find(["a"]) == {}


def test_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "accuracies.sqlite"
    with ProcessPoolExecutor(4) as pool:
        for done in [pool.submit(_add, path, process) for process in range(4)]:
            done.result()
    expected = {f"{process} {number}": number / 20 for process in range(4) for number in range(20)}
    assert Accuracies(path, "this").find(list(expected)) == expected


def test_damage(tmp_path: Path) -> None:
    path = tmp_path / "accuracies.sqlite"
    Accuracies(path, "this").add("a", 0.5)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE measured SET accuracy = 0.75")
    with pytest.raises(ValueError, match=r"accuracies.sqlite: the accuracy 0.75 does not match its checksum; delete"):
        Accuracies(path, "this").find(["a"])


def test_what_cannot_be_opened_is_left_alone(tmp_path: Path) -> None:
    """The search continues without the file, as the accuracies can be measured again."""
    path = tmp_path / "accuracies.sqlite"
    path.mkdir()
    kept = Accuracies(path, "this")
    kept.add("a", 0.5)
    assert kept.find(["a"]) == {}
    assert path.is_dir()


def test_locked_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.model.search.storage.accuracies.WAIT", 0.1)
    kept = Accuracies(tmp_path / "accuracies.sqlite", "this")
    kept.add("a", 0.5)
    with sqlite3.connect(kept.path, isolation_level="EXCLUSIVE") as connection:
        connection.execute("BEGIN EXCLUSIVE")
        kept.add("b", 0.25)
        assert kept.find(["a"]) == {}
    assert kept.find(["a", "b"]) == {"a": 0.5}


def test_searches_share_what_is_measured(tmp_path: Path) -> None:
    """The journal comes first; accuracies that only other searches have measured are copied to the journal."""
    one = evaluator(tmp_path / "one")
    densities = [{"0": 0.5}, {"0": 0.25, "2": 0.5}, {"2": 0.75}]
    kept = Accuracies(tmp_path / "accuracies.sqlite", "this")

    def search(name: str) -> Evaluator:
        made = evaluator(tmp_path / name)
        return Evaluator(made.space, made.samples, made.validation, made.journal, 2, kept)

    expected = accuracies(one, densities)
    first, second = search("first"), search("second")
    assert accuracies(first, densities[:2]) == expected[:2]
    assert first.measured == 2
    assert accuracies(second, [*densities, densities[0]]) == [*expected, expected[0]]
    assert second.measured == 1
    assert second.journal.known == one.journal.known
