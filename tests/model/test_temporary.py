"""Folders and locks that end with their process, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from zeroskip.model.temporary import TemporaryFolder, reserved


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return place


def started(code: str) -> subprocess.Popen[str]:
    """A process that has run `code`, and waits."""
    code = f"from zeroskip.model.temporary import *\n{code}\nprint('ready', flush=True); import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_folder_goes_at_the_end_of_its_block(own_place: Path) -> None:
    with TemporaryFolder() as folder:
        (folder / "file").write_text("text")
        assert folder.parent == own_place
    assert [*own_place.iterdir()] == []


def test_the_next_folder_removes_that_of_a_killed_process(own_place: Path) -> None:
    process = started("folder = TemporaryFolder(); (folder.path / 'megabytes').write_bytes(bytes(2**20))")
    with TemporaryFolder():
        assert len([*own_place.glob("*/megabytes")]) == 1, "the process still runs"
    killed(process)
    assert len([*own_place.glob("*/megabytes")]) == 1
    with TemporaryFolder():
        assert [*own_place.glob("*/megabytes")] == []
    assert [*own_place.iterdir()] == []


def test_the_folders_of_others_stay(own_place: Path) -> None:
    """Only names that are made here are removed."""
    for name in ("zeroskip-notes", "zeroskip-0123"):
        (own_place / name).mkdir()
        (own_place / f"{name}.lock").touch()
    with TemporaryFolder():
        pass
    assert len([*own_place.iterdir()]) == 4


def test_a_file_is_reserved_once(tmp_path: Path) -> None:
    process = started(f"held = reserved(Path({str(tmp_path / 'plan.json')!r})); held.__enter__()")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "plan.json")
    for path in (tmp_path / "plan.json", tmp_path / "folder" / ".." / "plan.json", link):
        with pytest.raises(OSError, match=r"plan.json is being written by another run of zeroskip"), reserved(path):
            pass
    with reserved(tmp_path / "other.json"):
        pass
    killed(process)
    with reserved(tmp_path / "plan.json"):
        pass
    assert [path.name for path in tmp_path.glob("*.lock")] == []


def test_no_lock_is_left(own_place: Path, tmp_path: Path) -> None:
    killed(started(f"held = reserved(Path({str(tmp_path / 'a')!r})); held.__enter__()"))
    with reserved(tmp_path / "b"):
        pass
    assert [*own_place.glob("*/*")] == []


def test_workers_that_outlive_a_killed_process(tmp_path: Path) -> None:
    """A forked worker holds its parent's lock until it notices, within a second."""
    worker = "import os, time\nif os.fork() == 0:\n    time.sleep(1)\n    os._exit(0)"
    killed(started(f"held = reserved(Path({str(tmp_path / 'a')!r})); held.__enter__()\n{worker}"))
    with reserved(tmp_path / "a"):
        pass


def test_the_lock_does_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = started(f"os.chdir({str(tmp_path)!r}); held = reserved(Path('a')); held.__enter__()")
    monkeypatch.chdir(os.path.dirname(tmp_path))
    with pytest.raises(OSError, match="another run"), reserved(Path(tmp_path.name, "a")):
        pass
    killed(process)


def test_a_folder_that_is_still_written_to_is_removed_later(own_place: Path) -> None:
    """As by a simulator that outlives its killed parent for a moment."""
    process = started("folder = TemporaryFolder()")
    killed(process)
    rmtree = shutil.rmtree
    try:
        shutil.rmtree = lambda *_, **__: None
        with TemporaryFolder():
            pass
    finally:
        shutil.rmtree = rmtree
    assert [*own_place.iterdir()] != []
    with TemporaryFolder():
        pass
    assert [*own_place.iterdir()] == []
