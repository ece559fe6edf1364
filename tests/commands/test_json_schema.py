"""The JSON of demo, compile and simulate: the same keys and types for every core, held by a snapshot.

A change here is a change for everyone who reads the JSON: it belongs into the change log.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.model.cores import CORES

Command = Callable[..., tuple[int, str, str]]

OWN = {"geometry", "accuracy", "saturated", "layers"}
"""What differs from core to core: sizes, steps and events by name."""

RUN = {
    "core": "text",
    "images": "integer",
    "geometry": "own",
    "cycles_per_image": {"mean": "float", "min": "float", "max": "float"},
    "cycles_by_layer": ["float"],
    "sparse_layers": ["flag"],
    "utilisation": "float",
    "saturated": "own",
    "values": "integer",
    "mismatches": "integer",
    "cycle_model_equal": "flag",
    "waveform": "nothing",
    "accuracy": "own",
    "bits": {"dense": "integer", "image": "integer", "ratio": "float"},
    "clipped_inputs": "integer",
    "lost": [],
    "warnings": [],
    "report": "text",
    "seconds": "float",
}
DEMO = {"dataset": "text", "weights": {"total": "integer", "kept": "integer", "ratio": "float"}, **RUN}
SIMULATE = {
    "network": "text",
    "waves": "nothing",
    "sessions": [],
    "trace": "nothing",
    "viewer": "nothing",
    "perplexity": "nothing",
    **RUN,
}
COMPILE = {
    "output": "text",
    "core": "text",
    "geometry": "own",
    "layers": "own",
    "accuracy": "own",
    "perplexity": "nothing",
    "golden_images": "integer",
    "test_images": "integer",
    "saturated": "own",
    "lost": [],
    "warnings": [],
    "weights": {"total": "integer", "kept": "integer", "ratio": "float", "rounded_to_zero": "integer"},
    "bits": {"dense": "integer", "image": "integer", "ratio": "float"},
    "left_out": "nothing",
    "seconds": "float",
}


def kind(name: str, value: Any) -> Any:
    if name in OWN:
        return "own"
    if isinstance(value, dict):
        return {key: kind(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        kinds = [kind("", inner) for inner in value]
        assert all(inner == kinds[0] for inner in kinds), f"{name} holds several types: {kinds}"
        return kinds[:1]
    return {str: "text", bool: "flag", int: "integer", float: "float", type(None): "nothing"}[type(value)]


def kinds(result: dict[str, Any]) -> dict[str, Any]:
    return {name: kind(name, value) for name, value in result.items()}


@pytest.mark.parametrize("core", CORES)
def test_compile_and_simulate(zs: Command, core: str) -> None:
    """The names and types in the JSON of both commands, and the arrays in the outputs file, are those of every core."""
    arguments = ("mynet:Net", "--weights", "weights.safetensors", "--data", "data.npz", "--output", "net.zs")
    code, out, err = zs("compile", *arguments, "--core", core, "--json")
    assert code == 0, err
    assert kinds(json.loads(out)) == COMPILE
    files = ("--outputs", "out.npz", "--report", "report.html")
    code, out, err = zs("simulate", "net.zs", "--data", "data.npz", "--limit", 3, *files, "--json")
    assert code == 0, err
    assert kinds(json.loads(out)) == SIMULATE
    saved = np.load("out.npz")
    assert {name: array.shape for name, array in saved.items()} == {"outputs": (3, 4), "raw": (3, 4), "cycles": (3,)}
    own = import_module(f"support.{core}_settings").OUTPUTS
    assert {name: array.dtype for name, array in saved.items()} == {**own, "cycles": np.float64}
    assert saved["cycles"].mean() == pytest.approx(json.loads(out)["cycles_per_image"]["mean"])


@pytest.mark.parametrize("core", CORES)
def test_demo(zs: Command, core: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is not trained here: only the shape of what comes out counts."""
    from zeroskip.model.pruning import nm_presets, presets

    quick = untrained(presets.DIGITS), untrained(nm_presets.DIGITS)
    monkeypatch.setattr(presets, "DIGITS", quick[0])
    monkeypatch.setattr(nm_presets, "DIGITS", quick[1])
    code, out, err = zs("demo", "--core", core, "--limit", 2, "--output", tmp_path / "run", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert kinds(result) == DEMO
    assert "golden" in result["accuracy"]
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == [
        "network.zs",
        "report.html",
        "training.safetensors",
    ]


def untrained(settings: Any) -> Any:
    """The settings, for one epoch in each stage."""
    fields = {
        field.name: dataclasses.replace(getattr(settings, field.name), epochs=1)
        for field in dataclasses.fields(settings)
        if field.name in ("dense", "retrain", "share") and getattr(settings, field.name) is not None
    }
    return dataclasses.replace(settings, **fields, **({"rounds": 1} if hasattr(settings, "rounds") else {}))
