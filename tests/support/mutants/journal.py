"""The results so far, one line each, so that an interrupted run goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from support.mutants.sample import Mutant


@dataclass(frozen=True, kw_only=True)
class Result:
    """How the tests of a mutant ended: "killed" by `test`, "timeout" in it, "survived", or "no test" runs the line.
    `digest` is that of the mutated file, `tests` the hash of the tests that ran."""

    key: str
    digest: str
    how: str
    test: str
    tests: str
    seconds: float


class Journal:
    """Appends results to a file and finds them again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.read()

    def read(self) -> None:
        """Reads what other processes have added."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.known = {result.key: result for result in map(_read, lines) if result is not None}

    def find(self, mutant: Mutant, tests: str) -> Result | None:
        """The result of a mutant of this code. One that survived other tests is to be tried again."""
        known = self.known.get(mutant.key)
        if known is None or known.digest != mutant.digest:
            return None
        return known if known.how in ("killed", "timeout") or known.tests == tests else None

    def add(self, result: Result) -> None:
        self.known[result.key] = result
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")


def _read(line: str) -> Result | None:
    try:
        return Result(**json.loads(line))
    except (ValueError, TypeError):
        # The last line of a run that was killed.
        return None
