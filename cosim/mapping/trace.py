"""The trace of a run of the mapping unit: its jobs and their passes, the blocks of both lists, and what is found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zeroskip.cosim.mapping.waves import MAPPER
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

SIGNALS = {
    "offered": f"{MAPPER}.start__valid",
    "taken": f"{MAPPER}.start__ready",
    "job": f"{MAPPER}.start__payload",
    "done": f"{MAPPER}.done",
    "presort": f"{MAPPER}.sequencer.presort",
    "finished": f"{MAPPER}.sequencer.finished",
    **{
        f"{name} {part}": f"{MAPPER}.{stream}__{part}"
        for name, stream in STREAMS.items()
        for part in ("valid", "ready", "payload")
    },
}


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
        triple = triple_layout(geometry)
        triples = packed_layout(triple, geometry.pairs)
        self._job, self._block = fields(job_layout(geometry)), fields(block_layout(geometry))
        self._entry = fields(entry_layout(geometry))
        self._entries = block_layout(geometry)["entries"].shape
        self._triples, self._places, self._triple = fields(triples), triples["values"].shape, fields(triple)
        self._stored = fields(packed_layout(stored_layout(geometry), geometry.width))

    def decode(self, cycles: Iterable[Cycle], events: Events) -> None:
        pid = events.process("Mapping unit")
        names = ("jobs", "passes", "merger", "list a", "list b", "triples", "sorted keys")
        tracks = {name: events.track(pid, name) for name in names}
        jobs, passes, merger = (Merged(events, tracks[name]) for name in names[:3])
        offers = [list(SIGNALS).index(name) for name in ("offered", "taken")]
        now, count, part, sort, inside = -1, 0, 0, False, False
        for now, values in since_start(cycles, *offers):
            seen = dict(zip(SIGNALS, values, strict=True))
            if seen["offered"] == 1 and seen["taken"] == 1:
                job = self._job(seen["job"])
                inside, sort, part = True, bool(job["sort"]), 0 if job["sort"] else -1
                name = "sort" if sort else "map"
                jobs.at(now, (f"{name} {count}", name, {"job": count, **job}))
                presort = sort
                count += 1
            elif inside:
                presort = sort and seen["presort"] == 1
            if not inside:
                continue
            of_job: dict[str, object] = {"job": count - 1}
            ends = seen["done"] == 1
            for name in ("list a", "list b"):
                if _passes(seen, name):
                    block = self._block(seen[f"{name} payload"])
                    part += not sort and name == "list a" and block["begins"]
                    events.slice(tracks[name], "block", name, now, now + 1, **of_job, **self._seen_in(block))
            if _passes(seen, "triples"):
                word = self._triples(seen["triples payload"])
                found = [self._triple(bits) for bits in elements(self._places, word["values"])][: word["count"]]
                listed = [[one["offset"], one["input"], one["output"]] for one in found]
                events.slice(tracks["triples"], f"{len(found)}", "triples", now, now + 1, **of_job, triples=listed)
            if _passes(seen, "stored"):
                keys = self._stored(seen["stored payload"])["count"]
                events.slice(tracks["sorted keys"], f"{keys}", "keys", now, now + 1, **of_job, keys=keys)
            behind = "sorted" if presort else "merged"
            if ends:
                state = None
            elif _passes(seen, behind):
                state = "block"
            else:
                state = "stalled" if seen[f"{behind} valid"] == 1 else "waiting"
            merger.at(now, None if state is None else (state, state, of_job))
            passes.at(now, None if ends else _pass(sort, presort, part, of_job))
            if sort and seen["finished"] == 1:
                part += 1
            if ends:
                jobs.at(now, None)
                inside = False
        for merged in (jobs, passes, merger):
            merged.at(now + 1, None)

    def _seen_in(self, block: dict[str, int]) -> dict[str, object]:
        """How many entries are there, and the first one's key."""
        entries = [self._entry(bits) for bits in elements(self._entries, block["entries"])]
        there = [entry for entry in entries if not entry["absent"]]
        return {"entries": len(there), "key": there[0]["key"] if there else None}


def _pass(sort: bool, presort: bool, part: int, of_job: dict[str, object]) -> tuple[str, str, dict[str, object]]:
    """The pass of a cycle: its name, its category, and its number, or that of the offset."""
    if presort:
        return "words are sorted", "presort", of_job
    if sort:
        return f"merge {part}", "merge", {**of_job, "merge": part}
    return f"offset {max(part, 0)}", "offset", {**of_job, "offset": max(part, 0)}


def _passes(seen: dict[str, int], stream: str) -> bool:
    return seen[f"{stream} valid"] == 1 and seen[f"{stream} ready"] == 1
