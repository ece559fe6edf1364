"""The setup of a search. Accuracies of other networks, data or seeds are never used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.searching import GEOMETRIES
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.loading import load_factory
from zeroskip.model.search.setup import Setup, prepare, space_for
from zeroskip.model.search.storage.journal import Journal


class Net(nn.Module):
    def __init__(self, slope: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.slope = slope
        self.first, self.second = nn.Linear(8, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(nn.functional.leaky_relu(self.first(x.flatten(1)), self.slope))


def data(shape: tuple[int, ...] = (8,), seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    inputs, labels = rng.random((40, *shape), np.float32), rng.integers(3, size=40)
    return Dataset(name="data", train_inputs=inputs, train_labels=labels, test_inputs=inputs, test_labels=labels)


def setup(folder: Path, **options: Any) -> Setup:
    given = {"module": Net(), "dataset": data(), "granularity": "weights", "cost": "macs", "seed": 0, **options}
    module, dataset = given.pop("module"), given.pop("dataset")
    return prepare(module, dataset, geometries=GEOMETRIES, cache=folder, **given)


def other_weights() -> nn.Module:
    module = Net()
    with torch.no_grad():
        module.second.bias += 0.1
    return module


OTHERS = {
    "weights": lambda: {"module": other_weights()},
    "forward": lambda: {"module": Net(slope=0.5)},
    "samples": lambda: {"dataset": data(seed=1)},
    "shape": lambda: {"dataset": replace(data((4, 2)), train_inputs=data().train_inputs.reshape(40, 4, 2))},
    "labels": lambda: {"dataset": replace(data(), train_labels=(data().train_labels + 1) % 3)},
    "granularity": lambda: {"granularity": "2:4"},
    "pattern": lambda: {"granularity": "1:4"},
    "seed": lambda: {"seed": 1},
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_accuracies_are_not_its_own(tmp_path: Path, what: str) -> None:
    first, other = setup(tmp_path), setup(tmp_path, **OTHERS[what]())
    assert first.accuracies is not None
    assert other.accuracies is not None
    first.accuracies.add("plan", 0.5)
    assert other.accuracies.find(["plan"]) == {}
    assert first.configuration != other.configuration


def test_what_is_dropped_in_training_alone(tmp_path: Path) -> None:
    """The change is in forward() only; and networks that only run in evaluation mode are not run in train mode."""

    def configured(rate: float) -> str:
        (tmp_path / "drops.py").write_text(
            "from torch import nn\n"
            "class Drops(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.layer = nn.Linear(8, 3)\n"
            "    def forward(self, x):\n"
            f"        assert not self.training, {rate}\n"
            "        return self.layer(x)\n"
        )
        return setup(tmp_path, module=load_factory(f"{tmp_path / 'drops.py'}:Drops")).configuration

    first = configured(0.0)
    assert configured(0.95) != first
    assert configured(0.0) == first


@pytest.mark.parametrize("cost", ["macs", "params", "eie-cycles"])
def test_accuracies_are_the_same_for_any_cost(tmp_path: Path, cost: str) -> None:
    first, again = setup(tmp_path), setup(tmp_path, cost=cost)
    assert first.accuracies is not None
    assert again.accuracies is not None
    first.accuracies.add("plan", 0.5)
    assert again.accuracies.find(["plan"]) == {"plan": 0.5}
    assert (first.configuration == again.configuration) == (cost == "macs")


def test_weights_must_be_parameters_of_their_own(tmp_path: Path) -> None:
    computed, shared = Net(), Net()
    torch.nn.utils.parametrizations.weight_norm(computed.second)
    with pytest.raises(ValueError, match="the weight of 'second' must be a parameter, not computed from others"):
        setup(tmp_path, module=computed)
    shared.words = nn.Embedding(12, 8)
    shared.words.weight = shared.first.weight
    with pytest.raises(ValueError, match=r"'first.weight' and 'words.weight' must be different tensors"):
        setup(tmp_path, module=shared)


def test_layers_that_do_not_count_are_told(tmp_path: Path) -> None:
    class Sequence(Net):
        def __init__(self) -> None:
            super().__init__()
            self.before = nn.Conv1d(1, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.before(x[:, None]))

    with pytest.warns(UserWarning, match="'before' .Conv1d. is neither pruned nor counted in costs"):
        setup(tmp_path, module=Sequence())


def test_what_is_measured_on_is_not_trained_on(tmp_path: Path) -> None:
    made = setup(tmp_path)
    measure = made.evaluator(Journal(tmp_path / "journal", "this", resume=False))
    assert (measure.samples, measure.validation) == (made.train, made.validation)
    rows = [{tuple(row) for row in part.inputs.tolist()} for part in (made.train, made.validation)]
    assert [len(some) for some in rows] == [32, 8]
    assert not rows[0] & rows[1]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_every_seed_holds_out_other_samples(tmp_path: Path, seed: int) -> None:
    """A fifth of the training samples, and no sample of the test split."""
    made = setup(tmp_path, seed=seed)
    order = np.random.default_rng(seed + 1).permutation(40)
    for part, chosen in ((made.validation, order[:8]), (made.train, order[8:])):
        assert np.array_equal(part.inputs.numpy(), data().train_inputs[chosen])
        assert np.array_equal(part.labels.numpy(), data().train_labels[chosen])


@pytest.mark.parametrize("granularity", ["weights", "channels"])
def test_so_many_samples_calibrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, granularity: str) -> None:
    """The first 7 of those to train on; 16 images count the cycles."""
    monkeypatch.setattr("zeroskip.model.search.setup.CALIBRATION", 7)
    made = setup(tmp_path, granularity=granularity)
    assert torch.equal(made.space.calibration, made.train.inputs[:7])
    assert [layer.images for layer in made.layers] == [16, 16]
    again = space_for(Net(), granularity, data(), refit=True)
    assert np.array_equal(again.calibration.numpy(), data().train_inputs[:7])


def test_a_pruned_network_that_cannot_be_compiled_has_no_exact_cost(tmp_path: Path) -> None:
    made = setup(tmp_path, cost="eie-cycles")
    assert made.exact_cost(nn.Sequential(nn.Linear(8, 3))) is not None
    with pytest.warns(UserWarning, match="no eie-cycles by the exact model: the network cannot be compiled"):
        assert made.exact_cost(nn.Sequential(nn.Linear(8, 3), nn.Softsign())) is None


def test_code_that_measures_differently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = setup(tmp_path)
    monkeypatch.setattr("zeroskip.model.search.storage.code_version.code_hash", lambda: "another version")
    other = setup(tmp_path)
    assert first.accuracies is not None
    assert other.accuracies is not None
    first.accuracies.add("plan", 0.5)
    assert other.accuracies.find(["plan"]) == {}
