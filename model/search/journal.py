"""What a search has measured, line by line in a file, so that one that was cut short need not measure it again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


class Journal:
    """Numbers by key, each in the file `path` before it is used: a line of JSON each.

    A search is a function of its settings and of what it measures. Started again with its journal (`resume`) it takes
    the same steps, and what it finds here it need not measure. Without `resume` the file is started over.
    `configuration` stands for all that the numbers depend on beside their keys. Raises ValueError where the file is
    damaged or of another search; it is left as it is then.
    """

    def __init__(self, path: Path, configuration: str, *, resume: bool) -> None:
        self.path = path
        self.known: dict[str, float] = {}
        head = {"search": hashlib.sha256(configuration.encode()).hexdigest()}
        if resume and path.exists():
            self._load(head)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(head) + "\n")

    def add(self, key: str, value: float) -> None:
        self.known[key] = value
        with self.path.open("a") as file:
            file.write(json.dumps({"key": key, "value": value}) + "\n")

    def _load(self, head: dict[str, str]) -> None:
        # The search may have been ended in the middle of its last line.
        *whole, rest = self.path.read_text(errors="replace").split("\n")
        try:
            first, *entries = [json.loads(line) for line in whole]
            self.known = {str(entry["key"]): float(entry["value"]) for entry in entries}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path}: is no journal of a search: {error!r}; search without --resume") from error
        if first != head:
            raise ValueError(
                f"{self.path}: belongs to another network, other data, another granularity, cost, budget or seed; "
                "search without --resume"
            )
        if rest:
            self.path.write_text("\n".join(whole) + "\n")
