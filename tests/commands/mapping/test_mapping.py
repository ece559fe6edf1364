"""`zeroskip mapping` as a user runs it, and one clear error for what is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.point_clouds import cube, distinct_points, map_by_hand
from support.traces import events_of, of_track
from support.viewers import run_of

from zeroskip.cosim.session import Session
from zeroskip.model.mapping import layer
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.layer import plan_layer
from zeroskip.model.mapping.layer_npz import LayerFile, fitted_geometry

Command = Callable[..., tuple[int, str, str]]

CLOUD = distinct_points(MapperGeometry(), 300, seed=1)
OFFSETS = cube(3, 3)


def test_the_map_of_a_file(zs: Command, tmp_path: Path) -> None:
    """The file, the JSON and the exit code tell of the same map."""
    np.savez(tmp_path / "layer.npz", inputs=CLOUD, offsets=OFFSETS)
    code, out, err = zs("mapping", "layer.npz", "--json")
    assert code == 0, err
    result = json.loads(out)
    expected = map_by_hand(CLOUD, CLOUD, OFFSETS)
    assert (result["width"], result["inputs"], result["offsets"]) == (8, len(CLOUD), 27)
    assert (result["triples"], result["mismatches"], result["equal"]) == (len(expected), 0, True)
    assert result["model_equal"]
    # Each offset merges both lists, 8 keys a cycle.
    assert result["map_cycles"] == 27 * 2 * -(-len(CLOUD) // 8) + 21
    saved = np.load(tmp_path / "layer.map.npz")
    assert saved["triples"].tolist() == expected
    assert saved["outputs"][np.argsort(saved["output_rows"])].tolist() == CLOUD.tolist()
    assert saved["cycles"].tolist() == [*result["sort_cycles"], result["map_cycles"]]


def test_the_report_of_a_run(zs: Command, tmp_path: Path) -> None:
    """Each offset with its triples, the cycles, and the same bytes again."""
    np.savez(tmp_path / "layer.npz", inputs=CLOUD, offsets=OFFSETS)
    pages = []
    for _ in range(2):
        code, out, err = zs("mapping", "layer.npz", "--report", "map.html", "--json")
        assert code == 0, err
        pages.append((tmp_path / "map.html").read_text())
    assert pages[0] == pages[1]
    result = json.loads(out)
    assert result["report"] == "map.html"
    expected = map_by_hand(CLOUD, CLOUD, OFFSETS)
    for number, offset in enumerate(OFFSETS.tolist()):
        count = sum(triple[0] == number for triple in expected)
        name = f"({', '.join(map(str, offset))})"
        shown = f"{count:,} ({100 * count / len(CLOUD):.1f}%)"
        assert re.search(rf'{re.escape(name)}</span>.*?class="value">{re.escape(shown)}<', pages[0]), name
    for figure in (len(expected), result["cycles"], *result["sort_cycles"], result["map_cycles"]):
        assert f">{figure:,}<" in pages[0]
    assert "every number equals the golden model" in pages[0]


def test_output_and_report_are_two_files(zs: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "layer.npz", inputs=CLOUD, offsets=OFFSETS)
    code, _, err = zs("mapping", "layer.npz", "--output", "map", "--report", "map")
    assert code == 1
    assert "map" in err
    assert not (tmp_path / "map").exists()


def test_a_strided_layer_for_people(zs: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "layer.npz", inputs=CLOUD, offsets=OFFSETS, strides=[2, 2, 2])
    code, out, err = zs("mapping", "layer.npz", "--output", "map.npz")
    assert code == 0, err
    assert "0 mismatches" in out
    down = np.unique(np.column_stack([CLOUD[:, 0], CLOUD[:, 1:] // 2 * 2]), axis=0)
    assert np.load(tmp_path / "map.npz")["outputs"].tolist() == down.tolist()


def test_a_wrong_triple_is_told(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = layer.kernel_map

    def wrong(*arguments: Any) -> Any:
        triples = right(*arguments)
        triples[0, 1] ^= 1
        return triples

    monkeypatch.setattr(layer, "kernel_map", wrong)
    failed: list[range] = []
    monkeypatch.setattr(Session, "fail", lambda _, starts: failed.append(starts))
    np.savez(tmp_path / "layer.npz", inputs=CLOUD, offsets=OFFSETS)
    code, out, _ = zs("mapping", "layer.npz", "--json")
    assert code == 1
    result = json.loads(out)
    assert (result["mismatches"], result["equal"]) == (1, False)
    assert failed == [range(1, 2)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": None}, "the file must hold inputs and offsets, and may hold outputs or strides; missing: offsets"),
        ({"features": np.zeros(3)}, "missing: none, unknown: features"),
        ({"inputs": CLOUD.astype(float)}, "coordinates must be integers, not float64"),
        ({"inputs": CLOUD * np.nan}, "coordinates must be integers, not float64"),
        ({"inputs": CLOUD[:, 0]}, "coordinates must be points x 4"),
        ({"inputs": CLOUD[:, :1]}, "inputs must have a batch number and 1 to 4 coordinates, not 0 coordinates"),
        ({"inputs": np.concatenate([CLOUD, CLOUD[5:6]])}, "inputs must hold each point once, not the same in rows 5"),
        ({"outputs": CLOUD[[3, 3]]}, "outputs must hold each point once, not the same in rows 0 and 1"),
        ({"inputs": -CLOUD - 1}, "batch must be from 0 to 15, not -"),
        ({"offsets": OFFSETS[:, :2]}, "offsets must be count x 3"),
        ({"offsets": OFFSETS * np.nan}, "offsets must be integers, not float64"),
        ({"offsets": OFFSETS[:0]}, "offsets must be from 1 to 512, not 0"),
        ({"strides": np.array([2, 3, 2])}, "strides must be powers of two below 4096, not 3"),
        ({"strides": np.array([0.5])}, "strides must be one row of integers, not float64"),
        ({"strides": np.array([2, 2, 2]), "outputs": CLOUD}, "outputs and strides must not both be given"),
        ({"inputs": CLOUD * [1, 1, 1, 1_000_000]}, "coordinates must be from"),
        ({"inputs": CLOUD * [100_000, 1, 1, 1]}, "batch must be from 0 to 65535, not"),
    ],
)
def test_wrong_files_are_refused(zs: Command, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    arrays = {"inputs": CLOUD, "offsets": OFFSETS, **changes}
    np.savez(tmp_path / "layer.npz", **{name: array for name, array in arrays.items() if array is not None})
    code, out, err = zs("mapping", "layer.npz", "--json")
    assert (code, out) == (1, "")
    assert err.startswith("error: layer.npz: ")
    assert message in err


def test_coordinates_that_are_too_large_are_refused_with_what_to_do(zs: Command, tmp_path: Path) -> None:
    """The range in the message is the range: its ends run, one more does not."""
    points = np.array([[0, 2_000_000, 5, 5], [0, 2_000_001, 5, 5]])
    np.savez(tmp_path / "layer.npz", inputs=points, offsets=OFFSETS)
    code, _, err = zs("mapping", "layer.npz")
    assert code == 1
    found = re.search(
        r"must be from (-\d+) to (\d+), the widest range that fits a key here, not from 5 to 2000001", err
    )
    assert found is not None, err
    assert "subtract the least coordinate of each axis" in err
    assert "larger voxels" in err
    assert "coordinate_bits" not in err
    low, high = map(int, found.groups())
    for end, beyond in ((low, low - 1), (high, high + 1)):
        file = LayerFile(inputs=np.array([[0, end, 0, 0]]), offsets=OFFSETS, outputs=None, strides=None)
        assert fitted_geometry(file, width=4).lowest <= end <= fitted_geometry(file, width=4).highest
        with pytest.raises(ValueError, match=f"not from {min(beyond, 0)} to {max(beyond, 0)}"):
            fitted_geometry(dataclasses.replace(file, inputs=np.array([[0, beyond, 0, 0]])), width=4)


def test_a_wrong_width_is_refused(zs: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "layer.npz", inputs=CLOUD, offsets=OFFSETS)
    code, _, err = zs("mapping", "layer.npz", "--width", 6)
    assert code == 1
    assert err == "error: width must be a power of two from 1 to 64, not 6\n"


def test_the_unit_runs_no_networks(zs: Command) -> None:
    code, _, err = zs("compile", "mynet:Net", "--data", "data.npz", "--output", "net.zs", "--core", "mapping")
    assert code != 0
    assert "mapping" in err


@pytest.mark.parametrize("dims", [1, 2, 3, 4])
@pytest.mark.parametrize("spread", [5, 4000, 100_000])
def test_the_unit_fits_the_points(dims: int, spread: int) -> None:
    """Four large coordinates do not fit a key, and are refused."""
    rng = np.random.default_rng(dims)
    points = np.unique(
        np.column_stack([rng.integers(0, 40, 50), rng.integers(-spread, spread + 1, (50, dims))]), axis=0
    )
    file = LayerFile(inputs=points, offsets=20 * cube(3, dims), outputs=None, strides=None)
    if spread == 100_000 and dims > 3:
        with pytest.raises(ValueError, match="coordinates must be from"):
            fitted_geometry(file, width=4)
    else:
        geometry = fitted_geometry(file, width=4)
        assert geometry.dims == dims
        assert plan_layer(points, file.offsets, geometry).triples.tolist() == map_by_hand(points, points, file.offsets)


def test_the_viewer_of_a_run(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page beside the map; and one that would be too long, or is the report, is refused before the run."""
    np.savez(tmp_path / "layer.npz", inputs=CLOUD[:40], offsets=OFFSETS[:3])
    code, out, err = zs("mapping", "layer.npz", "--viewer", "run.html", "--width", 4, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["viewer"] == "run.html"
    run, arrays = run_of(tmp_path / "run.html")
    assert (run["title"], run["of"]) == ("layer.npz", "40 points")
    # The page shows the cycle of `done` of each job, too.
    assert len(arrays["job"]) == result["cycles"] + 2
    assert len(arrays["triples"]) == 3 * result["triples"]
    assert (result["waves"], result["trace"], result["sessions"]) == (None, None, [])
    monkeypatch.setattr("zeroskip.cosim.mapping.viewer.MOST_BYTES", 0)
    for arguments, message in (
        (("--viewer", "other.html"), "at most 0 cycles with this geometry, and the layer takes "),
        (("--viewer", "one.html", "--report", "one.html"), "viewer and report must be different files"),
    ):
        code, _, err = zs("mapping", "layer.npz", "--width", 4, *arguments)
        assert code == 1
        assert message in " ".join(err.split())
    assert not [*tmp_path.glob("o*.html")]


def test_waveform_and_trace_of_a_run(zs: Command, tmp_path: Path) -> None:
    """Both beside the map, with the sessions; the waveform of a failure keeps its name."""
    np.savez(tmp_path / "layer.npz", inputs=CLOUD[:40], offsets=OFFSETS[:3])
    run = ("mapping", "layer.npz", "--width", 4, "--trace", "run.json", "--waves")
    code, out, err = zs(*run, "run.vcd", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["sessions"] == ["run.gtkw", "run.sucl"]
    jobs = of_track(events_of(tmp_path / "run.json"), "Mapping unit", "jobs")
    assert [job["dur"] for job in jobs] == [*result["sort_cycles"], result["map_cycles"]]
    size = (tmp_path / "run.vcd").stat().st_size
    assert size > 10_000
    code, _, err = zs(*run, "part.vcd", "--from-cycle", 5, "--cycles", 10)
    assert code == 0, err
    assert (tmp_path / "part.vcd").stat().st_size < size
    code, _, err = zs(*run, "layer.map.vcd")
    assert code == 1
    assert "waves must be another file than layer.map.vcd, which would show a failure" in " ".join(err.split())
