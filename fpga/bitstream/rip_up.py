"""When nextpnr takes up wires for a clock that it cannot reach."""

from __future__ import annotations

import re

RIP_UP = "--tmg-ripup"
"""nextpnr's option: its router takes up wires again on paths that are too slow for the clock."""

FRUITLESS = 50
"""Passes without progress after which the clock counts as out of reach. nextpnr itself goes on for 500 passes. Designs
that reach their clock had no slow connections left in all but a few passes, or fewer after each ten."""


class OutOfReachError(RuntimeError):
    """Taking up wires does not make the design fast enough."""


class RipUpWatch:
    """Takes the lines of nextpnr, and raises OutOfReachError after FRUITLESS passes of the router in each of which as
    many connections as before, or more, are too slow for the clock."""

    def __init__(self) -> None:
        self._fewest: int | None = None
        self._fruitless = 0

    def heard(self, line: str) -> None:
        found = re.search(r"\biter=\d+ .*\btmgfail=(\d+)", line)
        if not found:
            return
        slow = int(found[1])
        if slow == 0 or self._fewest is None or slow < self._fewest:
            self._fewest, self._fruitless = slow or self._fewest, 0
            return
        self._fruitless += 1
        if self._fruitless == FRUITLESS:
            raise OutOfReachError(f"{slow} connections are too slow, and at best {self._fewest}")
