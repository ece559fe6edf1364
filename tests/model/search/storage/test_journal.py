"""Journals: their numbers, and the errors of journals that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from zeroskip.model.search.storage.journal import Journal


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal", "this", resume=True)
    journal.add("a", 1 / 3)
    journal.add("b", 1.0)
    assert Journal(journal.path, "this", resume=True).known == {"a": 1 / 3, "b": 1.0}


def test_without_resume_a_search_begins_anew(tmp_path: Path) -> None:
    Journal(tmp_path / "journal", "this", resume=False).add("a", 1.0)
    anew = Journal(tmp_path / "journal", "this", resume=False)
    assert anew.known == {}
    anew.add("b", 2.0)
    assert Journal(tmp_path / "journal", "this", resume=True).known == {"b": 2.0}


def test_nothing_is_lost_before_there_is_something_to_put_in_its_place(tmp_path: Path) -> None:
    Journal(tmp_path / "journal", "this", resume=False).add("a", 1.0)
    text = (tmp_path / "journal").read_text()
    Journal(tmp_path / "journal", "other", resume=False)
    assert (tmp_path / "journal").read_text() == text


def test_a_line_that_was_cut_is_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "this", resume=False)
    journal.add("a", 0.5)
    whole = journal.path.read_text()
    journal.add("b", 0.5)
    journal.path.write_text(journal.path.read_text()[:-3])
    resumed = Journal(journal.path, "this", resume=True)
    assert resumed.known == {"a": 0.5}
    assert journal.path.read_text() == whole
    resumed.add("b", 0.25)
    assert Journal(journal.path, "this", resume=True).known == {"a": 0.5, "b": 0.25}


def test_of_another_search(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path, "this", resume=False).add("a", 0.5)
    text = path.read_text()
    with pytest.raises(ValueError, match="journal: belongs to another search: the network, the data"):
        Journal(path, "other", resume=True)
    assert path.read_text() == text


@pytest.mark.parametrize(
    "damage",
    [
        "x\n",
        "[",
        "[]\n",
        "3\n",
        '{"key": "a", "value": NaN}\n',
        '{"key": "a", "value": true}\n',
        '{"key": 1}\n',
        "\udcff\n",
    ],
)
def test_damaged(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "journal"
    Journal(path, "this", resume=False).add("a", 0.5)
    first, second, _ = path.read_text().split("\n")
    for text in (damage, f"{first}\n{second[:9]}\n{second}\n", f"{first}\n{damage}\n"):
        path.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(ValueError, match=r"journal: (must be the journal of a search|belongs to another)"):
            Journal(path, "this", resume=True)


@pytest.mark.parametrize(("written", "altered"), [("0.5", "7.5"), ("0.5", "0.25"), ('"a"', '"b"')])
def test_altered(tmp_path: Path, written: str, altered: str) -> None:
    path = tmp_path / "journal"
    Journal(path, "this", resume=False).add("a", 0.5)
    text = path.read_text().replace(f": {written}", f": {altered}")
    path.write_text(text)
    with pytest.raises(
        ValueError, match=r"journal: must be the journal of a search, but: .* does not match its checksum"
    ):
        Journal(path, "this", resume=True)
    assert path.read_text() == text


def test_cut_in_its_first_line(tmp_path: Path) -> None:
    """Killed while the first line was written: nothing is known, and the file is started again."""
    path = tmp_path / "journal"
    Journal(path, "this", resume=False).add("a", 0.25)
    head = path.read_text()
    for cut in (0, 1, 20):
        path.write_text(head[:cut])
        journal = Journal(path, "this", resume=True)
        assert journal.known == {}
        journal.add("a", 0.5)
        assert Journal(path, "this", resume=True).known == {"a": 0.5}
