"""The journal of a search: all measured numbers in a file, so that an interrupted search can continue."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from zeroskip.model.files import replacing
from zeroskip.model.search.storage.code_version import hash_with_code


class Journal:
    """Numbers by key in the file `path`: one line of JSON with a checksum for each number, written before it is used.

    A search depends only on its settings and on the numbers that it measures. Started again with its journal (`resume`)
    it takes the same steps, and numbers in the journal are not measured again. Without `resume` the file is replaced.
    `configuration` identifies all that the numbers depend on beside their keys and the code. Raises ValueError if
    the file is damaged or belongs to another search; the file is not changed then.
    """

    def __init__(self, path: Path, configuration: str, *, resume: bool) -> None:
        self.path = path
        self.known: dict[str, float] = {}
        self._head = {"search": hash_with_code(configuration)}
        # An existing file is replaced only when the first number is written.
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
        # The last line is incomplete if the search was killed while it wrote.
        *whole, rest = self.path.read_text(errors="replace").split("\n")
        if not whole and json.dumps(self._head).startswith(rest):
            # Even the first line is incomplete: nothing is known.
            return
        try:
            first, *entries = [json.loads(line) for line in whole] or [None]
            self.known = dict(map(_checked, entries))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path}: must be the journal of a search, but: {error!r}; search without --resume"
            ) from error
        if first != self._head:
            raise ValueError(
                f"{self.path}: belongs to another search: the network, the data, an option, the cost table, the "
                "device, the code of searches or torch's version differs; search without --resume"
            )
        self._begun = True
        if rest:
            with replacing(self.path) as new:
                new.write_text("\n".join(whole) + "\n")


def _checked(entry: dict[str, Any]) -> tuple[str, float]:
    key, value = entry["key"], entry["value"]
    if entry["crc32"] != _checksum(key, value):
        raise ValueError(f"the value {value!r} of {key!r} does not match its checksum")
    return key, value


def _checksum(key: str, value: float) -> int:
    return zlib.crc32(json.dumps([key, value]).encode())
