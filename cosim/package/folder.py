"""The folder of a package: written as a whole or not at all, and nobody's files are lost."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from zeroskip.cosim.package.build import MADE_BY, MANIFEST, Package
from zeroskip.model.temporary import TemporaryFolder

BUILT = "build"
"""What the package's own Makefile makes, which is no loss."""


def require_free(folder: Path) -> None:
    """Raises OSError unless the folder can be written: it is new or empty, or holds an earlier package that nobody
    changed."""
    parent = _existing(folder.absolute().parent)
    try:
        # Only a try tells, as root may write to files and to /proc, but not make folders there.
        os.rmdir(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise OSError(f"{folder} cannot be written: {parent} is not a folder in which you may write") from error
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise OSError(f"{folder} cannot be written: it is not a folder; name another output")
    if (found := _foreign(folder)) is not None:
        raise OSError(f"{folder} cannot be replaced: {found}; name another output, or remove it")


def write_package(package: Package, folder: Path) -> None:
    """Writes a package to a folder, in place of an earlier one.

    Raises OSError where `require_free` does, and where the folder cannot be written: then nothing has changed.
    """
    require_free(folder)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFolder(parent=folder.parent, prefix=f".{folder.name}-") as temporary:
        new, old = temporary / "new", temporary / "old"
        for name, data in package.files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if folder.exists():
            os.rename(folder, old)
        try:
            os.rename(new, folder)
        except OSError:
            if old.exists():
                os.rename(old, folder)
            raise


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one around it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _foreign(folder: Path) -> str | None:
    """What in a folder is not an earlier package as it was written, in words; None where there is nothing."""
    if not any(folder.iterdir()):
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        ours = manifest["made_by"] == MADE_BY
        sums = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        ours, sums = False, {}
    if not ours:
        return f"it holds files that are not from `{MADE_BY}`"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name == MANIFEST or name.split("/")[0] == BUILT or (path.is_dir() and not path.is_symlink()):
            continue
        if name not in sums:
            return f"{name} in it is not from `{MADE_BY}`"
        if path.is_symlink() or hashlib.sha256(path.read_bytes()).hexdigest() != sums[name]:
            return f"{name} in it was changed"
    return None
