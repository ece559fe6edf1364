"""Trace files in the Trace Event Format, which Perfetto (ui.perfetto.dev) and Chrome's tracing open.

The format is that of "Trace Event Format" (Google, 2016). Its times are microseconds: here a cycle is one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Track:
    """A line of the viewer: thread `tid` of process `pid`."""

    pid: int
    tid: int


class Events:
    """The events of a run: tracks in groups, and what happens on them. What becomes of an event says `_write`."""

    def __init__(self) -> None:
        self._tracks: dict[int, int] = {}

    def process(self, name: str) -> int:
        """A new group of tracks; they stand in the order in which they are made."""
        pid = len(self._tracks) + 1
        self._tracks[pid] = 0
        self._name("process", name, pid, 0, pid)
        return pid

    def track(self, pid: int, name: str) -> Track:
        self._tracks[pid] += 1
        self._name("thread", name, pid, self._tracks[pid], self._tracks[pid])
        return Track(pid, self._tracks[pid])

    def slice(self, track: Track, name: str, kind: str, begin: int, end: int, **args: object) -> None:
        """What lasts from cycle `begin` to the one before `end`. `kind` is its category, the same for all that are
        counted together."""
        self._write(
            {"ph": "X", "name": name, "cat": kind, **vars(track), "ts": begin, "dur": end - begin, "args": args}
        )

    def instant(self, track: Track, name: str, kind: str, cycle: int, **args: object) -> None:
        self._write({"ph": "i", "s": "t", "name": name, "cat": kind, **vars(track), "ts": cycle, "args": args})

    def counter(self, pid: int, name: str, cycle: int, value: int) -> None:
        """The value of a counter from a cycle on."""
        self._write({"ph": "C", "name": name, "pid": pid, "ts": cycle, "args": {"value": value}})

    def _name(self, what: str, name: str, pid: int, tid: int, place: int) -> None:
        for event, args in ((f"{what}_name", {"name": name}), (f"{what}_sort_index", {"sort_index": place})):
            self._write({"ph": "M", "name": event, "pid": pid, "tid": tid, "args": args})

    def _write(self, event: dict[str, Any]) -> None:
        raise NotImplementedError


class EventList(Events):
    """Events that are kept in the list `events`, to be read at once."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def _write(self, event: dict[str, Any]) -> None:
        self.events.append(event)


class EventFile(Events):
    """A trace that is written event by event, as a context."""

    def __init__(self, path: Path, **about: object) -> None:
        super().__init__()
        self._file = path.open("w")
        head = {"displayTimeUnit": "ns", "otherData": {"time": "1 us is 1 cycle", **about}}
        self._file.write(json.dumps(head)[:-1] + ', "traceEvents": [')
        self._separator = "\n"

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._file.write("\n]}\n")
        self._file.close()

    def _write(self, event: dict[str, Any]) -> None:
        self._file.write(self._separator + json.dumps(event, separators=(",", ":")))
        self._separator = ",\n"


class Merged:
    """Slices on a track of what stays the same for several cycles. What is not there, None, makes no slice."""

    def __init__(self, events: Events, track: Track) -> None:
        self._events, self._track = events, track
        self._now: tuple[str, str, dict[str, object]] | None = None
        self._begin = 0

    def at(self, cycle: int, now: tuple[str, str, dict[str, object]] | None) -> None:
        """What is there from a cycle on: its name, its category and what else is known of it."""
        if now != self._now:
            if self._now is not None:
                name, kind, args = self._now
                self._events.slice(self._track, name, kind, self._begin, cycle, **args)
            self._now, self._begin = now, cycle
