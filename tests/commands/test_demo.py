"""The demo, whole: what it promises is what comes out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import zeroskip.cli
from zeroskip.model.data.fashion import PACKAGE_FOLDER
from zeroskip.model.eie import bundle


def demo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["zeroskip", "demo", "--json", *arguments])
    with pytest.raises(SystemExit) as exit_:
        zeroskip.cli.main()
    captured = capsys.readouterr()
    assert exit_.value.code in (0, None), captured.err
    return json.loads(captured.out)


def test_digits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One run is expensive: its JSON, report and bundle agree, and a second run gives the same result."""
    result = demo(monkeypatch, capsys, "--output", str(tmp_path))
    assert (result["dataset"], result["images"], result["geometry"]["pes"]) == ("digits", 360, 8)
    assert (result["mismatches"], result["cycle_model_equal"]) == (0, True)
    accuracy = result["accuracy"]
    assert accuracy["dense"] > 0.95
    assert accuracy["hardware"] >= accuracy["dense"] - 0.01
    assert abs(accuracy["hardware"] - accuracy["shared"]) <= 0.005
    assert result["weights"]["ratio"] >= 10
    assert result["weights"]["total"] == 64 * 300 + 300 * 100 + 100 * 10
    cycles = result["cycles_per_image"]
    assert 0 < cycles["min"] <= cycles["mean"] <= cycles["max"]
    assert Path(result["report"]) == tmp_path / "report.html"
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert bundle.load(tmp_path / "network.zs").geometry.pes == 8

    # Again: the training is there already, and the result is the same.
    again = demo(monkeypatch, capsys, "--output", str(tmp_path))
    assert {**again, "seconds": 0} == {**result, "seconds": 0}


@pytest.mark.slow
@pytest.mark.skipif(not PACKAGE_FOLDER.exists(), reason="optional: apt-get install dataset-fashion-mnist")
def test_fashion_mnist(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = demo(monkeypatch, capsys, "--dataset", "fashion-mnist", "--output", str(tmp_path))
    assert (result["images"], result["mismatches"], result["cycle_model_equal"]) == (10_000, 0, True)
    assert result["weights"]["ratio"] >= 12
    assert result["accuracy"]["hardware"] >= 0.88


@pytest.mark.slow
@pytest.mark.skipif(not PACKAGE_FOLDER.exists(), reason="optional: apt-get install dataset-fashion-mnist")
def test_lenet_5(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One run takes minutes: accuracy, compression and cycles of all four layers are checked in it."""
    arguments = ("--dataset", "fashion-mnist", "--network", "lenet-5", "--output", str(tmp_path))
    result = demo(monkeypatch, capsys, *arguments)
    assert (result["images"], result["mismatches"], result["cycle_model_equal"]) == (500, 0, True)
    assert result["weights"]["total"] == 500 + 25_000 + 400_000 + 5_000
    assert result["weights"]["ratio"] >= 12
    assert result["accuracy"]["golden"] >= 0.89
    assert abs(result["accuracy"]["golden"] - result["accuracy"]["shared"]) <= 0.003
    assert len(result["cycles_by_layer"]) == 4
    mean = result["cycles_per_image"]["mean"]
    assert sum(result["cycles_by_layer"]) + 576 + 64 + 1 == pytest.approx(mean)


def test_lenet_5_takes_no_digits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["zeroskip", "demo", "--network", "lenet-5"])
    with pytest.raises(SystemExit) as exit_:
        zeroskip.cli.main()
    assert exit_.value.code == 1
    assert "dataset must be fashion-mnist for lenet-5, which takes 28x28 pixels" in capsys.readouterr().err


def test_fashion_mnist_without_the_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["zeroskip", "demo", "--dataset", "fashion-mnist", "--folder", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        zeroskip.cli.main()
    captured = capsys.readouterr()
    assert (exit_.value.code, captured.out) == (1, "")
    assert "apt-get install dataset-fashion-mnist" in captured.err
    assert list(tmp_path.iterdir()) == []
