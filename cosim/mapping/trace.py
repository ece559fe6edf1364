"""The trace of a run of the mapping unit: its jobs and their passes, the blocks of both lists, and what is found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zeroskip.cosim.mapping.waves import signals_of
from zeroskip.cosim.waves.decoder import since_start
from zeroskip.cosim.waves.events import Events, Merged
from zeroskip.cosim.waves.fields import elements, fields
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import (
    block_layout,
    entry_layout,
    job_layout,
    packed_layout,
    stored_layout,
    triple_layout,
)

STREAMS = {
    "list a": "reader_a.o",
    "list b": "reader_b.o",
    "merged": "merger.o",
    "sorted": "block_sorter.o",
    "triples": "triples",
    "stored": "pack_keys.o",
}
"""The streams that have tracks, but for `merged` and `sorted`, which share one."""

SIGNALS = signals_of(STREAMS)


class MapperDecoder:
    """Tracks of jobs, of their passes, of what the unit does, of both lists, of triples and of sorted keys.

    In the track of the merger each cycle of a job has one slice: a `block` leaves the merger, or the sorter of blocks
    in the first pass of a sort; `stalled`, one is there and is not taken; or `waiting`, none is there. A job is a sort
    or a map. A sort has passes: the words are sorted, then runs are merged; a map has one, with a part for each offset.
    """

    clock = "mapper_player.clk"
    signals: Sequence[str] = tuple(SIGNALS.values())
    begins: Sequence[str] = (SIGNALS["offered"], SIGNALS["taken"])

    def __init__(self, geometry: MapperGeometry) -> None:
        self._geometry = geometry

    def decode(self, cycles: Iterable[Cycle], events: Events) -> None:
        run = _Run(self._geometry, events)
        now = -1
        offers = [list(SIGNALS).index(name) for name in ("offered", "taken")]
        for now, values in since_start(cycles, *offers):
            run.at(now, dict(zip(SIGNALS, values, strict=True)))
        run.end(now + 1)


class _Run:
    """The tracks of a run, cycle by cycle."""

    def __init__(self, geometry: MapperGeometry, events: Events) -> None:
        triple = triple_layout(geometry)
        triples = packed_layout(triple, geometry.pairs)
        self._job_of, self._block = fields(job_layout(geometry)), fields(block_layout(geometry))
        self._entry, self._entries = fields(entry_layout(geometry)), block_layout(geometry)["entries"].shape
        self._triples, self._places, self._triple = fields(triples), triples["values"].shape, fields(triple)
        self._stored = fields(packed_layout(stored_layout(geometry), geometry.width))
        self._events = events
        pid = events.process("Mapping unit")
        names = ("jobs", "passes", "merger", "list a", "list b", "triples", "sorted keys")
        self._tracks = {name: events.track(pid, name) for name in names}
        self._jobs, self._passes, self._merger = (Merged(events, self._tracks[name]) for name in names[:3])
        self._count, self._part, self._sort, self._inside = 0, 0, False, False

    def at(self, now: int, seen: dict[str, int]) -> None:
        """What is seen in a cycle."""
        starts = seen["offered"] == 1 and seen["taken"] == 1
        if starts:
            self._begin(now, self._job_of(seen["job"]))
        if not self._inside:
            return
        presort = self._sort and (starts or seen["presort"] == 1)
        ends = seen["done"] == 1
        self._moments(now, seen)
        state = None if ends else _state(seen, "sorted" if presort else "merged")
        self._merger.at(now, None if state is None else (state, state, self._of_job))
        self._passes.at(now, None if ends else _pass(self._sort, presort, self._part, self._of_job))
        if self._sort and seen["finished"] == 1:
            self._part += 1
        if ends:
            self._jobs.at(now, None)
            self._inside = False

    def end(self, now: int) -> None:
        for merged in (self._jobs, self._passes, self._merger):
            merged.at(now, None)

    @property
    def _of_job(self) -> dict[str, object]:
        return {"job": self._count - 1}

    def _begin(self, now: int, job: dict[str, int]) -> None:
        """A job; a map counts its offsets by their first blocks."""
        self._inside, self._sort = True, bool(job["sort"])
        self._part = 0 if self._sort else -1
        name = "sort" if self._sort else "map"
        self._jobs.at(now, (f"{name} {self._count}", name, {"job": self._count, **job}))
        self._count += 1

    def _moments(self, now: int, seen: dict[str, int]) -> None:
        """The words that pass in a cycle, in the one of `done` too."""
        for name in ("list a", "list b"):
            if _passes(seen, name):
                block = self._block(seen[f"{name} payload"])
                self._part += not self._sort and name == "list a" and block["begins"]
                self._slice(name, "block", "block", now, **self._seen_in(block))
        if _passes(seen, "triples"):
            word = self._triples(seen["triples payload"])
            found = [self._triple(bits) for bits in elements(self._places, word["values"])][: word["count"]]
            listed = [[one["offset"], one["input"], one["output"]] for one in found]
            self._slice("triples", f"{len(found)}", "triples", now, triples=listed)
        if _passes(seen, "stored"):
            keys = self._stored(seen["stored payload"])["count"]
            self._slice("sorted keys", f"{keys}", "keys", now, keys=keys)

    def _slice(self, track: str, name: str, kind: str, now: int, **args: object) -> None:
        self._events.slice(self._tracks[track], name, kind, now, now + 1, **self._of_job, **args)

    def _seen_in(self, block: dict[str, int]) -> dict[str, object]:
        """How many entries are there, and the first one's key."""
        entries = [self._entry(bits) for bits in elements(self._entries, block["entries"])]
        there = [entry for entry in entries if not entry["absent"]]
        return {"entries": len(there), "key": there[0]["key"] if there else None}


def _state(seen: dict[str, int], stream: str) -> str:
    """What the merger does, or the sorter of blocks."""
    if _passes(seen, stream):
        return "block"
    return "stalled" if seen[f"{stream} valid"] == 1 else "waiting"


def _pass(sort: bool, presort: bool, part: int, of_job: dict[str, object]) -> tuple[str, str, dict[str, object]]:
    """The pass of a cycle: its name, its category, and its number, or that of the offset."""
    if presort:
        return "words are sorted", "presort", of_job
    if sort:
        return f"merge {part}", "merge", {**of_job, "merge": part}
    return f"offset {max(part, 0)}", "offset", {**of_job, "offset": max(part, 0)}


def _passes(seen: dict[str, int], stream: str) -> bool:
    return seen[f"{stream} valid"] == 1 and seen[f"{stream} ready"] == 1
