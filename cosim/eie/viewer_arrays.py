"""The events of the trace and what the pipelines did, as arrays: what the viewer draws of each cycle and PE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.eie.viewer_pipeline import PePipeline, Word
from zeroskip.model.eie.geometry import PUSH_CYCLES, EieGeometry

KINDS = ("none", "entry", "padding", "stalled", "starved", "draining")
"""What a PE does in a cycle, in the numbers of `activity`: the categories of the trace."""

FULL = 8
"""Added to the activity of a PE whose full queue is a cause of the stall of this cycle."""

BIAS = -1
"""The column of the bias."""

TAKEN_TO_ISSUED = 2
"""Cycles from a word, as look-ahead takes it, to its first entry, or to the cycle that it costs if it is padding."""

DECODED = 1
"""Cycles from an entry to its weight."""

Event = dict[str, Any]


def arrays(geometry: EieGeometry, events: Sequence[Event], pipelines: Sequence[PePipeline]) -> dict[str, NDArray[Any]]:
    """The arrays, of the cycles from each start to its done, one start after the other.

    Of each cycle: `layer` (255 outside of one), `start`, `blocked`, `broadcast` (its number, or -1). Of each broadcast:
    `column` (BIAS for the bias) and `activation`. Of each cycle and PE (cycles x pes): `activity` (KINDS, and FULL),
    `level` of the queue, `popped` (the columns that have left it), `word` (the number, from one, of the word whose
    entry is issued or which is passed over as padding; 0 for none), `place` of the entry in the word, `row`, `weight`,
    and `sum_row` (-1 for none) and `sum`, what is written. Of each column that came into a queue, those of PE 0 first
    (`columns_of` says where those of each PE begin): `column_broadcast`, its broadcast's number, and `column_entries`.
    Of each word `word_column`, and of each entry of it (words x entries): `codes`, `skips`, and `is_weight`.
    """
    of_track = _by_track(events)
    control = {name: of_track["Control unit", name] for name in ("starts", "layers", "broadcasts", "blocked")}
    length = max(event["ts"] + event["dur"] for event in control["starts"])
    run = np.zeros(length, bool)
    start = np.zeros(length, np.uint32)
    layer = np.full(length, 255, np.uint8)
    blocked = np.zeros(length, np.uint8)
    broadcast = np.full(length, -1, np.int32)
    shape = (length, geometry.pes)
    activity = np.zeros(shape, np.uint8)
    for number, event in enumerate(control["starts"]):
        run[_span(event)], start[_span(event)] = True, number
    for event in control["layers"]:
        layer[_span(event)] = event["args"]["layer"]
    for event in control["blocked"]:
        blocked[_span(event)] = 1
        activity[_span(event), event["args"]["full"]] = FULL
    sent = control["broadcasts"]
    for number, event in enumerate(sent):
        broadcast[event["ts"]] = number
    made = _PeArrays(geometry, shape, broadcast)
    for pe, pipeline in enumerate(pipelines):
        made.add(pe, of_track["PEs", f"PE {pe}"], pipeline)
        made.levels(pe, of_track["Columns in the queues", f"PE {pe}"])
    by_cycle = {"layer": layer, "start": start, "blocked": blocked, "broadcast": broadcast}
    by_cycle |= {"activity": activity + made.kinds, **made.by_cycle}
    return {
        **{name: array[run] for name, array in by_cycle.items()},
        "column": np.array([BIAS if e["name"] == "bias" else e["args"]["column"] for e in sent], np.int32),
        "activation": np.array([event["args"]["activation"] for event in sent], np.int16),
        **made.lists(),
    }


class _PeArrays:
    """The arrays of all PEs, PE by PE."""

    def __init__(self, geometry: EieGeometry, shape: tuple[int, int], broadcast: NDArray[np.int32]) -> None:
        # A column comes into the queue in the last cycle in which its level does not count it.
        self._late = geometry.hops + PUSH_CYCLES - 1
        self._broadcast = broadcast
        self.kinds = np.zeros(shape, np.uint8)
        self.by_cycle: dict[str, NDArray[Any]] = {
            "level": np.zeros(shape, np.uint16),
            "popped": np.zeros(shape, np.uint32),
            "word": np.zeros(shape, np.uint32),
            "place": np.zeros(shape, np.uint8),
            "row": np.zeros(shape, np.uint16),
            "weight": np.zeros(shape, np.int16),
            "sum_row": np.full(shape, -1, np.int32),
            "sum": np.zeros(shape, np.int32 if geometry.accumulator_bits <= 32 else np.float64),
        }
        self._columns: list[tuple[int, int]] = []
        self._columns_of = [0]
        self._words: list[Word] = []
        self._word_columns: list[int] = []
        self._pes, self._entries = geometry.pes, geometry.entries_per_word

    def add(self, pe: int, events: Iterable[Event], pipeline: PePipeline) -> None:
        of = {name: array[:, pe] for name, array in self.by_cycle.items()}
        first_column = len(self._columns)
        entries: list[Event] = []
        for event in events:
            kind, now = event["cat"], event["ts"]
            if kind == "push":
                self._columns.append((int(self._broadcast[now - self._late]), event["args"]["entries"]))
            elif kind == "pop":
                of["popped"][now + 1 :] += 1
            elif kind in KINDS:
                self.kinds[_span(event), pe] = KINDS.index(kind)
                entries += [event] if kind == "entry" else []
        self._columns_of.append(len(self._columns))

        issued = iter(sorted(entries, key=lambda event: int(event["ts"])))
        column = first_column - 1
        for word in pipeline.words:
            column += word.first
            self._words.append(word)
            self._word_columns.append(column)
            number = len(self._words)
            for place in range(self._entries):
                if word.weights >> place & 1:
                    event = next(issued)
                    now = event["ts"]
                    of["word"][now], of["place"][now] = number, place
                    of["row"][now] = event["args"]["output"] // self._pes
            passed = word.cycle + TAKEN_TO_ISSUED
            if not word.weights and self.kinds[passed, pe] == KINDS.index("padding"):
                of["word"][passed] = number
        for now, weight in pipeline.weights:
            of["weight"][now - DECODED] = weight
        for now, row, total in pipeline.sums:
            of["sum_row"][now], of["sum"][now] = row, total

    def levels(self, pe: int, changes: Iterable[Event]) -> None:
        for event in changes:
            self.by_cycle["level"][event["ts"] :, pe] = event["args"]["value"]

    def lists(self) -> dict[str, NDArray[Any]]:
        columns = np.array(self._columns, np.uint32).reshape(-1, 2)
        entries = np.array([word.entries for word in self._words], np.uint8).reshape(-1, self._entries, 2)
        weights = [[word.weights >> place & 1 for place in range(self._entries)] for word in self._words]
        return {
            "columns_of": np.array(self._columns_of, np.uint32),
            "column_broadcast": columns[:, 0],
            "column_entries": columns[:, 1],
            "word_column": np.array(self._word_columns, np.uint32),
            "codes": entries[..., 0],
            "skips": entries[..., 1],
            "is_weight": np.array(weights, np.uint8).reshape(-1, self._entries),
        }


def _by_track(events: Iterable[Event]) -> dict[tuple[str, str], list[Event]]:
    """The events by the names of their process and track; those of a counter by its own name."""
    processes: dict[int, str] = {}
    tracks: dict[tuple[int, int], str] = {}
    found: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        match event["name"], event["ph"]:
            case "process_name", "M":
                processes[event["pid"]] = event["args"]["name"]
            case "thread_name", "M":
                tracks[event["pid"], event["tid"]] = event["args"]["name"]
            case name, "C":
                found[processes[event["pid"]], name].append(event)
            case _, "X" | "i":
                found[processes[event["pid"]], tracks[event["pid"], event["tid"]]].append(event)
    return found


def _span(event: Event) -> slice:
    return slice(event["ts"], event["ts"] + event["dur"])
