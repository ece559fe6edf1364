"""The commands in a user's folder, where files have the names of this program's folders, of this program itself and of
Python's own library: started as users start them, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 12)
        self.second = nn.Linear(12, 4)

    def forward(self, x):
        from queue import flat

        return self.second(torch.relu(self.first(flat(x))))
"""
FILES = {
    "model": NET,
    "code": "from model import Net\n",
    "queue": "import torch\n\n\ndef flat(x):\n    return torch.flatten(x, 1)\n",
    "rtl": "from code import Net\n",
    "factory": "import rtl\nfrom model import Net\n\nassert rtl.Net is Net\nmake = Net\n",
    "nets/small": "from model import Net\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: modules and data.npz."""
    for name, text in FILES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    rng = np.random.default_rng(3)
    centres, labels = rng.normal(size=(4, 16)), rng.integers(0, 4, 120)
    inputs = (centres[labels] + 0.3 * rng.normal(size=(120, 16))).astype(np.float32)
    np.savez(tmp_path / "data.npz", inputs=inputs, labels=labels)
    return tmp_path


def console_script(folder: Path) -> list[str]:
    """The command `zeroskip` as an installer writes it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        module, function = tomllib.load(file)["project"]["scripts"]["zeroskip"].split(":")
    script = folder / "zeroskip"
    script.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    return [sys.executable, str(script)]


def run(folder: Path, start: list[str], python_path: str | None, *arguments: object) -> str:
    """The standard output of a command, which must end well."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python_path is not None:
        environment["PYTHONPATH"] = python_path
    command = [*start, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "start", "python_path", "workers"),
    [
        ("model:Net", "zeroskip", None, 2),
        pytest.param("factory:make", "zeroskip", ".", "ray", marks=pytest.mark.slow),
        ("code:Net", "python -m zeroskip", ".", 2),
        pytest.param("nets/small.py:Net", "python -m zeroskip", None, 1, marks=pytest.mark.slow),
    ],
)
def test_from_training_to_simulation(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    start: str,
    python_path: str | None,
    workers: int | str,
) -> None:
    command = [sys.executable, "-m", "zeroskip"]
    if start == "zeroskip":
        command = console_script(tmp_path_factory.mktemp("bin"))
        # `python -m zeroskip` would run this file: nothing of ours is asked there.
        (folder / "zeroskip.py").write_text("raise RuntimeError('not this one')\n")

    def zs(*arguments: object) -> str:
        return run(folder, command, python_path, *arguments)

    network = (name, "--data", "data.npz", "--weights", "weights.safetensors")
    zs("train", *network[:3], "--epochs", 1, "--output", "weights.safetensors")
    search = ("search", "sensitivity", *network, "--budget", 0.8, "--pes", 4, "--output", "plan.json", "--json")
    searched = zs(*search, "--workers", workers)
    assert json.loads(searched)["cost"]["name"] == "eie-cycles"
    zs("finetune", *network, "--plan", "plan.json", "--epochs", 1, "--output", "pruned.safetensors")
    zs("compile", *network[:4], "pruned.safetensors", "--pes", 4, "--output", "net.zs")
    simulated = json.loads(zs("simulate", "net.zs", "--data", "data.npz", "--limit", 2, "--json"))
    assert (simulated["mismatches"], simulated["cycle_model_equal"]) == (0, True)


@pytest.mark.parametrize("python_path", [None, "."])
def test_in_a_checkout(folder: Path, python_path: str | None) -> None:
    """Its folders `model` and `rtl` are not the user's modules; the program is the checkout's own, not installed."""
    for name in ("rtl", "model", "cosim", "fpga", "zeroskip"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    start = [sys.executable, "-m", "zeroskip"]
    weights = ("--data", "data.npz", "--epochs", 1, "--output", "weights.safetensors")
    for name in ("model:Net", "factory:make"):
        run(folder, start, python_path, "train", name, *weights)
