"""A user's own network through the search, fine-tuning, compilation and the RTL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

Command = Callable[..., tuple[int, str, str]]

NETWORK = ("mynet:Net", "--weights", "weights.safetensors", "--data", "data.npz")
SEARCH = ("search", "sensitivity", *NETWORK, "--output", "plan.json", "--json")


@pytest.fixture
def learned(zs: Command, tmp_path: Path) -> Command:
    """The network's weights, trained: what the tests find and lose means something."""
    plan = {
        "version": 1,
        "granularity": "weights",
        "layers": [
            {"name": "first", "shape": [20, 30], "density": 1.0},
            {"name": "second", "shape": [4, 20], "density": 1.0},
        ],
        "method": "none",
        "cost": "params",
        "budget": 1.0,
        "reached": 1.0,
    }
    (tmp_path / "dense.json").write_text(json.dumps(plan))
    finetune = ("finetune", *NETWORK, "--plan", "dense.json", "--output", "weights.safetensors")
    code, _, err = zs(*finetune, "--epochs", 12, "--learning-rate", 0.05)
    assert code == 0, err
    return zs


def test_from_weights_to_rtl(learned: Command, tmp_path: Path) -> None:
    code, out, err = learned(*SEARCH, "--budget", 0.4, "--pes", 4)
    assert code == 0, err
    found = json.loads(out)
    assert found["cost"]["name"] == "eie-cycles"
    assert found["cost"]["plan"] <= 0.4 * found["cost"]["dense"]
    assert found["cost"]["exact"] == pytest.approx(found["cost"]["plan"], rel=0.25)
    assert found["accuracy"]["dense"] > 0.9
    for name in ("plan.json", "plan.png", "plan.curves.csv", "plan.curves.png"):
        assert (tmp_path / name).stat().st_size > 0

    finetune = ("finetune", *NETWORK, "--plan", "plan.json", "--output", "pruned.safetensors", "--json")
    code, out, err = learned(*finetune, "--schedule", "iterative", "--rounds", 3, "--epochs", 3)
    assert code == 0, err
    tuned = json.loads(out)
    assert tuned["accuracy"]["finetuned"] >= tuned["accuracy"]["pruned"]
    assert tuned["accuracy"]["finetuned"] > 0.9
    weights = load_file(tmp_path / "pruned.safetensors")
    for name, density in found["layers"].items():
        kept = (weights[f"{name}.weight"] != 0).double().mean().item()
        assert kept == pytest.approx(density, abs=0.01)

    network = ("mynet:Net", "--weights", "pruned.safetensors", "--data", "data.npz", "--output", "net.zs", "--pes", 4)
    assert learned("compile", *network)[0] == 0
    code, out, err = learned("simulate", "net.zs", "--data", "data.npz", "--limit", 20, "--json")
    assert code == 0, err
    assert json.loads(out)["mismatches"] == 0


def test_patterns(learned: Command) -> None:
    arguments = (*SEARCH, "--granularity", "nm", "--cost", "mma-cycles", "--budget", 0.6)
    code, out, err = learned(*arguments)
    assert code == 0, err
    found = json.loads(out)
    assert found["granularity"] == "2:4"
    assert set(found["layers"].values()) <= {0.5, 1.0}
    assert found["cost"]["exact"] == pytest.approx(found["cost"]["plan"])


def test_resume_gives_the_same_plan(learned: Command, tmp_path: Path) -> None:
    arguments = (*SEARCH, "--budget", 0.3, "--cost", "macs")
    code, out, _ = learned(*arguments)
    assert code == 0
    plan, journal = (tmp_path / "plan.json").read_bytes(), tmp_path / "plan.json.journal"
    everything = json.loads(out)["evaluations"]
    text = journal.read_text()
    journal.write_text(text[: len(text) // 2])
    (tmp_path / "plan.json").unlink()
    code, out, err = learned(*arguments, "--resume")
    assert code == 0, err
    assert 0 < json.loads(out)["evaluations"] < everything
    assert (tmp_path / "plan.json").read_bytes() == plan


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--budget", 0.001),
            "budget 0.001 of the dense eie-cycles cannot be met: the smallest cost that can be",
        ),
        (("--budget", 2), "budget must be above 0 and at most 1"),
        (("--budget", 0.5, "--cost", "mma-cycles"), "cost mma-cycles needs the granularity nm or channels"),
        (("--budget", 0.5, "--granularity", "nm", "--pattern", "dense"), "N:M pattern that prunes, not 'dense'"),
        (("--budget", 0.5, "--pes", 3), "pes must be a power of two"),
        (("--budget", 0.5, "--cost", "latency"), "cost latency needs the granularity channels"),
        (("--budget", 0.5, "--workers", "none"), "workers must be a number from 1, or ray, not 'none'"),
        (("--budget", 0.5, "--episodes", 5), "--episodes is an option of the AMC"),
    ],
)
def test_search_errors(zs: Command, tmp_path: Path, arguments: tuple[Any, ...], message: str) -> None:
    (tmp_path / "plan.json").write_text("what was there")
    code, out, err = zs(*SEARCH, *arguments)
    assert (code, out) == (1, "")
    assert message in re.sub(r"\s+", " ", err)
    assert (tmp_path / "plan.json").read_text() == "what was there"


def test_data_without_labels(zs: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", inputs=np.zeros((10, 30)))
    code, _, err = zs(*SEARCH, "--budget", 0.5)
    assert code == 1
    assert "must have the key 'labels'" in re.sub(r"\s+", " ", err)


def test_finetune_errors(learned: Command, tmp_path: Path) -> None:
    plan = json.loads((tmp_path / "dense.json").read_text())
    plan["layers"][1]["shape"] = [5, 20]
    (tmp_path / "other.json").write_text(json.dumps(plan))
    arguments = ("finetune", *NETWORK, "--output", "out.safetensors")
    code, _, err = learned(*arguments, "--plan", "other.json")
    assert code == 1
    assert "layer 'second' has weights of (4, 20) in the network, but (5, 20)" in re.sub(r"\s+", " ", err)
    plan["layers"][1]["shape"] = [4, 20]
    (tmp_path / "pattern.json").write_text(json.dumps({**plan, "granularity": "2:4"}))
    code, _, err = learned(*arguments, "--plan", "pattern.json", "--schedule", "cubic")
    assert code == 1
    assert "schedule must be one-shot for 2:4" in re.sub(r"\s+", " ", err)
    assert not (tmp_path / "out.safetensors").exists()
