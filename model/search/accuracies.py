"""Accuracies on disk, for every search that asks: by the network, its data and the seed, and by the plan."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from model.files import add_files

T = TypeVar("T")

MODELS = Path(__file__).parent.parent
WAIT = 10.0
"""Seconds that a process waits for others that write."""


@lru_cache
def _code() -> str:
    """What prunes and measures."""
    digest = hashlib.sha256(repr([(name, version(name)) for name in ("torch", "torch-pruning")]).encode())
    add_files(digest, sorted(MODELS.rglob("*.py")))
    return digest.hexdigest()


class Accuracies:
    """What has been measured under one `configuration`: all that an accuracy depends on beside the plan.

    Several processes may use the file `path` at once. Where it cannot be read or written, as it is locked or
    read-only, nothing is known and nothing kept. Raises ValueError where it is damaged.
    """

    def __init__(self, path: Path, configuration: str) -> None:
        self.path = path
        self._search = hashlib.sha256(f"{configuration} {_code()}".encode()).hexdigest()

    def find(self, plans: Sequence[str]) -> dict[str, float]:
        """The accuracies that are known, by plan."""

        def read(connection: sqlite3.Connection) -> dict[str, float]:
            asked = "SELECT accuracy FROM accuracies WHERE search = ? AND plan = ?"
            rows = {plan: connection.execute(asked, (self._search, plan)).fetchone() for plan in plans}
            return {plan: self._checked(row[0]) for plan, row in rows.items() if row is not None}

        return self._with(read, {})

    def add(self, plan: str, accuracy: float) -> None:
        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("INSERT OR REPLACE INTO accuracies VALUES (?, ?, ?)", (self._search, plan, accuracy))

        self._with(write, None)

    def _checked(self, accuracy: object) -> float:
        if not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
            raise ValueError(f"{self.path}: an accuracy must be from 0 to 1, not {accuracy!r}; delete the file")
        return accuracy

    def _with(self, do: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as connection:
                # What a crash of the machine would lose can be measured again.
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS accuracies (search TEXT, plan TEXT, accuracy REAL, "
                    "PRIMARY KEY (search, plan))"
                )
                return do(connection)
        except sqlite3.OperationalError:
            return otherwise
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self.path}: is no file of accuracies ({error}); delete it") from error
