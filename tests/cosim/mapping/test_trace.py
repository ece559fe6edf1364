"""The trace of a layer on the mapping unit: jobs, passes, blocks, keys and triples are those of the plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.point_clouds import cube, distinct_points
from support.traces import cycles_of, events_of, of_track

from zeroskip.cosim.mapping.play import joined_triples
from zeroskip.cosim.mapping.record import record_layer
from zeroskip.cosim.records import Records
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.layer import LayerPlan, plan_layer

LAYERS = {
    "4 keys a cycle": (MapperGeometry(width=4), {}),
    "1 key a cycle, strided": (MapperGeometry(width=1, words=256, offsets=27), {"strides": (2, 2, 2)}),
}
"""As in test_viewer.py: the simulators are built once."""

Traced = tuple[LayerPlan, list[dict[str, Any]]]


@pytest.fixture(scope="module", params=LAYERS)
def traced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """A layer with nine offsets, and the events of its trace."""
    geometry, how = LAYERS[request.param]
    plan = plan_layer(distinct_points(geometry, 50, seed=3), cube(3, 3)[9:18], geometry, **how)
    file = tmp_path_factory.mktemp("mapping") / "run.json"
    record_layer(plan, Records(trace=file), name="layer", viewer=None, simulator=Simulator.VERILATOR, seed=0)
    return plan, events_of(file)


def of_job(events: list[dict[str, Any]], track: str, job: int) -> list[dict[str, Any]]:
    return [event for event in of_track(events, "Mapping unit", track) if event["args"]["job"] == job]


def test_cycles_are_those_of_the_models(traced: Traced) -> None:
    """Of each job, and each of its cycles has one pass and one state of the merger."""
    plan, events = traced
    jobs = of_track(events, "Mapping unit", "jobs")
    assert [job["dur"] for job in jobs] == list(plan.cycles)
    assert [job["cat"] for job in jobs] == len(plan.sorts) * ["sort"] + len(plan.maps) * ["map"]
    for number, job in enumerate(jobs):
        for track in ("passes", "merger"):
            own = of_job(events, track, number)
            assert sum(event["dur"] for event in own) == job["dur"], track
            assert own[0]["ts"] == job["ts"]
    states = of_track(events, "Mapping unit", "merger")
    assert {event["cat"] for event in states} <= {"block", "stalled", "waiting"}
    assert cycles_of(states, "block") > len(plan.moves)


def test_sorts_store_their_lists(traced: Traced) -> None:
    """A sort begins with its words, and its last pass stores as many keys as the list has."""
    plan, events = traced
    for number, sort in enumerate(plan.sorts):
        passes = of_job(events, "passes", number)
        assert passes[0]["cat"] == "presort"
        assert [event["args"]["merge"] for event in passes[1:]] == list(range(1, len(passes)))
        stored = [event for event in of_job(events, "sorted keys", number) if event["ts"] >= passes[-1]["ts"]]
        assert sum(event["args"]["keys"] for event in stored) == len(sort.found)


def test_maps_have_their_offsets_blocks_and_triples(traced: Traced) -> None:
    """Each offset in turn reads both lists in whole; the triples are those of the golden model."""
    plan, events = traced
    parts = []
    for number, part in enumerate(plan.maps, len(plan.sorts)):
        offsets = [event["args"]["offset"] for event in of_job(events, "passes", number)]
        assert offsets == list(range(len(plan.moves[part.start : part.stop])))
        for track, keys in (("list a", plan.outputs.found), ("list b", plan.inputs.found)):
            read = sum(event["args"]["entries"] for event in of_job(events, track, number))
            assert read == len(offsets) * len(keys), track
        rows = [one for event in of_job(events, "triples", number) for one in event["args"]["triples"]]
        parts.append(np.array(rows, np.int64).reshape(-1, 3))
    assert np.array_equal(joined_triples(plan, parts), plan.triples)
