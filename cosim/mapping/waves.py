"""What a viewer shows of a waveform of the mapping unit: its jobs, both lists, what is merged, and what is found."""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.cosim.waves.shown import Group, Shown, of_player
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import (
    block_layout,
    lanes_layout,
    packed_layout,
    run_layout,
    stored_layout,
    triple_layout,
    triples_layout,
)

MAPPER = "mapper_player.mapper"
"""The unit below its player (mapper_player.v)."""


def signals_of(streams: Mapping[str, str]) -> dict[str, str]:
    """The signals of jobs and of these streams of the unit, by name, which a trace and the viewer read."""
    own = {
        "offered": "start__valid",
        "taken": "start__ready",
        "job": "start__payload",
        "done": "done",
        "presort": "sequencer.presort",
        "finished": "sequencer.finished",
    }
    parts = {
        f"{name} {part}": f"{stream}__{part}"
        for name, stream in streams.items()
        for part in ("valid", "ready", "payload")
    }
    return {name: f"{MAPPER}.{signal}" for name, signal in {**own, **parts}.items()}


def groups(geometry: MapperGeometry) -> list[Group]:
    triples = lanes_layout(triple_layout(geometry), geometry.pairs).size
    block = block_layout(geometry).size
    return [
        _jobs(),
        _list("a", geometry),
        _list("b", geometry),
        Group(
            title="Sorted and merged",
            signals=[*_stream("block_sorter.o", "sorted block", block), *_stream("merger.o", "merged block", block)],
        ),
        Group(
            title="Found",
            signals=[
                *_stream("matcher.o", "matches", triples),
                *_stream("triples", "triples", triples_layout(geometry).size),
                *_stream("pack_keys.o", "sorted keys", packed_layout(stored_layout(geometry), geometry.width).size),
            ],
        ),
    ]


def _jobs() -> Group:
    sequencer = f"{MAPPER}.sequencer"
    signals = [
        *of_player("mapper_player"),
        Shown(name=f"{MAPPER}.start__valid", label="start: job offered"),
        Shown(name=f"{MAPPER}.start__ready", label="start: job taken"),
        Shown(name=f"{sequencer}.sort", label="the job is a sort"),
        Shown(name=f"{sequencer}.presort", label="pass: words are sorted"),
        Shown(name=f"{sequencer}.first", label="pass: the first"),
        Shown(name=f"{sequencer}.last", label="pass: the last"),
        Shown(name=f"{sequencer}.finished", label="pass: finished"),
        Shown(name=f"{MAPPER}.done", label="done"),
        Shown(name=f"{MAPPER}.disordered", label="a list was not sorted"),
    ]
    return Group(title="Jobs", signals=signals)


def _list(name: str, geometry: MapperGeometry) -> Group:
    reader = f"reader_{name}"
    signals = [
        *_stream(f"{reader}.run", "run of words", run_layout(geometry).size),
        *_stream(f"{reader}.o", "block", block_layout(geometry).size),
    ]
    return Group(title=f"List {name}", signals=signals)


def _stream(name: str, label: str, bits: int) -> list[Shown]:
    """A stream of the unit: whether a word is offered, whether it is taken, and the word."""
    return [
        Shown(name=f"{MAPPER}.{name}__valid", label=f"{label}: offered"),
        Shown(name=f"{MAPPER}.{name}__ready", label=f"{label}: taken"),
        Shown(name=f"{MAPPER}.{name}__payload", bits=bits, label=label),
    ]
