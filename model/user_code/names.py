"""Private module names, which contain the path of a folder or a file."""

from __future__ import annotations

import os
import re
from pathlib import Path

PREFIX = __name__.rpartition(".")[0]


def root_name(path: Path) -> str:
    """The private name of a user's folder, or of a file whose own name is not a Python identifier."""
    escaped = "".join(chr(b) if chr(b).isalnum() and b < 128 else f"_{b:02x}" for b in os.fsencode(path.absolute()))
    return f"{PREFIX}.{escaped}"


def root_path(name: str) -> Path | None:
    """The folder or file that `name` was made from by `root_name`; None for any other name."""
    escaped = name.removeprefix(f"{PREFIX}.")
    if escaped == name or not re.fullmatch(r"([0-9A-Za-z]|_[0-9a-f]{2})+", escaped):
        return None
    text = re.sub("_(..)", lambda match: f"%{match[1]}", escaped)
    path = Path(os.fsdecode(_unquoted(text)))
    return path if path.is_absolute() else None


def _unquoted(text: str) -> bytes:
    first, *rest = text.encode().split(b"%")
    return first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest)


def is_users(name: str) -> bool:
    """Whether this is the private name of a user's module."""
    root = PREFIX + "." + name.removeprefix(f"{PREFIX}.").partition(".")[0]
    return name.startswith(f"{PREFIX}.") and root_path(root) is not None
