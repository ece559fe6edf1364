"""`zeroskip finetune` as a user runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

Command = Callable[..., tuple[int, str, str]]

FINETUNE = ("finetune", "mynet:Net", "--data", "data.npz", "--output", "pruned.safetensors")
SHORT = ("--epochs", 2, "--schedule", "cubic", "--rounds", 2)


def plan(granularity: str = "weights", first: float = 0.5, second: float = 0.5) -> str:
    layers = [
        {"name": "first", "shape": [20, 30], "density": first},
        {"name": "second", "shape": [4, 20], "density": second},
    ]
    fields = {"method": "none", "cost": "params", "budget": 1.0, "reached": 1.0}
    return json.dumps({"version": 1, "granularity": granularity, "layers": layers, **fields})


def test_from_the_factory_to_the_pruned_network(zs: Command, tmp_path: Path) -> None:
    """The JSON, layer by layer, agrees with the weights that were written."""
    code, out, err = zs(*FINETUNE, "--train", 12, "--train-rate", 0.1, "--compression", 8, *SHORT, "--distil", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["kept"], found["total"]) == (85, 680)
    assert (found["density"], found["compression"]) == (0.125, 8)
    assert sum(layer["kept"] for layer in found["layers"].values()) == 85
    assert found["accuracy"]["dense"] > 0.9
    assert found["accuracy"]["finetuned"] > 0.9
    weights = load_file(tmp_path / "pruned.safetensors")
    for name, layer in found["layers"].items():
        assert layer == {
            "kept": int(weights[f"{name}.weight"].count_nonzero()),
            "total": weights[f"{name}.weight"].numel(),
        }


def test_table(zs: Command) -> None:
    code, out, err = zs(*FINETUNE, "--weights", "weights.safetensors", "--compression", 4, "--epochs", 1)
    assert code == 0, err
    assert "170 of 680 (25.0%, compression ratio 4.0)" in out
    for row in ("accuracy, dense", "accuracy, pruned", "accuracy, finetuned", "layer first", "layer second"):
        assert row in out


def test_channels_of_a_plan(zs: Command, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(plan("channels", 0.25, 1.0))
    code, out, err = zs(*FINETUNE, "--plan", "plan.json", "--train", 3, "--epochs", 2, "--json")
    assert code == 0, err
    assert json.loads(out)["layers"] == {"first": {"kept": 150, "total": 600}, "second": {"kept": 20, "total": 80}}
    assert load_file(tmp_path / "pruned.safetensors")["first.weight"].shape == (5, 30)


@pytest.mark.parametrize(
    "options",
    [
        ("--criterion", "taylor"),
        ("--schedule", "iterative", "--rounds", 3),
        ("--final-epochs", 2),
        ("--batch-size", 16),
        ("--learning-rate", 0.02),
        ("--train", 2),
        ("--train", 2, "--train-rate", 0.01),
        ("--regularise", "l1", "--strength", 0.01),
        ("--regularise", "growing", "--strength", 1),
        ("--distil",),
        ("--distil", "--temperature", 2),
        ("--distil", "--alpha", 0.5),
        ("--seed", 1),
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_options_reach_the_training(zs: Command, tmp_path: Path, options: tuple[Any, ...]) -> None:
    """What is left is other than without the option; the checkpoint of one run does not serve the other."""
    arguments = (*FINETUNE, "--compression", 4, *SHORT)
    assert zs(*arguments)[0] == 0
    before = (tmp_path / "pruned.safetensors").read_bytes()
    code, _, err = zs(*arguments, *options)
    assert code == 0, err
    assert (tmp_path / "pruned.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "either --plan or --compression must be given, and not both"),
        (("--plan", "plan.json", "--compression", 4), "either --plan or --compression must be given, and not both"),
        (("--compression", 0.5), "compression must be at least 1 and finite, not 0.5"),
        (("--compression", 4, "--rounds", 3), "--rounds needs --schedule iterative or cubic"),
        (("--compression", 4, "--train-rate", 0.1), "--train-rate needs --train"),
        (("--compression", 4, "--strength", 0.1), "--strength needs --regularise"),
        (("--compression", 4, "--regularise", "l1"), "--regularise l1 needs --strength"),
        (("--compression", 4, "--regularise", "l1", "--strength", 0), "strength must be above 0 and finite, not 0"),
        (("--compression", 4, "--temperature", 2), "--temperature needs --distil"),
        (("--compression", 4, "--alpha", 0.5), "--alpha needs --distil"),
        (("--compression", 4, "--distil", "--alpha", 2), "alpha must be 0 to 1, not 2"),
        (("--compression", 4, "--distil", "--temperature", 0), "temperature must be above 0 and finite, not 0"),
        (("--compression", 4, "--learning-rate", 0), "learning_rate must be above 0 and finite, not 0"),
        (("--compression", 4, "--output", "data.npz"), "data.npz cannot be written: it is also an input"),
        (("--plan", "plan.json", "--schedule", "cubic"), "schedule must be one-shot for 2:4"),
        (("--plan", "nothing.json"), "nothing.json: cannot be read"),
    ],
)
def test_what_means_nothing_is_refused(zs: Command, tmp_path: Path, options: tuple[Any, ...], message: str) -> None:
    (tmp_path / "plan.json").write_text(plan("2:4"))
    code, out, err = zs(*FINETUNE, *options)
    assert (code, out) == (1, "")
    assert message in re.sub(r"\s+", " ", err)
    assert not (tmp_path / "pruned.safetensors").exists()
