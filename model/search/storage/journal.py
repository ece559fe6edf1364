"""What a search has measured, line by line in a file, so that one that was cut short need not measure it again."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from zeroskip.model.files import replacing
from zeroskip.model.search.storage.code_version import hash_with_code


class Journal:
    """Numbers by key, each in the file `path` before it is used: a line of JSON each, with a checksum.

    A search is a function of its settings and of what it measures. Started again with its journal (`resume`) it takes
    the same steps, and what it finds here it need not measure. Without `resume` the file is started over.
    `configuration` stands for all that the numbers depend on beside their keys and the code. Raises ValueError where
    the file is damaged or of another search; it is left as it is then.
    """

    def __init__(self, path: Path, configuration: str, *, resume: bool) -> None:
        self.path = path
        self.known: dict[str, float] = {}
        self._head = {"search": hash_with_code(configuration)}
        # What stands there is replaced when there is something to put in its place, and not before.
        self._begun = False
        if resume and path.exists():
            self._load()

    def add(self, key: str, value: float) -> None:
        self.known[key] = value
        line = json.dumps({"key": key, "value": value, "crc32": _checksum(key, value)}) + "\n"
        if self._begun:
            with self.path.open("a") as file:
                file.write(line)
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self._head) + "\n" + line)
            self._begun = True

    def _load(self) -> None:
        # The search may have been ended in the middle of its last line.
        *whole, rest = self.path.read_text(errors="replace").split("\n")
        if not whole and json.dumps(self._head).startswith(rest):
            # In the middle of its first: nothing is known.
            return
        try:
            first, *entries = [json.loads(line) for line in whole] or [None]
            self.known = dict(map(_checked, entries))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path}: is no journal of a search: {error!r}; search without --resume") from error
        if first != self._head:
            raise ValueError(
                f"{self.path}: belongs to another search: the network, the data, an option, a cost table or a "
                "version (zeroskip's, torch's) differs; search without --resume"
            )
        self._begun = True
        if rest:
            with replacing(self.path) as part:
                part.write_text("\n".join(whole) + "\n")


def _checked(entry: dict[str, Any]) -> tuple[str, float]:
    key, value = entry["key"], entry["value"]
    if entry["crc32"] != _checksum(key, value):
        raise ValueError(f"the value {value!r} of {key!r} is not what was written")
    return key, value


def _checksum(key: str, value: float) -> int:
    return zlib.crc32(json.dumps([key, value]).encode())
