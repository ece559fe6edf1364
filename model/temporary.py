"""Temporary folders, and locks on outputs, which a killed process does not leave behind.

Each is held by a lock file, which the operating system unlocks when its process ends, however it ends. What nobody
holds any more is removed when the next one of its kind is made. Locks hold on one machine and for one user.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

PREFIX = "zeroskip-"
LOCK = ".lock"
NAME = "*" + 32 * "[0-9a-f]"
"""The end of the names that are made here: nobody else's files are removed."""

WAIT = 2.0
"""Seconds for which a run waits for an output: the workers of a process that was killed end within one."""


class TemporaryFolder:
    """A new folder at `path`, in the folder `parent` or where the system keeps temporary files. It is removed at the
    end of the `with` block, or by `cleanup`; after a kill the next folder of the same `prefix` removes it."""

    def __init__(self, *, parent: Path | None = None, prefix: str = PREFIX) -> None:
        parent = parent or Path(tempfile.gettempdir())
        _remove_unheld(parent, prefix)
        self.path = parent / f"{prefix}{uuid.uuid4().hex}"
        # The lock comes first: a folder without one would be taken for that of a killed process.
        self._lock = filelock.FileLock(f"{self.path}{LOCK}")
        self._lock.acquire()
        self.path.mkdir(mode=0o700)

    def cleanup(self) -> None:
        """Removes the folder and its lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        _give_up(self._lock, self.path)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.cleanup()


@contextmanager
def reserved(*paths: Path) -> Iterator[None]:
    """Within the block, no other run can reserve the files `paths`.

    Raises OSError if another run has reserved one of them.
    """
    # Not next to the file: a killed process would leave its lock in the user's folder.
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}locks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    _remove_unheld(folder, "")
    with contextlib.ExitStack() as held:
        for path in sorted({path.resolve() for path in paths}):
            lock = filelock.FileLock(folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}{LOCK}")
            try:
                lock.acquire(timeout=WAIT)
            except filelock.Timeout:
                raise OSError(
                    f"{path} is being written by another run of zeroskip; wait for its end, or name another output"
                ) from None
            held.callback(_give_up, lock, None)
        yield


def _give_up(lock: filelock.BaseFileLock, folder: Path | None) -> None:
    """Removes a lock file while it is held: whoever opened it before notices, and makes a new one. Where `folder` could
    not be removed, as something still writes to it, the file stays, and the next run tries again."""
    if folder is None or not folder.exists():
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def _remove_unheld(parent: Path, prefix: str) -> None:
    """Removes the folders and locks in `parent` whose processes have ended."""
    for name in parent.glob(f"{prefix}{NAME}{LOCK}"):
        lock = filelock.FileLock(name)
        # A lock that is held, or is another user's.
        with contextlib.suppress(filelock.Timeout, OSError):
            lock.acquire(timeout=0)
            folder = Path(str(name).removesuffix(LOCK))
            shutil.rmtree(folder, ignore_errors=True)
            _give_up(lock, folder)
