"""The page of a run: its data are those of the trace and of the models, and it loads nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.browser import needs_chromium
from support.networks import random_inputs, random_network
from support.traces import cycles_of, events_of, of_track
from support.viewers import number_of, run_of, step_through

from zeroskip.cosim.eie.trace import EieDecoder
from zeroskip.cosim.eie.viewer import EieViewer
from zeroskip.cosim.eie.viewer_arrays import BIAS, FULL, KINDS
from zeroskip.cosim.session import Recording
from zeroskip.cosim.verify import Verification, verify
from zeroskip.cosim.viewer.page import PARTS, write_viewer
from zeroskip.cosim.waves.decoder import write_trace
from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry

Made = tuple[EieNetwork, NDArray[np.int16], Verification, Path, dict[str, NDArray[Any]]]


@pytest.fixture(
    scope="module",
    params=[
        EieGeometry(pes=4, index_bits=2, queue_depth=1),
        EieGeometry(pes=16, index_bits=2, queue_depth=1, entries_per_word=2),
    ],
    ids=["4 PEs, short queues", "16 PEs behind hops"],
)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three images of a random network, one of them dense: a folder with trace and page, and the page's arrays."""
    folder = tmp_path_factory.mktemp("viewer")
    rng = np.random.default_rng(23)
    network = random_network(rng, request.param, (150, 40 * request.param.pes, 20), 0.1)
    inputs = random_inputs(rng, 3, 150, (0.3, 1.0, 0.05))
    verification = verify(network, inputs, recording=Recording(file=folder / "run.vcd", format="vcd"))
    write_trace(folder / "run.json", folder / "run.vcd", EieDecoder(network.geometry))
    viewer = EieViewer(network, inputs)
    write_viewer(folder / "run.html", folder / "run.vcd", viewer, title="</script>", of="3 samples")
    _, flat = run_of(folder / "run.html")
    pes, entries = network.geometry.pes, network.geometry.entries_per_word
    length = len(flat["layer"])
    arrays = {name: a.reshape(length, pes) if len(a) == length * pes else a for name, a in flat.items()}
    for name in ("codes", "skips", "is_weight"):
        arrays[name] = flat[name].reshape(-1, entries)
    return network, inputs, verification, folder, arrays


def test_cycles_are_those_of_the_run_and_of_the_models(made: Made) -> None:
    network, inputs, verification, _, arrays = made
    assert np.bincount(arrays["start"]).tolist() == verification.cycles.tolist()
    assert EieViewer(network, inputs).cycles() == len(arrays["layer"])
    for layer in range(2):
        assert (arrays["layer"] == layer).sum() == verification.run.cycles.by_layer[:, layer].sum()


def test_activities_are_those_of_the_player_and_of_the_trace(made: Made) -> None:
    """Of each PE: the player's counts of all layers, and the trace's of each."""
    network, _, verification, folder, arrays = made
    kinds = arrays["activity"] & (FULL - 1)
    counts = np.array([(kinds == kind).sum(axis=0) for kind in range(1, len(KINDS))])
    assert np.array_equal(counts.T, verification.run.activity)
    events = events_of(folder / "run.json")
    for pe in range(network.geometry.pes):
        track = of_track(events, "PEs", f"PE {pe}")
        for layer in range(2):
            of_layer = [event for event in track if event["args"]["layer"] == layer]
            found = np.bincount(kinds[arrays["layer"] == layer, pe], minlength=len(KINDS))
            assert found[1:].tolist() == [cycles_of(of_layer, kind) for kind in KINDS[1:]]


def test_stalls_have_causes(made: Made) -> None:
    network, _, _, _, arrays = made
    full = arrays["activity"] >= FULL
    assert np.array_equal(full.any(axis=1), arrays["blocked"] == 1)
    late = 1 + network.geometry.hops
    blocked = np.flatnonzero(arrays["blocked"])
    assert len(blocked)
    assert np.array_equal(full[blocked], arrays["level"][blocked - late] >= network.geometry.queue_full)


