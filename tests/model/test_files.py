"""Files that are replaced completely or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zeroskip.model.files import replacing, save_json


def test_what_killed_processes_began_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a[1].json"
    code = f"""
import os, signal
from pathlib import Path
from zeroskip.model.files import replacing
with replacing(Path({str(path)!r})) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    other = tmp_path / left.name.replace("a[1].json", "b.json")
    other.write_text("another file's")
    with replacing(path) as mine:
        # That of a process that runs is another's work in progress.
        running = Path(str(mine).replace(f".{os.getpid()}.", f".{os.getppid()}."))
        running.write_text("half")
        save_json(path, 1)
        mine.write_text("2")
    assert not left.exists()
    assert (path.read_text(), other.exists(), running.exists()) == ("2", True, True)


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r"plan.json cannot be written: No space left on device"),
        replacing(tmp_path / "plan.json"),
    ):
        with open("/dev/full", "w") as full:
            full.write("text")
    assert [*tmp_path.iterdir()] == []


def test_other_errors_stay(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, replacing(tmp_path / "plan.json"):
        (tmp_path / "none").read_text()
    assert (error.value.errno, error.value.filename) == (errno.ENOENT, str(tmp_path / "none"))


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "plan.json"
    link.symlink_to(tmp_path / "folder" / "real.json")
    save_json(link, 1)
    assert link.is_symlink()
    assert (tmp_path / "folder" / "real.json").read_text() == "1\n"
    assert len([*tmp_path.iterdir()]) == 2
