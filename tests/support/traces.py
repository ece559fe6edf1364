"""Trace files read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PHASES = {"X": {"ts", "dur", "pid", "tid"}, "i": {"ts", "s", "pid", "tid"}, "C": {"ts", "pid"}, "M": {"pid", "tid"}}
"""What an event of each phase must have beside its name and arguments (Trace Event Format)."""


def events_of(file: Path) -> list[dict[str, Any]]:
    """The events of a trace, which have what their phases need."""
    events: list[dict[str, Any]] = json.loads(file.read_text())["traceEvents"]
    assert all({"name", "args", *PHASES[event["ph"]]} <= event.keys() for event in events)
    return events


def of_track(events: Iterable[dict[str, Any]], process: str, track: str | None = None) -> list[dict[str, Any]]:
    """The events of a process, or of one track of it, by the names that the viewer shows."""
    events = list(events)
    named = {(event["name"], event["args"].get("name")): event for event in events if event["ph"] == "M"}
    pid = named["process_name", process]["pid"]
    tids = [
        event["tid"]
        for event in events
        if event["name"] == "thread_name" and event["pid"] == pid and event["args"]["name"] == track
    ]
    return [
        event
        for event in events
        if event["ph"] != "M" and event["pid"] == pid and (track is None or event["tid"] in tids)
    ]


def cycles_of(events: Iterable[dict[str, Any]], kind: str) -> int:
    """The cycles of all slices of a category."""
    return sum(event["dur"] for event in events if event["ph"] == "X" and event["cat"] == kind)
