"""A database of measured accuracies that all searches share, keyed by network, data, seed and plan."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from zeroskip.model.search.storage.code_version import hash_with_code

T = TypeVar("T")

WAIT = 10.0
"""Seconds that a process waits while another process writes."""


class Accuracies:
    """The accuracies measured with one `configuration`, which identifies all that they depend on beside the plan.

    Several processes may use the file `path` at the same time. If it is locked or read-only, nothing is found in it and
    nothing is stored. Raises ValueError if it is damaged.
    """

    def __init__(self, path: Path, configuration: str) -> None:
        self.path = path
        self._search = hash_with_code(configuration)

    def find(self, plans: Sequence[str]) -> dict[str, float]:
        """The known accuracies of these plans, by plan."""

        def read(connection: sqlite3.Connection) -> dict[str, float]:
            asked = "SELECT accuracy, crc32 FROM measured WHERE search = ? AND plan = ?"
            rows = {plan: connection.execute(asked, (self._search, plan)).fetchone() for plan in plans}
            return {plan: self._checked(plan, *row) for plan, row in rows.items() if row is not None}

        return self._with(read, {})

    def add(self, plan: str, accuracy: float) -> None:
        def write(connection: sqlite3.Connection) -> None:
            with connection:
                row = (self._search, plan, accuracy, self._checksum(plan, accuracy))
                connection.execute("INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?)", row)

        self._with(write, None)

    def _checked(self, plan: str, accuracy: float, checksum: int) -> float:
        if checksum != self._checksum(plan, accuracy):
            raise ValueError(f"{self.path}: the accuracy {accuracy!r} does not match its checksum; delete the file")
        return accuracy

    def _checksum(self, plan: str, accuracy: float) -> int:
        return zlib.crc32(repr((self._search, plan, accuracy)).encode())

    def _with(self, do: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as connection:
                # Accuracies that a crash of the machine loses can be measured again.
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS measured (search TEXT, plan TEXT, accuracy REAL, crc32 INTEGER, "
                    "PRIMARY KEY (search, plan))"
                )
                return do(connection)
        except sqlite3.OperationalError:
            return otherwise
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self.path}: must be a database of accuracies, but: {error}; delete it") from error
