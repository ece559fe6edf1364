"""Where what was built is kept between runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import filelock

from zeroskip.model.temporary import TemporaryFolder

UNFINISHED = "building-"
"""How the names of the folders begin in which something is being made."""


def cache_folder() -> Path:
    """$ZEROSKIP_CACHE, or `zeroskip` in the user's cache folder."""
    if "ZEROSKIP_CACHE" in os.environ:
        return Path(os.environ["ZEROSKIP_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "zeroskip"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A folder of the cache. `cached` if it was there before."""

    folder: Path
    cached: bool


def kept(kind: str, parts: Iterable[str], make: Callable[[Path], None]) -> Kept:
    """The folder that `make` fills, or the one that it filled before for the same `parts`: all that determines what it
    makes. `kind` says what that is, and begins the folder's name.

    `make` gets an empty folder, which becomes that of the cache when it returns: an interruption leaves nothing behind.
    If two processes want the same, one makes it and the other waits. Raises OSError where the cache cannot be made.
    """
    folder = cache_folder() / f"{kind}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"the cache must be a folder that can be made, not {folder.parent}: {error.strerror}; set "
            "ZEROSKIP_CACHE to another one"
        ) from error
    with filelock.FileLock(f"{folder}.lock"):
        cached = folder.exists()
        if not cached:
            with TemporaryFolder(parent=folder.parent, prefix=UNFINISHED) as unfinished:
                make(unfinished)
                os.rename(unfinished, folder)
    return Kept(folder=folder, cached=cached)
