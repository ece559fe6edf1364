"""`zeroskip.simulate` and `zeroskip.demo` as a notebook calls them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from support.viewers import run_of
from torch import nn

import zeroskip
from zeroskip.cosim.drivers import load_driver
from zeroskip.model.cores import CORES
from zeroskip.model.progress import Step


def small() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.normal(size=(count, 12)).astype(np.float32), rng.integers(0, 3, count)


def settings(core: str) -> zeroskip.CompileSettings:
    return zeroskip.CompileSettings(core=core, own=import_module(f"support.{core}_settings").SMALL)


@pytest.mark.parametrize("core", CORES)
def test_what_compile_returned(core: str) -> None:
    """Without files: outputs near those of torch, and progress before what takes long."""
    module, (inputs, labels) = small(), samples(20)
    compiled = zeroskip.compile(module, (inputs, labels), settings=settings(core))
    steps: list[Step] = []
    result = zeroskip.simulate(compiled, (inputs, labels), progress=steps.append)
    assert result.equal
    expected = module(torch.from_numpy(inputs)).detach().numpy()
    assert np.abs(result.outputs - expected).max() < 0.05 * np.abs(expected).max()
    assert (steps[-1].task, steps[-1].done, steps[-1].total) == ("running on the RTL", 20, 20)
    assert (result.summary()["core"], result.summary()["report"]) == (core, None)


@pytest.mark.parametrize("scale", [2e-5, 1e6])
@pytest.mark.parametrize("core", CORES)
def test_numbers_of_any_size_run_on_the_rtl(core: str, scale: float) -> None:
    """Scales that the formats need are in the layer table of the array, and around the products of the tile."""
    module, (inputs, labels) = small(), samples(5)
    with torch.no_grad():
        for layer in (module[0], module[2]):
            layer.bias.mul_(scale)
    inputs = inputs * np.float32(scale)
    compiled = zeroskip.compile(module, (inputs, labels), settings=settings(core))
    result = zeroskip.simulate(compiled, (inputs, labels))
    assert result.equal
    assert set(result.verification.saturated.values()) == {0}
    expected = module(torch.from_numpy(inputs)).detach().numpy()
    # The array's weights are shared; half of this is their error.
    assert np.abs(result.outputs - expected).max() < 0.1 * np.abs(expected).max()


def test_arrays_without_labels(tmp_path: Path) -> None:
    inputs, labels = samples(6)
    compiled = zeroskip.compile(small(), (inputs, labels), settings=settings("eie"))
    compiled.save(tmp_path / "net.zs")
    first = zeroskip.SimulateSettings(limit=4)
    result = zeroskip.simulate(tmp_path / "net.zs", (inputs, None), settings=first, outputs=tmp_path / "out.npz")
    assert result.accuracy is None
    assert result.verification.images == 4
    assert np.array_equal(np.load(tmp_path / "out.npz")["outputs"], result.outputs)


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        (small(), {}, "network must be a compiled network or its file, not Sequential"),
        ("missing.zs", {}, "missing.zs: cannot be read: No such file or directory"),
        (small(), {"limit": 0}, "limit must be at least 1, not 0"),
    ],
)
def test_refuses(network: object, settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zeroskip.simulate(network, samples(2), settings=zeroskip.SimulateSettings(**settings))  # type: ignore[arg-type]


def test_demo_refuses() -> None:
    with pytest.raises(ValueError, match="dataset must be fashion-mnist for lenet-5, which takes 28x28 pixels"):
        zeroskip.DemoSettings(network="lenet-5")


@pytest.mark.parametrize(("argument", "suffix"), [("outputs", ".npz"), ("report", ".html")])
def test_files_of_another_kind_are_not_overwritten(tmp_path: Path, argument: str, suffix: str) -> None:
    """Weights in x.st stay what they are, and the file is named before the network is read."""
    weights = tmp_path / "x.st"
    weights.write_bytes(b"weights")
    with pytest.raises(OSError, match=rf"x\.st cannot be written: .* must not end in \.st; name it \*\{suffix}"):
        zeroskip.simulate(tmp_path / "missing.zs", samples(1), **{argument: weights})  # type: ignore[arg-type]
    assert weights.read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("waves", "folder", "message"),
    [
        ("run.txt", "other", "waves must end in .fst or .vcd, not '.txt'"),
        ("run.vcd", "run.vcd", r"run\.vcd cannot be written: it is a folder"),
        ("run.vcd", "run.gtkw", r"run\.gtkw cannot be written: it is a folder"),
        ("run.vcd", "run.sucl", r"run\.sucl cannot be written: it is a folder"),
    ],
)
def test_refuses_a_waveform_before_the_simulation(tmp_path: Path, waves: str, folder: str, message: str) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises((ValueError, OSError), match=message):
        zeroskip.simulate("missing.zs", samples(2), waves=tmp_path / waves)


def test_a_waveform_has_its_sessions_beside_it(tmp_path: Path) -> None:
    compiled = zeroskip.compile(small(), samples(2), settings=settings("mma"))
    result = zeroskip.simulate(compiled, samples(2), waves=tmp_path / "run.vcd")
    assert result.sessions == (tmp_path / "run.gtkw", tmp_path / "run.sucl")
    assert result.summary()["sessions"] == [str(path) for path in result.sessions]
    assert ("its sessions", "run.gtkw, run.sucl") in result.rows()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".surfer",
        "run.gtkw",
        "run.names",
        "run.sucl",
        "run.vcd",
    ]


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ("run.csv", "trace must end in .json, not '.csv'"),
        ("folder.json", r"folder\.json cannot be written: it is a folder"),
        ("folder.json/run.json/x.json", r"x\.json cannot be written: its folder .* takes no files"),
    ],
)
def test_refuses_a_trace_before_the_simulation(tmp_path: Path, trace: str, message: str) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "folder.json/run.json").touch()
    with pytest.raises((ValueError, OSError), match=message):
        zeroskip.simulate("missing.zs", samples(2), trace=tmp_path / trace)


@pytest.mark.parametrize("waves", [None, "run.vcd"])
@pytest.mark.parametrize("core", CORES)
def test_a_trace_of_the_samples_that_are_wanted(tmp_path: Path, core: str, waves: str | None) -> None:
    """With a waveform or without, which then leaves none."""
    compiled = zeroskip.compile(small(), samples(4), settings=settings(core))
    result = zeroskip.simulate(
        compiled,
        samples(4),
        settings=zeroskip.SimulateSettings(waves_samples=2),
        waves=waves and tmp_path / waves,
        trace=tmp_path / "run.json",
    )
    assert result.summary()["trace"] == str(tmp_path / "run.json")
    assert ("trace of the run", str(tmp_path / "run.json")) in result.rows()
    assert json.loads((tmp_path / "run.json").read_text())["otherData"]["samples"] == 2
    assert {path.name for path in tmp_path.glob("*.vcd")} == ({waves} if waves else set())


@pytest.mark.parametrize(
    ("viewer", "message"),
    [
        ("run.txt", "viewer must end in .html, not '.txt'"),
        ("report.html", "viewer and report must be different files"),
        ("folder.html", r"folder\.html cannot be written: it is a folder"),
    ],
)
def test_refuses_a_viewer_before_the_simulation(tmp_path: Path, viewer: str, message: str) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises((ValueError, OSError), match=message):
        zeroskip.simulate("missing.zs", samples(2), viewer=tmp_path / viewer, report=tmp_path / "report.html")


@pytest.mark.parametrize("core", CORES)
def test_a_viewer_of_the_samples_that_are_wanted(tmp_path: Path, core: str) -> None:
    compiled = zeroskip.compile(small(), samples(4), settings=settings(core))
    shown_samples = zeroskip.SimulateSettings(waves_samples=2)
    result = zeroskip.simulate(compiled, samples(4), settings=shown_samples, viewer=tmp_path / "run.html")
    assert result.summary()["viewer"] == str(tmp_path / "run.html")
    assert ("viewer of the cycles", str(tmp_path / "run.html")) in result.rows()
    run, arrays = run_of(tmp_path / "run.html")
    assert run["of"] == "2 samples"
    driver = load_driver(core)
    inputs, _ = driver.encode(compiled.network, samples(2)[0], saturate=False)
    shown = {"eie": "layer", "mma": "job"}[core]
    assert len(arrays[shown]) == driver.viewer(compiled.network, inputs).cycles()
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]


def test_longer_runs_than_the_viewer_takes_are_refused_before_the_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says limit, cycles and remedy: fewer samples, or a smaller network where one is too many."""
    compiled = zeroskip.compile(small(), samples(4))
    cases = [
        (800, 3, r"at most 100 cycles with this geometry, and the 3 samples take \d+: take fewer \(waves_samples\)"),
        (160, 3, r"at most 20 cycles with this geometry, and the 3 samples take \d+: take a smaller network"),
        (160, 1, r"and the sample takes \d+: take a smaller network; a trace shows longer runs"),
    ]
    steps: list[Step] = []
    for most, count, message in cases:
        monkeypatch.setattr("zeroskip.cosim.eie.viewer.MOST_PE_CYCLES", most)
        settings = zeroskip.SimulateSettings(waves_samples=count)
        with pytest.raises(ValueError, match=message):
            zeroskip.simulate(
                compiled, samples(4), settings=settings, viewer=tmp_path / "run.html", progress=steps.append
            )
    assert {step.task for step in steps} <= {"loading the network", "loading the data", "loading the simulator"}
