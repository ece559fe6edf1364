"""The sweeps: counts equal to counting one by one, laws that the exact cycle model must keep, and the command."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from zeroskip.cli import make_app
from zeroskip.model.eie.format import encode
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.paper_layers import PAPER_LAYERS
from zeroskip.model.eie.shared import SharedLayer
from zeroskip.model.eie.sweep_page import page
from zeroskip.model.eie.sweeps import (
    ENCODINGS,
    ENTRIES_PER_WORD,
    PAPER,
    SWEEPS,
    Encoding,
    Row,
    measure,
    reads,
    steps,
    sweep,
)

BUILT = Encoding(PAPER.pes, PAPER.index_bits)
SMALLEST = next(layer for layer in PAPER_LAYERS if layer.name == "NT-LSTM")


@pytest.fixture(scope="module")
def layer() -> tuple[SharedLayer, np.ndarray]:
    rng = np.random.default_rng(11)
    codebook = np.concatenate([[0], rng.normal(size=15)]).astype(np.float32)
    codes = rng.integers(1, 16, (1500, 90), np.uint8)
    codes[rng.random(codes.shape) > 0.06] = 0
    activations = rng.uniform(0.1, 1, 90).astype(np.float32)
    activations[rng.random(90) > 0.6] = 0
    return SharedLayer(codebook=codebook, weight_codes=codes, bias_codes=None, relu=True), activations


@pytest.fixture(scope="module")
def rows(layer: tuple[SharedLayer, np.ndarray]) -> dict[str, list[Row]]:
    """All rows of the layer, as `sweep` puts them together."""
    parts = [measure(*layer, encoding) for encoding in ENCODINGS]
    return {name: [row for part in parts for row in part[name]] for name in SWEEPS}


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    calls = []
    swept = sweep([SMALLEST], seed=3, advance=lambda: calls.append(1))
    assert len(calls) == steps([SMALLEST])
    return swept


def test_every_sweep_has_the_points_that_it_promises(rows: dict[str, list[Row]]) -> None:
    octaves = {1 << n for n in range(9)}
    assert {row["queue_depth"] for row in rows["queue_depth"]} == octaves
    assert {row["pes"] for row in rows["pes"]} == octaves
    assert {row["word_bits"] for row in rows["word_bits"]} == {32, 64, 128, 256, 512}
    assert {row["index_bits"] for row in rows["index_bits"]} == set(range(2, 9))
    assert [len(rows[name]) for name in SWEEPS] == [9, 5, 9, 7]


@pytest.mark.parametrize("entries_per_word", ENTRIES_PER_WORD)
@pytest.mark.parametrize("pes", [1, 16])
def test_reads_are_those_that_counting_word_by_word_finds(
    layer: tuple[SharedLayer, np.ndarray], pes: int, entries_per_word: int
) -> None:
    shared, activations = layer
    columns = encode(shared.weight_codes, EieGeometry(pes=pes))
    words = set()
    for pe in range(pes):
        for column in np.flatnonzero(activations):
            for entry in range(columns.pointers[pe, column], columns.pointers[pe, column + 1]):
                words.add((pe, int(column), entry // entries_per_word))
    assert reads(columns.pointers, activations != 0, entries_per_word) == len(words)


def test_a_word_without_entries_of_an_active_column_is_not_read() -> None:
    pointers = np.array([[0, 0, 8, 8, 9], [0, 9, 9, 17, 17]])
    assert reads(pointers, np.array([True, True, False, True]), 8) == (0 + 1 + 1) + (2 + 0 + 0)
    assert reads(pointers, np.zeros(4, bool), 8) == 0


def test_utilisation_and_real_work_count_weights_of_active_columns(
    layer: tuple[SharedLayer, np.ndarray], rows: dict[str, list[Row]]
) -> None:
    shared, activations = layer
    work = sum(1 for j in np.flatnonzero(activations) for code in shared.weight_codes[:, j] if code)
    for row in rows["pes"]:
        assert row["utilisation"] == work / (row["pes"] * row["cycles"])
        assert row["real_work"] == work / row["entries"]
        assert row["entries"] >= work
    for row in rows["queue_depth"]:
        assert row["utilisation"] == work / (PAPER.pes * row["cycles"])


def test_deeper_queues_and_more_pes_never_take_more_cycles(rows: dict[str, list[Row]]) -> None:
    for name in ("queue_depth", "pes"):
        cycles = [row["cycles"] for row in sorted(rows[name], key=lambda row: row[name])]
        assert cycles == sorted(cycles, reverse=True)
    assert rows["queue_depth"][-1]["utilisation"] > rows["queue_depth"][0]["utilisation"]


def test_sweeps_agree_where_they_meet(rows: dict[str, list[Row]]) -> None:
    deep = next(row for row in rows["queue_depth"] if row["queue_depth"] == PAPER.queue_depth)
    wide = next(row for row in rows["pes"] if row["pes"] == PAPER.pes)
    assert deep["cycles"] == wide["cycles"]


def test_fewer_reads_of_more_bits_in_wider_words(rows: dict[str, list[Row]]) -> None:
    words = rows["word_bits"]
    for narrow, wide in itertools.pairwise(words):
        assert narrow["reads"] >= wide["reads"] >= narrow["reads"] / 2
        assert wide["bits_read"] == wide["reads"] * wide["word_bits"] >= narrow["bits_read"]


def test_storage_is_the_sum_of_its_parts(layer: tuple[SharedLayer, np.ndarray], rows: dict[str, list[Row]]) -> None:
    shared, _ = layer
    weights = int(np.count_nonzero(shared.weight_codes))
    for row in rows["index_bits"]:
        bits = row["index_bits"]
        columns = encode(shared.weight_codes, EieGeometry(pes=PAPER.pes, index_bits=bits))
        counts = columns.pointers[:, -1]
        assert row["entries"] == counts.sum() == row["padding"] + weights
        assert row["weights_bits"] == weights * (bits + 4)
        stored = sum(-(-int(count) // 8) for count in counts) * 8 * (bits + 4)
        assert row["weights_bits"] + row["padding_bits"] == stored
        assert row["total_bits"] == stored + row["pointers_bits"]
    padding = {row["index_bits"]: row["padding"] for row in rows["index_bits"]}
    assert [padding[bits] for bits in sorted(padding)] == sorted(padding.values(), reverse=True)


def test_speed_up_is_over_one_pe_and_at_most_linear(result: dict[str, Any]) -> None:
    speedups = {row["pes"]: row["speedup"] for row in result["pes"]}
    assert speedups[1] == 1
    assert all(speedup <= pes for pes, speedup in speedups.items())


def test_rows_of_a_sweep_are_ordered_and_name_their_layer(result: dict[str, Any]) -> None:
    for name in SWEEPS:
        assert all(row["layer"] == SMALLEST.name for row in result[name])
        assert [row[name] for row in result[name]] == sorted(row[name] for row in result[name])
        # Of one layer, the geometric mean is the layer itself.
        for row, mean in zip(result[name], result["geomean"][name], strict=True):
            assert all(row[field] == pytest.approx(value) for field, value in mean.items())


def test_processes_change_nothing(result: dict[str, Any]) -> None:
    assert sweep([SMALLEST], seed=3, processes=2) == result


def test_no_layer_is_an_error() -> None:
    with pytest.raises(ValueError, match="layers must be at least one"):
        sweep([], seed=0)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(make_app(), ["sweep", "eie", *arguments])


def test_the_command_writes_data_plots_and_page(tmp_path: Path, result: dict[str, Any]) -> None:
    """All that one run writes, in one test because a run takes seconds; and a second run writes the same."""
    output = tmp_path / "plots"
    arguments = ["--layers", "nt-lstm", "--seed", "3", "--output", str(output), "--processes", "1", "--json"]
    told = run(*arguments)
    assert told.exit_code == 0
    summary = json.loads(told.stdout)
    written = {path: Path(path).read_bytes() for path in summary["written"]}
    assert json.loads((output / "sweeps.json").read_text()) == result == {key: summary[key] for key in result}
    plots = sorted(output.glob("*.svg"))
    assert len(plots) == 6
    text = (tmp_path / "plots.md").read_text()
    assert text == page(result, "plots")
    for plot in plots:
        assert ET.parse(plot).getroot().tag.endswith("svg")
        assert f"(plots/{plot.name})" in text

    assert run(*arguments).exit_code == 0
    assert {path: Path(path).read_bytes() for path in written} == written


def test_an_unknown_layer_is_named(tmp_path: Path) -> None:
    told = run("--layers", "Alex-6,Alex-9", "--output", str(tmp_path))
    assert str(told.exception) == (
        "layers must be among Alex-6, Alex-7, Alex-8, VGG-6, VGG-7, VGG-8, NT-We, NT-Wd, NT-LSTM, not 'Alex-9'"
    )
