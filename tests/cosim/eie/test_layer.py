"""`zeroskip layer`: a layer made elsewhere, against its float product; and what is wrong with a file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.traces import cycles_of, events_of, of_track
from support.viewers import RECORDED, require_recorded, run_of

import zeroskip.cli

Layer = Callable[..., tuple[int, str, str]]


def arrays(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    codes = rng.integers(1, 16, (70, 200)).astype(np.uint8)
    codes[rng.random(codes.shape) > 0.2] = 0
    made = {
        "codebook": np.append(0, 0.02 * rng.normal(size=15)).astype(np.float32),
        "codes": codes,
        "activations": np.maximum(rng.normal(size=200), 0).astype(np.float32),
        "bias": (1 + 0.3 * rng.normal(size=70)).astype(np.float32),
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Layer:
    def run(contents: dict[str, Any], *arguments: object) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        np.savez(tmp_path / "layer.npz", **contents)
        monkeypatch.setattr(sys, "argv", ["zeroskip", "layer", "layer.npz", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            zeroskip.cli.main()
        captured = capsys.readouterr()
        return int(exit_.value.code or 0), captured.out, captured.err

    return run


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("balance_load", ["--balance", "--no-balance"])
def test_outputs(layer: Layer, tmp_path: Path, bias: bool, balance_load: str) -> None:
    """What is printed, what is written and a product in floating point agree."""
    contents = arrays() if bias else arrays(bias=None)
    code, out, err = layer(contents, "--pes", 4, "--output", "out.npz", "--json", balance_load)
    assert code == 0, err
    result = json.loads(out)
    assert (result["mismatches"], result["cycle_model_equal"], result["within_bound"]) == (0, True, True)
    expected = contents["codebook"][contents["codes"]].astype(float) @ contents["activations"].astype(float)
    expected = expected + contents.get("bias", 0)
    saved = np.load(tmp_path / "out.npz")
    assert np.abs(saved["outputs"] - expected).max() == pytest.approx(result["max_difference"])
    assert result["max_difference"] <= result["bound"] < 0.05
    assert saved["raw"].dtype == np.int16
    assert result["outputs"] == saved["outputs"].tolist()
    assert result["cycles"] == int(saved["cycles"])
    assert result["argmax"] == int(np.argmax(expected))


def test_where_the_cycles_went(layer: Layer) -> None:
    """Every cycle of every PE has one cause, and those with work are the weights that meet an input."""
    contents = arrays(bias=None)
    code, out, err = layer(contents, "--pes", 4, "--json")
    assert code == 0, err
    result = json.loads(out)
    causes = result["pe_cycles"]
    assert list(causes) == ["busy", "padding", "stalled", "starved", "draining", "start"]
    assert min(causes.values()) >= 0
    assert sum(causes.values()) == 4 * result["cycles"]
    met = np.count_nonzero(contents["codes"][:, contents["activations"] > 0.001])
    assert causes["busy"] == met
    assert causes["start"] == 4
    assert result["utilisation"] == pytest.approx(causes["busy"] / (4 * result["cycles"]))
    _, out, _ = layer(contents, "--pes", 4)
    share = causes["busy"] / (4 * result["cycles"])
    assert re.search(rf"cycles of all PEs +.*busy {share:.1%}, padding ", out)
    largest = result["argmax"]
    assert re.search(rf"largest output +.*number {largest}, {result['outputs'][largest]:.6g}", out)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codebook": None}, "must have the key 'codebook', but has codes, activations, bias"),
        ({"codebook": np.ones(16, np.float32)}, "'codebook' must start with zero, not 1.0"),
        ({"codebook": np.zeros(15, np.float32)}, "'codebook' must be float32 of (16,), not float32 of (15,)"),
        ({"codebook": np.zeros(16)}, "'codebook' must be float32 of (16,), not float64 of (16,)"),
        ({"codes": np.full((70, 200), 16, np.uint8)}, "'codes' must be at most 15, not 16"),
        ({"codes": np.zeros((70, 200), int)}, "'codes' must be uint8 of outputs x inputs, not int64 of (70, 200)"),
        ({"codes": np.zeros(70, np.uint8)}, "'codes' must be uint8 of outputs x inputs, not uint8 of (70,)"),
        ({"activations": np.full(200, np.nan, np.float32)}, "'activations' must be finite, not nan at 0"),
        ({"activations": np.zeros(199, np.float32)}, "'activations' must be float32 of (200,), not float32 of (199,)"),
        ({"bias": np.zeros(71, np.float32)}, "'bias' must be float32 of (70,), not float32 of (71,)"),
        ({"codes": np.array([{}])}, "must be a complete .npz file of plain arrays, but: Object arrays cannot"),
    ],
)
def test_refuses(layer: Layer, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    code, out, err = layer(arrays(**changes), "--output", "out.npz")
    assert (code, out) == (1, "")
    assert message in err
    assert re.fullmatch(r"error: layer\.npz: [^\n]*\n", err)
    assert not (tmp_path / "out.npz").exists()


def test_what_does_not_fit(layer: Layer) -> None:
    code, _, err = layer(arrays(), "--pes", 1, "--entry-words", 128, "--word-bits", 64)
    assert code == 1
    assert re.search(
        r"entry_words is 128 and (\d+) are needed, \d+ too few \(\d+ entries in PE 0\); entry_words = 512 would hold "
        r"it \(the smallest geometry: entry_words 512, pointers 256, activation_rows 256, layers 1\)",
        err,
    )
    assert "word_bits must be a multiple of the 8 bits of an entry, not 60" in layer(arrays(), "--word-bits", 60)[2]


def test_records(layer: Layer, tmp_path: Path) -> None:
    """A waveform with its sessions, a trace, and a page, all of the cycles that were counted."""
    code, out, err = layer(arrays(), "--pes", 4, *RECORDED, "--json")
    assert code == 0, err
    result = json.loads(out)
    require_recorded(result, tmp_path)
    run, shown = run_of(tmp_path / "run.html")
    assert (run["title"], len(shown["layer"])) == ("layer.npz", result["cycles"])
    events = events_of(tmp_path / "run.json")
    assert cycles_of(of_track(events, "Control unit", "starts"), "start") == result["cycles"]


def test_records_that_are_none(layer: Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before the simulation: names of other files, and runs that are too long for the page."""
    monkeypatch.setattr("zeroskip.cosim.eie.viewer.MOST_PE_CYCLES", 40)
    for arguments, message in (
        (("--trace", "run.txt"), "trace must end in .json, not '.txt'"),
        (("--waves", "layer.npz"), "waves must end in .fst or .vcd"),
        (("--viewer", "run.html"), "at most 10 cycles with this geometry, and the layer takes "),
    ):
        code, _, err = layer(arrays(), "--pes", 4, *arguments)
        assert code == 1
        assert message in " ".join(err.split())
    assert [file.name for file in tmp_path.iterdir()] == ["layer.npz"]
