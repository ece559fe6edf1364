"""A copy of the checkout in which the mutants are planted, so that other processes of a test see them too."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.mutants.mutations import mutated


def copy_checkout(root: Path, to: Path) -> None:
    """Copies all files that git knows or would add, with their times; nothing else stays in `to` but caches."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        stdout=subprocess.PIPE,
    )
    names = {name for name in listed.stdout.decode().split("\0") if name and os.path.lexists(root / name)}
    for path in [path for path in to.rglob("*") if path.is_file() and "__pycache__" not in path.parts]:
        if str(path.relative_to(to)) not in names:
            path.unlink()
    for name in names:
        there = to / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if (root / name).is_symlink():
            there.unlink(missing_ok=True)
            there.symlink_to((root / name).readlink())
        else:
            shutil.copy2(root / name, there)


@contextmanager
def planted(checkout: Path, path: str, number: int | None) -> Iterator[None]:
    """Within the block, the file has the mutation with this number."""
    file = checkout / path
    source, times = file.read_text(), os.stat(file)
    file.write_text(mutated(source, number))
    # Compiled files are found by their source's time: none has this one.
    os.utime(file, (times.st_mtime, 1e9 + (0 if number is None else 1 + number)))
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
        compiled.unlink()
    try:
        yield
    finally:
        file.write_text(source)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()
