"""Messages about errors in a user's module."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from zeroskip.model.user_code.names import PREFIX, is_users


def place_of(error: BaseException) -> str | None:
    """The innermost place in the user's code that led to the error, as in "nets/model.py, line 3"; None where there is
    none."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{shown(Path(error.filename))}, line {error.lineno}"
    frames = [frame for frame in traceback.walk_tb(error.__traceback__) if is_users(_module(frame[0].f_globals))]
    if not frames:
        return None
    frame, line = frames[-1]
    return f"{shown(Path(frame.f_code.co_filename))}, line {line}"


def _module(names: dict[str, object]) -> str:
    return str(names.get("__name__", ""))


def shown(path: Path) -> str:
    """The path, relative to the current folder where the file lies in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def readable(text: str) -> str:
    """The text with the user's own module names in place of the private ones."""
    return re.sub(rf"{re.escape(PREFIX)}\.(_[0-9a-f]{{2}}|[0-9A-Za-z])+\.", "", text)
