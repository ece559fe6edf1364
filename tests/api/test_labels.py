"""Labels that are not classes of the network: every function refuses them, by the name of the file's key, and before
any long work."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip
from zeroskip.model.cores import CORES
from zeroskip.model.data.dataset import Dataset
from zeroskip.model.progress import Step

SAMPLES = 20


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 3)).eval()


def inputs() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(SAMPLES, 4)).astype(np.float32)


Call = Callable[[Any, list[Step]], object]


def compiles(core: str) -> Call:
    return lambda data, steps: zeroskip.compile(
        network(), data, settings=zeroskip.CompileSettings(core=core), progress=steps.append
    )


def simulates(core: str) -> Call:
    compiled = zeroskip.compile(network(), (inputs(), None), settings=zeroskip.CompileSettings(core=core))
    return lambda data, steps: zeroskip.simulate(compiled, data, progress=steps.append)


def calls(folder: Path) -> dict[str, Call]:
    return {
        "train": lambda data, steps: zeroskip.train(network(), data, progress=steps.append),
        "search": lambda data, steps: zeroskip.search(network(), data, progress=steps.append),
        "compare": lambda data, steps: zeroskip.compare(
            network(), data, output=folder / "compare.json", progress=steps.append
        ),
        "finetune": lambda data, steps: zeroskip.finetune(network(), data, compression=2, progress=steps.append),
        **{f"compile {core}": compiles(core) for core in CORES},
        **{f"simulate {core}": simulates(core) for core in CORES},
    }


NAMES = [
    "train",
    "search",
    "compare",
    "finetune",
    *(f"{name} {core}" for name in ("compile", "simulate") for core in CORES),
]


WITHOUT_WORK = {"loading the network", "loading the data", "filling the cost table", "pruning", "loading the simulator"}
"""Steps that are announced before the labels can be known or looked at."""


@pytest.mark.parametrize("name", NAMES)
def test_the_key_the_value_and_the_number_of_outputs_are_named(name: str, tmp_path: Path) -> None:
    call, steps = calls(tmp_path)[name], list[Step]()
    path = tmp_path / "d.npz"
    np.savez(path, x=inputs(), y=np.full(SAMPLES, 7))

    message = f"{path}: 'y' must be class numbers below 3, the network's number of outputs, not 7"
    with pytest.raises(ValueError, match=re.escape(message)):
        call(path, steps)
    assert {step.task for step in steps} <= WITHOUT_WORK


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("labels", "rule"),
    [
        (np.full(SAMPLES, 3), "must be class numbers below 3, the network's number of outputs, not 3"),
        (np.full(SAMPLES, -1), "must be class numbers from 0, not -1 at 0"),
        (np.zeros(SAMPLES), "must hold integers, not float64"),
        (np.eye(3, dtype=int)[np.zeros(SAMPLES, int)], "of one-hot rows take labels.argmax(axis=1)"),
        (np.zeros(SAMPLES - 1, int), "must have the shape (20,), one for each sample, not (19,)"),
    ],
    ids=["above", "negative", "float", "one-hot", "too few"],
)
def test_arrays(name: str, labels: np.ndarray, rule: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"labels .*{re.escape(rule)}|{re.escape(rule)}"):
        calls(tmp_path)[name]((inputs(), labels), [])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("label", [-2, 3])
def test_one_wrong_label_of_a_dataset(name: str, label: int, tmp_path: Path) -> None:
    labels = np.zeros(SAMPLES, np.int64)
    wrong = labels.copy()
    wrong[5] = label
    data = Dataset(name="mine", train_inputs=inputs(), train_labels=labels, test_inputs=inputs(), test_labels=wrong)

    message = f"mine: test_labels must be class numbers below 3, .* not {label} \\(in 1 of 20 samples\\)"
    with pytest.raises(ValueError, match=message):
        calls(tmp_path)[name](data, [])


@pytest.mark.parametrize("core", CORES)
def test_wrong_labels_beyond_the_limit(core: str) -> None:
    compiled = zeroskip.compile(network(), (inputs(), None), settings=zeroskip.CompileSettings(core=core))
    labels = np.zeros(SAMPLES, int)
    labels[-1] = 3
    with pytest.raises(ValueError, match=r"labels must be class numbers below 3, .* not 3 \(in 1 of 20 samples\)"):
        zeroskip.simulate(compiled, (inputs(), labels), settings=zeroskip.SimulateSettings(limit=2))


def test_a_split_without_samples() -> None:
    given, labels = inputs(), np.zeros(SAMPLES, np.int64)
    with pytest.raises(ValueError, match=r"mine: test_inputs must hold at least one sample, not \(0, 4\)"):
        Dataset(name="mine", train_inputs=given, train_labels=labels, test_inputs=given[:0], test_labels=labels[:0])
