"""The trace of a run of the EIE array: what its signals say that each part does in each cycle."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from zeroskip.cosim.eie.waves import ACTIVITY, ARRAY, pe_path
from zeroskip.cosim.waves.decoder import since_start
from zeroskip.cosim.waves.events import Events, Merged
from zeroskip.cosim.waves.fields import elements, fields
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.layouts import broadcast_layout, column_layout, entry_layout, update_layout, word_layout

CONTROL = {
    "start": f"{ARRAY}.start",
    "idle": f"{ARRAY}.idle",
    "done": f"{ARRAY}.done",
    "running": f"{ARRAY}.control.running",
    "layer": "player.layer",
    "blocked": f"{ARRAY}.control.blocked",
    "draining": f"{ARRAY}.control.draining",
    "inputs": f"{ARRAY}.control.scanner.inputs",
    "base": f"{ARRAY}.control.fetcher.pointer_base",
    "broadcast": f"{ARRAY}.control.broadcast__valid",
    "sent": f"{ARRAY}.control.broadcast__payload",
}

STARTS = [list(CONTROL).index(name) for name in ("start", "idle")]
"""The places of the signals that are high in the cycle in which a start is taken."""

PE = {
    "room": "room",
    "level": "queue.level",
    "push": "queue.i__valid",
    "pushed": "queue.i__payload",
    "valid": "queue.o__valid",
    "ready": "queue.o__ready",
    "popped": "queue.o__payload",
    "arrives": "lookahead.i__valid",
    "taken": "lookahead.i__ready",
    "word": "lookahead.i__payload",
    "issue": "lookahead.o__valid",
    "update": "lookahead.o__payload",
    "activity": "lookahead.activity",
}

NAMED = 3
"""Queues that the name of a stall says one by one."""


class EieDecoder:
    """Tracks of the control unit (starts and layers, broadcasts, what blocks them), one for each PE, and the levels of
    the queues.

    In a PE's track each cycle of a run has one slice, of the five activities of zeroskip.cosim.eie.record.ACTIVITIES:
    an `entry` that is issued, `padding` (a word of nothing else), `stalled`, `starved` or `draining`. Beside them
    stand the moments of a `push` into its queue and a `pop` out of it, and `skipped`: the padding entries of a word
    that look-ahead took, whether or not they cost a cycle.

    A stall is caused by the queues that were full when the control unit looked: `room` gets there
    `1 + geometry.hops` cycles later.
    """

    clock = "player.clk"
    begins: Sequence[str] = tuple(list(CONTROL.values())[place] for place in STARTS)

    def __init__(self, geometry: EieGeometry) -> None:
        self._geometry = geometry
        self.signals: Sequence[str] = [
            *CONTROL.values(),
            *(f"{pe_path(pe)}.{signal}" for pe in range(geometry.pes) for signal in PE.values()),
        ]

    def decode(self, cycles: Iterable[Cycle], events: Events) -> None:
        geometry = self._geometry
        control = _Control(geometry, events)
        pid = events.process("PEs")
        pes = [_Pe(geometry, events, pid, pe) for pe in range(geometry.pes)]
        levels = _Levels(events, geometry.pes)
        places = range(len(CONTROL), len(self.signals), len(PE))
        full: deque[tuple[int, ...]] = deque([()] * (2 + geometry.hops), maxlen=2 + geometry.hops)
        now = -1
        for now, values in since_start(cycles, *STARTS):
            seen = dict(zip(CONTROL, values, strict=False))
            seen_by_pe = [dict(zip(PE, values[place : place + len(PE)], strict=True)) for place in places]
            full.append(tuple(pe for pe, of_pe in enumerate(seen_by_pe) if not of_pe["room"]))
            causes = full[0]
            control.at(now, seen, causes)
            for pe, of_pe in zip(pes, seen_by_pe, strict=True):
                pe.at(now, seen, of_pe, causes)
            levels.at(now, [of_pe["level"] for of_pe in seen_by_pe])
        end = {"start": 0, "idle": 1, "done": 0, "running": 0, "broadcast": 0}
        control.at(now + 1, end, ())
        for pe in pes:
            pe.rest(now + 1)


def _stall(causes: tuple[int, ...]) -> str:
    """What is full, for the name of a stall."""
    if len(causes) > NAMED:
        return f"{len(causes)} queues are full"
    return f"full: {', '.join(f'PE {pe}' for pe in causes)}"


class _Control:
    """The tracks of the control unit."""

    def __init__(self, geometry: EieGeometry, events: Events) -> None:
        pid = events.process("Control unit")
        self._events = events
        self._starts = Merged(events, events.track(pid, "starts"))
        self._layers = Merged(events, events.track(pid, "layers"))
        self._broadcasts = events.track(pid, "broadcasts")
        self._blocked = Merged(events, events.track(pid, "blocked"))
        self._column = fields(broadcast_layout(geometry))
        self._count = 0
        self._under_way = False

    def at(self, now: int, seen: dict[str, int], causes: tuple[int, ...]) -> None:
        if seen["start"] and seen["idle"]:
            self._under_way = True
            self._count += 1
        elif seen["done"]:
            self._under_way = False
        start = {"start": self._count - 1}
        self._starts.at(now, (f"start {self._count - 1}", "start", {}) if self._under_way else None)
        if not seen["running"]:
            self._layers.at(now, None)
            self._blocked.at(now, None)
            return
        layer: dict[str, object] = {**start, "layer": seen["layer"]}
        self._layers.at(now, (f"layer {seen['layer']}", "layer", layer))
        stalled = (_stall(causes), "blocked", {**layer, "full": list(causes)})
        self._blocked.at(now, stalled if seen["blocked"] else None)
        if seen["broadcast"]:
            column = self._column(seen["sent"])
            number = column["pointer"] - seen["base"]
            name = "bias" if number == seen["inputs"] else f"column {number}"
            args = {**layer, "column": number, "activation": column["value"]}
            self._events.slice(self._broadcasts, name, "broadcast", now, now + 1, **args)


class _Pe:
    """The track of a PE."""

    def __init__(self, geometry: EieGeometry, events: Events, pid: int, pe: int) -> None:
        self._events = events
        self._track = events.track(pid, f"PE {pe}")
        self._waits = Merged(events, self._track)
        self._pe, self._pes = pe, geometry.pes
        self._column, self._update = fields(column_layout(geometry)), fields(update_layout(geometry))
        self._entry, self._entries = fields(entry_layout(geometry)), word_layout(geometry)["entries"]

    def at(self, now: int, seen: dict[str, int], of_pe: dict[str, int], causes: tuple[int, ...]) -> None:
        if not seen["running"]:
            self.rest(now)
            return
        layer: dict[str, object] = {"layer": seen["layer"]}
        self._queue(now, of_pe, layer)
        if of_pe["arrives"] and of_pe["taken"] and (padding := self._padding(of_pe["word"])):
            self._events.instant(self._track, f"{padding} skipped", "skipped", now, **layer, entries=padding)
        if of_pe["issue"]:
            self.rest(now)
            update = self._update(of_pe["update"])
            output = update["row"] * self._pes + self._pe
            args = {**layer, "output": output, "code": update["code"], "activation": update["value"]}
            self._events.slice(self._track, "entry", "entry", now, now + 1, **args)
        elif ACTIVITY.names.get(of_pe["activity"]) == "padding":
            self._waits.at(now, ("padding", "padding", layer))
        elif seen["draining"]:
            self._waits.at(now, ("draining", "draining", layer))
        elif seen["blocked"]:
            self._waits.at(now, (f"stalled, {_stall(causes)}", "stalled", {**layer, "full": list(causes)}))
        else:
            self._waits.at(now, ("starved", "starved", layer))

    def rest(self, now: int) -> None:
        """What lasted ends before this cycle."""
        self._waits.at(now, None)

    def _queue(self, now: int, of_pe: dict[str, int], layer: dict[str, object]) -> None:
        moves = (("push", of_pe["push"], "pushed"), ("pop", of_pe["valid"] and of_pe["ready"], "popped"))
        for name, moves_now, payload in moves:
            if moves_now:
                column = self._column(of_pe[payload])
                entries = column["last"] - column["begin"] + 1
                args = {**layer, "begin": column["begin"], "entries": entries, "activation": column["value"]}
                self._events.instant(self._track, name, name, now, **args)

    def _padding(self, word: int) -> int:
        """The padding entries of a word: entries outside its column are all zero, and padding has a skip."""
        bits = word >> self._entries.offset
        entries = map(self._entry, elements(self._entries.shape, bits))
        return sum(entry["code"] == 0 and entry["skip"] != 0 for entry in entries)


class _Levels:
    """The counters of the queues."""

    def __init__(self, events: Events, pes: int) -> None:
        self._events = events
        self._pid = events.process("Columns in the queues")
        self._levels = [-1] * pes

    def at(self, now: int, levels: Sequence[int]) -> None:
        for pe, level in enumerate(levels):
            if level != self._levels[pe]:
                self._events.counter(self._pid, f"PE {pe}", now, level)
                self._levels[pe] = level