def test_queues_hold_the_columns_that_the_network_has(made: Made) -> None:
    """Columns in the order of the broadcasts, with the PE's entries; the level is what came in less what went out."""
    network, inputs, _, _, arrays = made
    layers = golden.run(network, inputs)
    sent = arrays["broadcast"][arrays["broadcast"] >= 0]
    assert sent.tolist() == list(range(len(arrays["column"])))
    of_layer = arrays["layer"][arrays["broadcast"] >= 0]
    bias = np.array([layer.inputs for layer in network.layers])[of_layer]
    columns = np.where(arrays["column"] == BIAS, bias, arrays["column"])
    pointers = np.array(network.pointer_bases)[of_layer] + columns
    for index, layer in enumerate(layers):
        real = (of_layer == index) & (arrays["column"] != BIAS)
        assert np.array_equal(arrays["activation"][real], layer.inputs[layer.inputs != 0])
    for pe in range(network.geometry.pes):
        entries = network.pointers[pe, pointers + 1].astype(int) - network.pointers[pe, pointers]
        come = slice(*arrays["columns_of"][pe : pe + 2])
        assert np.array_equal(arrays["column_broadcast"][come], np.flatnonzero(entries))
        assert np.array_equal(arrays["column_entries"][come], entries[entries > 0])
        levels = arrays["level"][:, pe].astype(int)
        popped = arrays["popped"][:, pe].astype(int)
        assert (np.diff(levels + popped) >= 0).all()
        assert (levels + popped)[-1] == popped[-1] == come.stop - come.start


def test_entries_are_those_of_the_network_and_sums_follow_them(made: Made) -> None:
    """Each entry stands in a word of its column as the weight that it is, and four cycles later its product has been
    added to its row's sum, from zero at the beginning of a layer."""
    network, _, _, _, arrays = made
    books = np.array([network.codebooks[layer] for layer in range(2)])
    issued = np.argwhere(arrays["activity"] & (FULL - 1) == KINDS.index("entry"))
    assert (arrays["sum_row"] >= 0).sum() == len(issued)
    sums: dict[tuple[int, int, int, int], int] = {}
    for cycle, pe in issued:
        layer, start = int(arrays["layer"][cycle]), int(arrays["start"][cycle])
        word, place = arrays["word"][cycle, pe] - 1, arrays["place"][cycle, pe]
        assert arrays["is_weight"][word, place]
        weight = int(arrays["weight"][cycle, pe])
        assert weight == books[layer, arrays["codes"][word, place]]
        activation = int(arrays["activation"][arrays["column_broadcast"][arrays["word_column"][word]]])
        row = int(arrays["row"][cycle, pe])
        key = (start, layer, int(pe), row)
        sums[key] = sums.get(key, 0) + weight * activation
        assert arrays["sum_row"][cycle + 4, pe] == row
        assert arrays["sum"][cycle + 4, pe] == sums[key]


@needs_chromium
def test_the_page_steps_through_the_sums_in_a_browser(made: Made) -> None:
    """With the keys, as a user steps: in each cycle the texts of the sums are what the array wrote."""
    *_, folder, arrays = made
    seen = step_through(folder / "run.html", {"sums": ".sum .value > span:first-child", "caption": "#caption"})
    assert seen[0]["caption"] == ["The array takes the start."]
    assert len(seen) == len(arrays["layer"])
    for cycle, texts in enumerate(seen):
        rows, sums = arrays["sum_row"][cycle], arrays["sum"][cycle]
        expected = [None if row < 0 else number for row, number in zip(rows, sums.tolist(), strict=True)]
        assert [None if text == "\u2013" else number_of(text) for text in texts["sums"]] == expected


def test_the_page_loads_nothing(made: Made) -> None:
    """No address, no script or style from elsewhere; and a name cannot end the script that holds the data."""
    page = (made[3] / "run.html").read_text()
    assert not re.search(r"https?://|<link[^>]+stylesheet|<script[^>]+src=|@import|url\(|fetch\(|XMLHttpRequest", page)
    assert run_of(made[3] / "run.html")[0]["title"] == "</script>"
    assert page.count("</script>") == 2


@pytest.mark.parametrize("file", [*PARTS, *EieViewer.parts], ids=lambda path: path.name)
def test_each_part_stands_in_the_page(made: Made, file: Path) -> None:
    assert file.read_text() in (made[3] / "run.html").read_text()
