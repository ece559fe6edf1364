"""The page of a layer on the mapping unit: what passes are the lists of the plan, and what is found is its map."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.browser import needs_chromium
from support.point_clouds import cube, distinct_points
from support.viewers import run_of, step_through

from zeroskip.cosim.mapping.record import record_layer, viewer_of
from zeroskip.cosim.mapping.viewer_arrays import NONE, PHASES
from zeroskip.cosim.records import Records
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList
from zeroskip.model.mapping.keys import unpack
from zeroskip.model.mapping.layer import LayerPlan, plan_layer

LAYERS = {
    "4 keys a cycle": (MapperGeometry(width=4), {}),
    "1 key a cycle, strided": (MapperGeometry(width=1, words=256, offsets=27), {"strides": (2, 2, 2)}),
}

Made = tuple[LayerPlan, Path, dict[str, NDArray[Any]]]


@pytest.fixture(scope="module", params=LAYERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A layer with nine offsets, its page, and the page's arrays."""
    geometry, how = LAYERS[request.param]
    points = distinct_points(geometry, 50, seed=3)
    plan = plan_layer(points, cube(3, 3)[9:18], geometry, **how)
    page = tmp_path_factory.mktemp("mapping") / "run.html"
    record_layer(
        plan, Records(viewer=page), name="layer", viewer=viewer_of(plan), simulator=Simulator.VERILATOR, seed=0
    )
    _, arrays = run_of(page)
    width, dims = geometry.width, geometry.dims
    arrays["coordinates"] = arrays["coordinates"].reshape(-1, width, 1 + dims)
    for name in ("index", "source", "absent"):
        arrays[name] = arrays[name].reshape(-1, width)
    arrays["triples"] = arrays["triples"].reshape(-1, 3)
    return plan, page, arrays


def entries(arrays: dict[str, NDArray[Any]], blocks: NDArray[Any]) -> list[list[int]]:
    """The entries that pass in these blocks, one after the other: coordinates, index and source."""
    found = arrays["absent"][blocks] == 0
    rows = np.concatenate(
        [arrays["coordinates"][blocks], arrays["index"][blocks][..., None], arrays["source"][blocks][..., None]], axis=2
    )
    return rows[found].astype(int).tolist()


def listed(plan: LayerPlan, keys: KeyList, source: int) -> list[list[int]]:
    points = unpack(keys.keys, plan.geometry)
    return [[*point, index, source] for point, index in zip(points.tolist(), keys.indices.tolist(), strict=True)]


def test_cycles_are_those_of_the_models(made: Made) -> None:
    """Each job with the cycle of `done`, in which its last values leave."""
    plan, _, arrays = made
    assert np.bincount(arrays["job"]).tolist() == [cycles + 1 for cycles in plan.cycles]
    assert viewer_of(plan).cycles() == len(arrays["job"])


def test_lists_of_the_map_pass_once_for_each_offset(made: Made) -> None:
    """List a is the outputs, moved by the offset, and list b the inputs; merged, they are in order."""
    plan, _, arrays = made
    mapped = arrays["phase"] == PHASES.index("map")
    inputs = listed(plan, plan.inputs.found, 0)
    b = arrays["b"][mapped & (arrays["b"] != NONE)]
    assert entries(arrays, b) == len(plan.moves) * inputs
    merged = entries(arrays, arrays["merged"][mapped & (arrays["merged"] != NONE)])
    each = len(inputs) + len(plan.outputs.found)
    for offset, move in enumerate(plan.offsets.tolist()):
        a = arrays["a"][mapped & (arrays["a"] != NONE) & (arrays["part"] == offset)]
        outputs = listed(plan, plan.outputs.found, 1)
        moved = [[point[0], *(c + d for c, d in zip(point[1:4], move, strict=True)), *point[4:]] for point in outputs]
        assert entries(arrays, a) == moved
        expected = sorted(inputs + moved, key=lambda point: (point[:4], point[5]))
        assert merged[offset * each : (offset + 1) * each] == expected


def test_triples_are_those_of_the_golden_model(made: Made) -> None:
    """In the order of the map, each found in its block, and all have left at the end."""
    plan, _, arrays = made
    assert np.array_equal(arrays["triples"], plan.triples)
    assert arrays["left"][-1] == len(plan.triples)
    given = np.flatnonzero(arrays["given"] != NONE)
    # The matcher gives in each cycle what it found in the block that it took in the one before.
    assert np.array_equal(arrays["taken"][given - 1], arrays["given"][given])
    for cycle in given:
        block = arrays["merged"][cycle - 1]
        first, end = arrays["first_triple"][arrays["given"][cycle] :][:2]
        for (_, _, output), slot in zip(arrays["triples"][first:end], arrays["slots"][first:end], strict=True):
            own = slice(2 * slot, 2 * slot + 2)
            assert output in arrays["index"][block][own][arrays["source"][block][own] == 1]


def test_sorts_end_with_the_lists_of_the_golden_model(made: Made) -> None:
    plan, _, arrays = made
    for job, sort in enumerate(plan.sorts):
        last = (arrays["job"] == job) & (arrays["part"] == arrays["part"][arrays["job"] == job].max())
        merged = entries(arrays, arrays["merged"][last & (arrays["merged"] != NONE)])
        points = list(dict.fromkeys(tuple(entry[:4]) for entry in merged))
        assert points == list(map(tuple, unpack(sort.found.keys, plan.geometry).tolist()))
        assert arrays["left"][last][-1] in (0, len(sort.found))


@needs_chromium
def test_the_page_steps_through_the_triples_in_a_browser(made: Made) -> None:
    """With the keys, as a user steps: the texts of the triples are the golden model's, in its order."""
    plan, page, arrays = made
    seen = step_through(page, {"triples": ".chips li", "caption": "#caption", "matched": ".merged .matched"})
    assert len(seen) == len(arrays["job"])
    assert seen[0]["caption"][0].startswith("The sequencer takes a job, sort of the ")
    texts = [text for cycle in seen for text in cycle["triples"]]
    assert texts == [f"{offset}, #{first}, #{second}" for offset, first, second in plan.triples.tolist()]
    for now, later in itertools.pairwise(seen):
        assert bool(now["matched"]) == bool(later["triples"])


def test_the_page_loads_nothing(made: Made) -> None:
    assert not re.search(r"https?://|<link[^>]+stylesheet|src=|@import|url\(|fetch\(", made[1].read_text())
