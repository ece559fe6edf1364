"""`zeroskip bench sparseconv` on small scenes: its figures, its tables, and what makes it fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib import image

from zeroskip.api.sparseconv import bench
from zeroskip.api.sparseconv.bench import SparseconvBenchResult, SparseconvBenchSettings, bench_sparseconv
from zeroskip.model.sparseconv.bench import measure, scenes


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    surface = scenes.surface

    def scan(name: str) -> Any:
        raise RuntimeError("no index here")

    for module in (scenes, measure):
        monkeypatch.setattr(module, "surface", lambda voxels=64: surface(min(voxels, 100)))
    monkeypatch.setattr(scenes, "scan", scan)
    monkeypatch.setattr(bench, "_GROWTH", (64, 100))
    monkeypatch.setattr("zeroskip.model.sparseconv.bench.groupings.SIZES", (64,))


@pytest.mark.usefixtures("small")
def test_all_parts(tmp_path: Path) -> None:
    """Every part has its rows and its table, and what could not be had is named."""
    settings = SparseconvBenchSettings(channels=(4, 4), repeats=1, widths=(4,))
    result = bench_sparseconv(settings=settings, picture=tmp_path / "bench.png")
    assert image.imread(tmp_path / "bench.png").shape == (round(3.4 * 150) * 4, 1500, 4)
    figures = json.loads(json.dumps(result.summary()))
    assert result.equal
    assert figures["deterministic"]
    assert {name: figures["missing"][name] for name in ("street", "autzen")} == dict.fromkeys(
        ("street", "autzen"), "no index here"
    )
    assert [row["name"] for row in figures["scenes"]] == ["surface", "shuffled"]
    assert figures["network"]["error"] < 1e-5
    assert [row["voxels"] for row in figures["growth"]] == [64, 100]
    assert [(row["scene"], row["width"], row["equal"]) for row in figures["mapping_unit"]] == [("surface", 4, True)]
    assert len(result.tables()) == 5
    assert all(len(row) == len(table.heads) for table in result.tables() for row in table.rows)
    assert result.notes()[0] == "street is left out: no index here"


@pytest.mark.parametrize(
    "wrong",
    [
        {"deterministic": False},
        {"network": {"error": 1e-3}},
        {"network": {"error": float("nan")}},
        {"scenes": [{"equal": False}]},
        {"mapping_unit": [{"equal": True, "model_equal": False}]},
        {"mapping_unit": [{"equal": False, "model_equal": True}]},
    ],
)
def test_what_makes_it_fail(wrong: dict[str, Any]) -> None:
    right = {"deterministic": True, "scenes": [{"equal": True}], "mapping_unit": [{"equal": True, "model_equal": True}]}
    assert SparseconvBenchResult(figures=right).equal
    assert not SparseconvBenchResult(figures=right | wrong).equal


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"parts": ("speed",)}, "parts must be some of scenes, network, grouping, growth, mapping, not 'speed'"),
        ({"scenes": ("kitti",)}, "scenes must be some of surface, shuffled, street, autzen, not 'kitti'"),
        ({"channels": (0, 4)}, "channels must be at least 1, not 0"),
        ({"repeats": 0}, "repeats must be at least 1, not 0"),
        ({"device": "tpu"}, "device must be one of cpu, cuda, not 'tpu'"),
        ({"widths": (3,)}, "widths must be powers of two from 1 to 64, not 3"),
    ],
)
def test_wrong_settings(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SparseconvBenchSettings(**fields)


def test_wrong_widths_of_the_command(zs: Any) -> None:
    code, _, err = zs("bench", "sparseconv", "--widths", "8,x")
    assert (code, "widths must be numbers, separated by commas, not 'x'" in err) == (1, True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu() -> None:
    with pytest.raises(ValueError, match="device must be cpu where torch sees no GPU, not cuda"):
        bench_sparseconv(settings=SparseconvBenchSettings(device="cuda"))
