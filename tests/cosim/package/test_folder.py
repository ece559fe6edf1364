"""Nobody's files are lost, and nothing is half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zeroskip.cosim.package.build import MADE_BY, Package
from zeroskip.cosim.package.folder import require_free, write_package


def package(text: str = "module a; endmodule\n") -> Package:
    """A package of one file, with a manifest as make_package writes it."""
    import hashlib
    import json

    files = {"rtl/a.v": text.encode()}
    manifest = {"made_by": MADE_BY, "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
    return Package(files={**files, "manifest.json": json.dumps(manifest).encode()}, manifest=manifest)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_earlier_package_is_replaced(tmp_path: Path) -> None:
    """Also one in which the Makefile has built something; nothing of it is left, and nothing beside it."""
    folder = tmp_path / "out"
    write_package(package("old"), folder)
    (folder / "build").mkdir()
    (folder / "build/log").write_text("x")
    write_package(package("new"), folder)
    assert names(tmp_path) == ["out/manifest.json", "out/rtl/a.v"]
    assert (folder / "rtl/a.v").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    write_package(package(), tmp_path / "more" / "out")
    (tmp_path / "empty").mkdir()
    write_package(package(), tmp_path / "empty")
    assert names(tmp_path / "empty") == names(tmp_path / "more" / "out") == ["manifest.json", "rtl/a.v"]


def test_a_users_files_are_kept(tmp_path: Path) -> None:
    """A changed file, one more, or a folder that was never ours: each is named, and stays."""
    folder = tmp_path / "out"
    write_package(package(), folder)
    before = names(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OSError, match=r"notes\.txt in it is not from"):
        write_package(package("new"), folder)
    (folder / "notes.txt").unlink()
    (folder / "rtl/a.v").write_text("mine")
    with pytest.raises(OSError, match=r"rtl/a\.v in it was changed"):
        write_package(package("new"), folder)
    assert (folder / "rtl/a.v").read_text() == "mine"
    assert names(folder) == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text("[1]")
    with pytest.raises(OSError, match="holds files that are not from"):
        write_package(package(), other)


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="it is not a folder"):
        require_free(tmp_path / "file")
    with pytest.raises(OSError, match="not a folder in which you may write"):
        require_free(tmp_path / "file" / "out")
    with pytest.raises(OSError, match="not a folder in which you may write"):
        require_free(Path("/proc/out"))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="it is not a folder"):
        require_free(tmp_path / "link")


def test_a_failure_leaves_the_earlier_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle, or the last rename fails."""
    folder = tmp_path / "out"
    write_package(package("old"), folder)

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            write_package(package("new"), folder)
    rename = os.rename

    def refused(source: Path, target: Path) -> None:
        if Path(source).name == "new":
            raise OSError(13, "Permission denied", str(target))
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refused)
        with pytest.raises(OSError, match="Permission denied"):
            write_package(package("new"), folder)
    assert (folder / "rtl/a.v").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]
