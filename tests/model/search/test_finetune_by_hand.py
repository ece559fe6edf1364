"""Fine-tuning and short trainings against pruning and training written out: the weights after them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.by_hand import assert_close, sgd, short_order
from support.searching import accuracies, evaluator, trained
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.pruning.training import TrainingSettings, evaluate
from zeroskip.model.search.finetune import finetune
from zeroskip.model.search.finetune_settings import PruneAndTrainSettings, Regularisation
from zeroskip.model.search.plan import WEIGHTS, LayerPlan, Plan, weight_shapes

TRAINING = TrainingSettings(epochs=2, learning_rate=0.05, weight_decay=0.01, batch_size=16)
OTHER = TrainingSettings(epochs=1, learning_rate=0.02, weight_decay=0.0, batch_size=25)
DENSITIES = {"1": 0.23, "3": 0.6}
SEED = 6


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For networks as small as these, more threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(90, 4, 4)).astype(np.float32)
    labels = (inputs[:, 0, 0] > 0).astype(np.int64) + 2 * (inputs[:, 1, 1] > 0)
    return Dataset(
        name="signs",
        train_inputs=inputs[:60],
        train_labels=labels[:60],
        test_inputs=inputs[60:],
        test_labels=labels[60:],
    )


def network() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 4))


def plan() -> Plan:
    layers = tuple(
        LayerPlan(name=name, shape=shape, density=DENSITIES[name]) for name, shape in weight_shapes(network()).items()
    )
    return Plan(granularity=WEIGHTS, layers=layers, method="none", cost="params", budget=1, reached=1)


def largest(values: Tensor, count: int) -> Tensor:
    order = np.argsort(-values.detach().abs().flatten().numpy(), kind="stable")
    mask = np.zeros(values.numel(), bool)
    mask[order[:count]] = True
    return torch.from_numpy(mask).reshape(values.shape)


def masks_of(module: nn.Module, share: Callable[[str], float]) -> dict[str, Tensor]:
    """Of each layer, the largest weights."""
    weights = {name: module.get_parameter(f"{name}.weight") for name in DENSITIES}
    return {f"{name}.weight": largest(weight, round(weight.numel() * share(name))) for name, weight in weights.items()}


def masks_of_all(module: nn.Module, density: float) -> dict[str, Tensor]:
    """The largest weights of the network."""
    weights = {f"{name}.weight": module.get_parameter(f"{name}.weight") for name in DENSITIES}
    mask = largest(torch.cat([weight.flatten() for weight in weights.values()]), round(240 * density))
    parts = mask.split([weight.numel() for weight in weights.values()])
    return {name: part.reshape(weights[name].shape) for name, part in zip(weights, parts, strict=True)}


def stage(
    module: nn.Module,
    dataset: Dataset,
    training: TrainingSettings,
    number: int,
    masks: dict[str, Tensor],
    penalty: Callable[[int], Tensor] | None = None,
) -> None:
    with torch.no_grad():
        for name, mask in masks.items():
            module.get_parameter(name)[~mask] = 0
    sgd(
        module,
        torch.from_numpy(dataset.train_inputs),
        torch.from_numpy(dataset.train_labels),
        epochs=training.epochs,
        rate=training.learning_rate,
        decay=training.weight_decay,
        batch=training.batch_size,
        seed=SEED,
        stage=number,
        masks=masks,
        penalty=penalty,
    )


def sum_of(module: nn.Module, power: int) -> Tensor:
    return sum((module.get_parameter(f"{name}.weight").abs() ** power).sum() for name in DENSITIES)  # type: ignore[return-value]


@pytest.mark.parametrize("regularised", [None, "l1", "l2"])
@pytest.mark.parametrize("target", ["plan", "compression"])
@pytest.mark.parametrize("schedule", ["one-shot", "iterative", "cubic"])
def test_rounds_of_pruning_and_training(dataset: Dataset, schedule: Any, target: str, regularised: Any) -> None:
    """Dense training, three rounds (or one) with the masks of each, and a final training with the last masks."""
    penalised = None if regularised is None else Regularisation(name=regularised, strength=0.02)
    settings = PruneAndTrainSettings(
        training=TRAINING,
        threads=1,
        schedule=schedule,
        refit=False,
        rounds=3,
        train=OTHER,
        final=OTHER,
        regularisation=penalised,
    )
    aim = plan() if target == "plan" else 6.0
    found = finetune(network(), aim, dataset, settings=settings, seed=SEED)

    module = network()
    stage(module, dataset, OTHER, 0, {})
    dense = copy.deepcopy(module)

    def falling(final: float, done: float) -> float:
        if schedule == "cubic":
            return final + (1 - final) * (1 - done) ** 3
        return final**done

    def penalty(_: int) -> Tensor:
        return 0.02 * (sum_of(module, 1) if regularised == "l1" else sum_of(module, 2) / 2)

    shares = [1.0] if schedule == "one-shot" else [1 / 3, 2 / 3, 1.0]
    masks: dict[str, Tensor] = {}
    for number, done in enumerate(shares, 1):
        if target == "plan":
            masks = masks_of(module, lambda name, done=done: falling(DENSITIES[name], done))
        else:
            masks = masks_of_all(module, falling(1 / 6, done))
        stage(module, dataset, TRAINING, number, masks, None if regularised is None else penalty)
    stage(module, dataset, OTHER, len(shares) + 1, masks, None if regularised is None else penalty)
    assert_close(found.module, module)
    test = torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels)
    pruned = copy.deepcopy(dense)
    at_once = masks_of(dense, lambda name: DENSITIES[name]) if target == "plan" else masks_of_all(dense, 1 / 6)
    with torch.no_grad():
        for name, mask in at_once.items():
            pruned.get_parameter(name)[~mask] = 0
    stages = {"dense": dense, "pruned": pruned, "finetuned": module}
    assert found.accuracies == {name: evaluate(one, *test) for name, one in stages.items()}
    assert found.layers == {
        name: (int(masks[f"{name}.weight"].sum()), masks[f"{name}.weight"].numel()) for name in DENSITIES
    }
    assert not found.module.training


def test_a_growing_penalty(dataset: Dataset) -> None:
    """Before each round, an L2 penalty on the weights that it prunes grows every five steps, and reaches its strength
    at the end of the training; the masks of the round before hold meanwhile."""
    settings = PruneAndTrainSettings(
        training=TRAINING,
        threads=1,
        schedule="iterative",
        rounds=2,
        regularisation=Regularisation(name="growing", strength=3.0),
    )
    found = finetune(network(), plan(), dataset, settings=settings, seed=SEED)
    module = network()
    held: dict[str, Tensor] = {}
    # Two epochs of four batches: 8 steps, which are 1.6 times five.
    growth = 3.0 / (2 * math.ceil(60 / 16) / 5)
    for number, done in enumerate((0.5, 1.0)):
        going = masks_of(module, lambda name, done=done: DENSITIES[name] ** done)

        def penalty(step: int, going: dict[str, Tensor] = going) -> Tensor:
            squares = sum(module.get_parameter(name)[~mask].square().sum() for name, mask in going.items())
            return min(3.0, growth * (step // 5)) / 2 * squares  # type: ignore[return-value]

        stage(module, dataset, TRAINING, 2 * number, held, penalty)
        held = masks_of(module, lambda name, done=done: DENSITIES[name] ** done)
        stage(module, dataset, TRAINING, 2 * number + 1, held)
    assert_close(found.module, module)


def test_the_short_training_of_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 batches of 64 at a rate that falls from 0.005, with the masks of the plan."""
    measured: list[nn.Module] = []
    monkeypatch.setattr(
        "zeroskip.model.search.evaluation.evaluate_with_loss",
        lambda module, *_: measured.append(copy.deepcopy(module)) or (0.5, 1.0),
    )
    assert accuracies(evaluator(tmp_path), [{"0": 0.15, "2": 0.4}], trained=True) == [0.5]
    dense, inputs, labels = trained()
    module = copy.deepcopy(dense)
    masks = {
        f"{name}.weight": largest(module.get_parameter(f"{name}.weight"), count)
        for name, count in (("0", 24), ("2", 26))
    }
    with torch.no_grad():
        for name, mask in masks.items():
            module.get_parameter(name)[~mask] = 0
    some = short_order(inputs, labels, 100 * 64, seed=0, number=0)
    sgd(module, *some, epochs=1, rate=0.005, decay=1e-4, batch=64, seed=0, stage=0, masks=masks)
    assert_close(measured[0], module)
