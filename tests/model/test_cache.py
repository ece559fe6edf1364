"""Folders that are made once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zeroskip.model.cache import kept


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_made_of_the_same_parts_is_made_once() -> None:
    """ "ab", "c" and "a", "bc" are not the same."""
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append(folder.name)
        (folder / "text").write_text(f"{len(made)}")

    first, again, other = (kept("thing", parts, make) for parts in (["ab", "c"], iter(["ab", "c"]), ["a", "bc"]))
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert first.folder == again.folder != other.folder
    assert [(one.folder / "text").read_text() for one in (first, again, other)] == ["1", "1", "2"]
    assert len(made) == 2
    assert kept("other", ["ab", "c"], make).folder != first.folder


def test_what_was_not_finished_leaves_nothing(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept("thing", ["a"], fail)
    assert not [path for path in cache.iterdir() if path.is_dir()]
    assert not kept("thing", ["a"], lambda folder: None).cached


def test_a_cache_that_is_a_file_is_an_error(cache: Path) -> None:
    cache.write_text("")
    message = (
        f"the cache must be a folder that can be made, not {cache}: File exists; set ZEROSKIP_CACHE to another one"
    )
    with pytest.raises(OSError, match=f"^{re.escape(message)}$"):
        kept("thing", ["a"], lambda folder: None)
