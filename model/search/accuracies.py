"""Accuracies on disk, for every search that asks: by the network, its data and the seed, and by the plan."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
WAIT = 60.0
"""Seconds that a process waits for others that write."""


@lru_cache
def _code() -> str:
    """What prunes and measures."""
    digest = hashlib.sha256()
    for folder in ("data", "pruning", "search"):
        for path in sorted((ROOT / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


class Accuracies:
    """What has been measured under one `configuration`: all that an accuracy depends on beside the plan.

    Several processes may use the file `path` at once. Raises ValueError where it is damaged.
    """

    def __init__(self, path: Path, configuration: str) -> None:
        self.path = path
        self._search = hashlib.sha256(f"{configuration} {_code()}".encode()).hexdigest()

    def find(self, plans: Sequence[str]) -> dict[str, float]:
        """The accuracies that are known, by plan."""
        found = {}
        with self._open() as connection:
            for plan in plans:
                row = connection.execute(
                    "SELECT accuracy FROM accuracies WHERE search = ? AND plan = ?", (self._search, plan)
                ).fetchone()
                if row is not None:
                    found[plan] = self._checked(row[0])
        return found

    def add(self, plan: str, accuracy: float) -> None:
        with self._open() as connection, connection:
            connection.execute("INSERT OR REPLACE INTO accuracies VALUES (?, ?, ?)", (self._search, plan, accuracy))

    def _checked(self, accuracy: object) -> float:
        if not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
            raise ValueError(f"{self.path}: an accuracy must be from 0 to 1, not {accuracy!r}; delete the file")
        return accuracy

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS accuracies (search TEXT, plan TEXT, accuracy REAL, "
                    "PRIMARY KEY (search, plan))"
                )
                yield connection
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self.path}: is no file of accuracies ({error}); delete it") from error
