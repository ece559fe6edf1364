"""What the waveform of the tile says that it does in each cycle, as arrays: what the viewer draws."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mma.trace import SIGNALS
from zeroskip.cosim.mma.viewer_words import WordTable, fields_of, values_of
from zeroskip.cosim.mma.waves import GEMM
from zeroskip.cosim.waves.decoder import since_start
from zeroskip.cosim.waves.fields import fields, number
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.layouts import a_row_layout, fetch_layout, job_layout, timing

KINDS = ("starting", "step", "stalled", "draining", "done")
"""What the sequencer does in a cycle of a job, in the numbers of `kind`: it works out the first step, fetches a step,
waits for the step before of the same sum, waits for the last steps, or reports the end."""

NONE = -1
"""There is no step in this place."""

TILE = f"{GEMM}.tile"


class TileSignals:
    """The signals that the viewer looks at, by name, and in rows for what the tile has several of."""

    def __init__(self, geometry: TileGeometry) -> None:
        times = timing(geometry)
        rows, columns = range(geometry.m), range(geometry.n)
        units = [f"{TILE}.unit{row}_{column}" for row in rows for column in columns]
        selectors = [] if geometry.pattern.dense else units
        self.single = {
            **SIGNALS,
            "illegal": f"{GEMM}.illegal",
            "enters": f"{TILE}.step__valid",
            # In the lowest bit of a stage stands whether there is a step in it.
            "takes": f"{TILE}.stage{times.take}",
            "written": f"{TILE}.stage{times.stages + 1}",
        }
        self.several = {
            "a": [f"{GEMM}.a{row}.read__data" for row in rows],
            "codes": [f"{TILE}.unit{row}_0.instance.codes" for row in rows if selectors],
            "b": [f"{TILE}.unit0_{column}.instance.window" for column in columns],
            "c": [f"{GEMM}.d{row}.read__data" for row in rows],
            "chosen": [f"{unit}.instance.selector.chosen" for unit in selectors],
            "d": [f"{unit}.instance.d" for unit in units],
        }
        self.names: Sequence[str] = [*self.single.values(), *itertools.chain(*self.several.values())]
        self._places: dict[str, slice] = {}
        begin = len(self.single)
        for name, found in self.several.items():
            self._places[name] = slice(begin, begin + len(found))
            begin += len(found)

    def seen(self, values: Cycle) -> dict[str, int]:
        """The single signals by name."""
        return dict(zip(self.single, values, strict=False))

    def row(self, values: Cycle, name: str) -> Sequence[int]:
        return values[self._places[name]]


class TileRun:
    """A run, cycle by cycle, and step by step: no step overtakes another, so that each is known by its place in the
    order in which the sequencer gives them."""

    def __init__(self, geometry: TileGeometry, signals: TileSignals) -> None:
        self._geometry, self._signals = geometry, signals
        self._job_of, self._step_of = fields(job_layout(geometry)), fields(fetch_layout(geometry))
        kept = a_row_layout(geometry)["values"]
        self._kept_place, self._kept_width = kept.offset, kept.width
        self.jobs: list[dict[str, int]] = []
        self.cycles: list[tuple[int, ...]] = []
        """Of each cycle of a job: job, kind, the steps that are fetched, enter, take a sum and are written, illegal."""
        self.steps: list[tuple[int, ...]] = []
        """Of each step: sum of the job, number among the steps of the sum, slot, last, phase, whether B is read."""
        self.a, self.codes, self.b, self.chosen = WordTable(), WordTable(), WordTable(), WordTable()
        self.words: dict[str, list[list[int]]] = {name: [] for name in ("a", "codes", "b", "chosen")}
        """Of each step, the numbers of its words: rows, rows, columns, units."""
        self.begins: list[int] = []
        """Of each step, the place of what its sums begin with among `c`, or NONE."""
        self.c: list[int] = []
        self.d: list[int] = []
        self._taken, self._written = 0, 0
        self._counts: dict[int, int] = {}
        self._asked: Sequence[int] = ()

    def watch(self, cycles: Iterable[Cycle]) -> None:
        offers = [list(self._signals.single).index(name) for name in ("offered", "taken")]
        inside = False
        for _, values in since_start(cycles, *offers):
            seen = self._signals.seen(values)
            if seen["offered"] == 1 and seen["taken"] == 1:
                inside = True
                self.jobs.append(self._job_of(seen["job"]))
                self._counts = {}
            if inside:
                self._at(seen, values)
                inside = seen["done"] != 1

    def _at(self, seen: dict[str, int], values: Cycle) -> None:
        fetched = entered = taken = written = NONE
        if seen["enters"] == 1:
            entered = len(self.begins)
            self._enter(values)
        if seen["fetch"] == 1:
            fetched = len(self.steps)
            self._fetch(seen)
        if seen["takes"] & 1:
            taken, self._taken = self._taken, self._taken + 1
        if seen["written"] & 1:
            written, self._written = self._written, self._written + 1
            self.d += self._signals.row(values, "d")
        if seen["done"] == 1:
            kind = "done"
        elif fetched != NONE:
            kind = "step"
        elif not self._counts:
            kind = "starting"
        else:
            kind = "stalled" if seen["runs"] == 1 else "draining"
        self.cycles.append((len(self.jobs) - 1, KINDS.index(kind), fetched, entered, taken, written, seen["illegal"]))
        # The memories show a word of A one cycle before it enters the tile.
        self._asked = self._signals.row(values, "a")

    def _fetch(self, seen: dict[str, int]) -> None:
        step = self._step_of(seen["step"])
        place = step["d"] - self.jobs[-1]["d_base"]
        count = self._counts[place] = self._counts.get(place, -1) + 1
        self.steps.append((place, count, step["slot"], step["last"], step.get("phase", 0), int(seen["reads_b"] == 1)))

    def _enter(self, values: Cycle) -> None:
        tables = {"a": self.a, "codes": self.codes, "b": self.b, "chosen": self.chosen}
        for name, table in tables.items():
            words = self._signals.row(values, name)
            if name == "a":
                words = [number(word, self._kept_place, self._kept_width) for word in self._asked]
            self.words[name].append([table.number(word) for word in words])
        first = self.steps[len(self.begins)][1] == 0
        self.begins.append(len(self.c) // self._geometry.m if first else NONE)
        if first:
            self.c += self._signals.row(values, "c")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of all cycles from each start to its done, both counted, one job after the other.

        Of each cycle: `job`, `kind` (KINDS), `illegal`, and the steps `fetched`, `entered`, `taken` and `written`, by
        their numbers, or NONE. Of each job: `rows`, `sums`, `windows`, `steps_of_sum`, `dense`. Of each step: `sum`,
        its number among those of the job, `number` among the steps of this sum, `slot`, `last`, `phase`, `reads_b`,
        `begins` (a row of `c`, or NONE), the numbers of words `a` and `codes` (steps x m), `b` (steps x n) and `chosen`
        (steps x units, row by row), and `d`, the sums that it wrote (steps x units). Of each word: `a_values`,
        `code_values`, `b_values` and `chosen_values`. `c`: what sums begin with (sums x units).
        """
        geometry = self._geometry
        cycles = np.array(self.cycles, np.int32).reshape(-1, 7).T
        steps = np.array(self.steps, np.int32).reshape(-1, 6).T
        form, result = geometry.operand, geometry.result

        def of_jobs(name: str, default: int = 0) -> NDArray[Any]:
            return np.array([job.get(name, default) for job in self.jobs], np.uint32)

        def words(name: str) -> NDArray[Any]:
            return np.array(self.words[name], np.uint32)

        def values(table: WordTable, count: int) -> NDArray[Any]:
            return values_of(table.raw(count, form.operand_bits), form)

        return {
            **_typed(cycles, job="u4", kind="u1", fetched="i4", entered="i4", taken="i4", written="i4", illegal="u1"),
            "rows": of_jobs("rows"),
            "sums": of_jobs("sums"),
            "windows": of_jobs("windows"),
            "steps_of_sum": of_jobs("steps"),
            "dense": of_jobs("dense", 1),
            **_typed(steps, sum="u4", number="u4", slot="u1", last="u1", phase="u1", reads_b="u1"),
            "begins": np.array(self.begins, np.int32),
            **{name: words(name) for name in self.words},
            "a_values": values(self.a, geometry.k),
            "code_values": self.codes.raw(geometry.groups, geometry.pattern.code_bits or 1),
            "b_values": values(self.b, geometry.window),
            "chosen_values": values(self.chosen, geometry.k),
            "c": values_of(fields_of(self.c, geometry.n, result.bits), result),
            "d": values_of(fields_of(self.d, 1, result.bits), result),
        }


def _typed(rows: NDArray[np.int32], **types: str) -> dict[str, NDArray[Any]]:
    """Each row by its name, in its type."""
    return {name: row.astype(kind) for (name, kind), row in zip(types.items(), rows, strict=True)}
