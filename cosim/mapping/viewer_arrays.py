"""What the waveform of the mapping unit says that it does in each cycle, as arrays: what the viewer draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mapping.waves import signals_of
from zeroskip.cosim.waves.decoder import since_start
from zeroskip.cosim.waves.fields import elements, fields
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.keys import unpack
from zeroskip.rtl.mapping.layouts import (
    block_layout,
    entry_layout,
    job_layout,
    lanes_layout,
    packed_layout,
    stored_layout,
    triple_layout,
)

PHASES = ("presort", "merge", "map")
"""What a job does in a cycle, in the numbers of `phase`: each word of a list is sorted, sorted runs are merged, or the
lists of a map are."""

NONE = -1
"""No block passes in this cycle."""

STREAMS = {
    "a": "reader_a.o",
    "b": "reader_b.o",
    "merged": "merger.o",
    "sorted": "block_sorter.o",
    "found": "matcher.o",
    "triples": "triples",
    "stored": "pack_keys.o",
}
SIGNALS = signals_of(STREAMS)
"""The signals that the viewer looks at, by name."""


class MapperRun:
    """A run, cycle by cycle. A block that passes is known by its number among all different ones."""

    def __init__(self, geometry: MapperGeometry) -> None:
        triple, values = triple_layout(geometry), lanes_layout(triple_layout(geometry), geometry.pairs)
        self._geometry = geometry
        self._job_of, self._block = fields(job_layout(geometry)), fields(block_layout(geometry))
        self._found, self._places, self._triple = fields(values), values["values"].shape, fields(triple)
        self._counts = {
            "triples": fields(packed_layout(triple, geometry.pairs)),
            "stored": fields(packed_layout(stored_layout(geometry), geometry.width)),
        }
        self.cycles: list[tuple[int, ...]] = []
        """Of each cycle of a job: job, phase, part, the blocks of list a, of list b and behind merger or sorter, the
        number of the last among those that the matcher takes, that of what the matcher gives, and values that left."""
        self.blocks: dict[int, int] = {}
        self.found: list[list[tuple[int, int, int]]] = []
        """Of each block that the matcher took, its triples: offset, input, output."""
        self.slots: list[list[int]] = []
        """The slot of each of them: the half of two places of the block."""
        self._job, self._part, self._left, self._sort, self._taken = -1, 0, 0, False, 0

    def watch(self, cycles: Iterable[Cycle]) -> None:
        names = list(SIGNALS)
        inside = False
        for _, values in since_start(cycles, names.index("offered"), names.index("taken")):
            seen = dict(zip(SIGNALS, values, strict=True))
            starts = seen["offered"] == 1 and seen["taken"] == 1
            if starts:
                inside = True
                self._sort = bool(self._job_of(seen["job"])["sort"])
                # A map counts its offsets by their first blocks.
                self._job, self._part, self._left = self._job + 1, 0 if self._sort else NONE, 0
            if inside:
                self._at(seen, starts)
                inside = seen["done"] != 1

    def _at(self, seen: dict[str, int], starts: bool) -> None:
        phase = "map" if not self._sort else "presort" if starts or seen["presort"] == 1 else "merge"
        passes = {name: seen[f"{name} valid"] == 1 and seen[f"{name} ready"] == 1 for name in STREAMS}
        a, b = (self._number(seen[f"{name} payload"]) if passes[name] else NONE for name in "ab")
        behind = "sorted" if phase == "presort" else "merged"
        merged = self._number(seen[f"{behind} payload"]) if passes[behind] else NONE
        taken = given = NONE
        if passes["found"]:
            given = len(self.found)
            self._give(seen["found payload"])
        if phase == "map" and merged != NONE:
            taken, self._taken = self._taken, self._taken + 1
        if phase == "map" and a != NONE and self._block(seen["a payload"])["begins"]:
            self._part += 1
        for name, split in self._counts.items():
            if passes[name]:
                self._left += split(seen[f"{name} payload"])["count"]
        part = max(self._part, 0)
        self.cycles.append((self._job, PHASES.index(phase), part, a, b, merged, taken, given, self._left))
        if self._sort and seen["finished"] == 1:
            self._part, self._left = self._part + 1, 0

    def _number(self, payload: int) -> int:
        return self.blocks.setdefault(payload, len(self.blocks))

    def _give(self, payload: int) -> None:
        found = self._found(payload)
        slots = [slot for slot in range(self._geometry.pairs) if found["valid"] >> slot & 1]
        triples = [self._triple(bits) for bits in elements(self._places, found["values"])]
        self.found.append([(t["offset"], t["input"], t["output"]) for t in (triples[slot] for slot in slots)])
        self.slots.append(slots)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of all cycles from each start to its done, both counted, one job after the other.

        Of each cycle: `job`, `phase` (PHASES), `part` (the pass of a sort, the offset of a map), the numbers of the
        blocks `a`, `b` and `merged` that pass, or NONE, `taken` and `given`, the number of the block that the matcher
        takes, and of that whose triples it gives, or NONE, and `left`, the triples of the job, or the keys of the pass,
        that have left so far. Of each different block, of each of its `width` entries: `coordinates` (the batch first),
        `index`, `source` (1 for outputs) and `absent`. Of each block that the matcher took: `first_triple`, with the
        end behind the last, the place of its triples in `triples` (offset, input, output), and `slots`, where in the
        block they lie.
        """
        names = ("job", "phase", "part", "a", "b", "merged", "taken", "given", "left")
        types = ("u2", "u1", "u2", "i4", "i4", "i4", "i4", "i4", "u4")
        cycles = np.array(self.cycles, np.int64).reshape(-1, len(names)).T
        counts = [len(triples) for triples in self.found]
        return {
            **{name: row.astype(kind) for name, kind, row in zip(names, types, cycles, strict=True)},
            **self._entry_arrays(),
            "first_triple": np.append(0, np.cumsum(counts)).astype(np.uint32),
            "triples": np.array([one for triples in self.found for one in triples], np.uint32).reshape(-1, 3),
            "slots": np.array([slot for slots in self.slots for slot in slots], np.uint8),
        }

    def _entry_arrays(self) -> dict[str, NDArray[Any]]:
        layout = block_layout(self._geometry)["entries"]
        split = fields(entry_layout(self._geometry))
        entries = [split(bits) for block in self.blocks for bits in elements(layout.shape, block >> layout.offset)]
        keys = np.array([entry["key"] for entry in entries], np.int64)
        return {
            "coordinates": unpack(keys, self._geometry).astype(np.int32),
            "index": np.array([entry["index"] for entry in entries], np.uint32),
            "source": np.array([entry["source"] for entry in entries], np.uint8),
            "absent": np.array([entry["absent"] for entry in entries], np.uint8),
        }
