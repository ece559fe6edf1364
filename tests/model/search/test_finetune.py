import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.pruning.distil import Distil
from zeroskip.model.pruning.masks import Masks, prunable_weights
from zeroskip.model.pruning.training import TrainingSettings
from zeroskip.model.pruning.training_run import TrainingProgress
from zeroskip.model.search.finetune import FinetuneResult, finetune
from zeroskip.model.search.finetune_settings import PruneAndTrainSettings, Regularisation
from zeroskip.model.search.plan import CHANNELS, WEIGHTS, LayerPlan, Plan, weight_shapes
from zeroskip.model.search.spaces.refit import Refit

TRAINING = TrainingSettings(epochs=2, learning_rate=0.01, weight_decay=2e-4, batch_size=32)
ONE_SHOT = PruneAndTrainSettings(training=TRAINING, threads=1)
CUBIC = dataclasses.replace(ONE_SHOT, schedule="cubic", rounds=3)
TRAIN = dataclasses.replace(TRAINING, epochs=3, learning_rate=0.1)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Images with one channel in four classes; each class is a pattern with noise."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(4, 1, 8, 8))
    labels = rng.integers(0, 4, 200)
    inputs = (centres[labels] + 0.8 * rng.normal(size=(200, 1, 8, 8))).astype(np.float32)
    return Dataset(
        name="patterns",
        train_inputs=inputs[:100],
        train_labels=labels[:100],
        test_inputs=inputs[100:],
        test_labels=labels[100:],
    )


def network() -> nn.Sequential:
    """A network with state: batch statistics, and the random numbers of dropout."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(72, 16),
        nn.Dropout(0.2),
        nn.ReLU(),
        nn.Linear(16, 4),
    )


def plan(granularity: str, *densities: float) -> Plan:
    layers = (
        LayerPlan(name=name, shape=shape, density=density)
        for (name, shape), density in zip(weight_shapes(network()).items(), densities, strict=True)
    )
    return Plan(granularity=granularity, layers=tuple(layers), method="none", cost="params", budget=1, reached=1)


PLANS: dict[str, Plan | float] = {
    "compression": 6.0,
    "weights": plan(WEIGHTS, 0.5, 0.1, 0.5),
    "channels": plan(CHANNELS, 0.5, 0.25, 1),
    "2:4": plan("2:4", 1, 0.5, 0.5),
}


def assert_same(left: nn.Module, right: nn.Module) -> None:
    for (name, one), other in zip(left.state_dict().items(), right.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def differs(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return any(one.shape != other.shape or not torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("compression", [1.0, 2.5, 12.0, 100.0])
@pytest.mark.parametrize("settings", [ONE_SHOT, CUBIC], ids=["one-shot", "cubic"])
def test_compression_counts_exactly(dataset: Dataset, compression: float, settings: PruneAndTrainSettings) -> None:
    result = finetune(network(), compression, dataset, settings=settings, seed=0)
    total = 72 + 72 * 16 + 64
    assert (result.count, result.total) == (round(total / compression), total)
    assert result.kept == result.count / total
    counts = {
        name: (int((weight != 0).sum()), weight.numel()) for name, weight in prunable_weights(result.module).items()
    }
    assert counts == {f"{name}.weight": layer for name, layer in result.layers.items()}


def test_plan_counts_by_layer(dataset: Dataset) -> None:
    found = finetune(network(), PLANS["weights"], dataset, settings=CUBIC, seed=0).layers
    assert found == {"0": (36, 72), "5": (115, 1152), "8": (32, 64)}
    found = finetune(network(), PLANS["2:4"], dataset, settings=ONE_SHOT, seed=0).layers
    assert found == {"0": (72, 72), "5": (576, 1152), "8": (32, 64)}


@pytest.mark.parametrize("settings", [ONE_SHOT, CUBIC], ids=["one-shot", "cubic"])
def test_channels_are_gone(dataset: Dataset, settings: PruneAndTrainSettings) -> None:
    result = finetune(network(), PLANS["channels"], dataset, settings=settings, seed=0)
    assert {name: tuple(weight.shape) for name, weight in prunable_weights(result.module).items()} == {
        "0.weight": (4, 1, 3, 3),
        "5.weight": (4, 36),
        "8.weight": (4, 4),
    }
    # A channel that is always zero may get no weight when the layer after it is refitted.
    left = [int(weight.count_nonzero()) for weight in prunable_weights(result.module).values()]
    assert list(result.layers.values()) == list(zip(left, (72, 1152, 64), strict=True))
    assert result.module(torch.from_numpy(dataset.test_inputs)).shape == (100, 4)


@pytest.mark.parametrize("target", ["compression", "weights", "channels"])
@pytest.mark.parametrize("settings", [ONE_SHOT, CUBIC])
def test_what_is_pruned_is_normalised_anew(dataset: Dataset, target: str, settings: PruneAndTrainSettings) -> None:
    """In one step or in rounds: the means are those of the pruned network, not of the dense one."""
    untrained = dataclasses.replace(settings, training=dataclasses.replace(TRAINING, epochs=0))
    found = finetune(network(), PLANS[target], dataset, settings=untrained, seed=0).module
    with torch.no_grad():
        first = found[0](torch.from_numpy(dataset.train_inputs))
    assert torch.allclose(found[1].running_mean, first.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(found[1].running_var, first.var((0, 2, 3)), rtol=1e-3)


def test_training_first_makes_the_dense_network(dataset: Dataset) -> None:
    settings = dataclasses.replace(CUBIC, train=dataclasses.replace(TRAIN, epochs=8), distil=Distil(), refit=False)
    raw = finetune(network(), 6.0, dataset, settings=CUBIC, seed=0)
    found = finetune(network(), 6.0, dataset, settings=settings, seed=0)
    assert raw.accuracies["dense"] < 0.6
    assert found.accuracies["dense"] > 0.9
    assert found.accuracies["finetuned"] > max(0.85, found.accuracies["pruned"])


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("target", ["compression", "weights"])
def test_training_begins_with_the_fitted_weights(dataset: Dataset, target: str, refit: bool) -> None:
    settings = dataclasses.replace(ONE_SHOT, training=dataclasses.replace(TRAINING, epochs=0), refit=refit)
    module = network()
    found = finetune(module, PLANS[target], dataset, settings=settings, seed=0).module
    masks = {name: weight != 0 for name, weight in prunable_weights(found).items()}
    expected = copy.deepcopy(module)
    Masks(expected, masks).apply()
    if refit:
        Refit(module, torch.from_numpy(dataset.train_inputs)).apply(expected, masks)
    for name, weight in prunable_weights(found).items():
        assert torch.equal(weight, expected.get_parameter(name))


def test_module_given_stays_as_it_is(dataset: Dataset) -> None:
    given = network()
    finetune(given, 3.0, dataset, settings=dataclasses.replace(CUBIC, train=TRAIN), seed=0)
    assert_same(given, network())


OPTIONS: dict[str, dict[str, Any]] = {
    "iterative": {"schedule": "iterative"},
    "rounds": {"rounds": 2},
    "train": {"train": TRAIN},
    "final": {"final": TRAINING},
    "taylor": {"criterion": "taylor"},
    "random": {"criterion": "random"},
    "l1": {"regularisation": Regularisation(name="l1", strength=1e-3)},
    "l2": {"regularisation": Regularisation(name="l2", strength=1e-2)},
    "group-lasso": {"regularisation": Regularisation(name="group-lasso", strength=1e-3)},
    "growing": {"regularisation": Regularisation(name="growing", strength=1.0)},
    "distil": {"distil": Distil()},
    "temperature": {"distil": Distil(temperature=2)},
    "alpha": {"distil": Distil(alpha=0.5)},
}


@pytest.mark.parametrize("target", ["compression", "channels"])
def test_every_option_has_an_effect(dataset: Dataset, target: str) -> None:
    variants = {"none": CUBIC} | {name: dataclasses.replace(CUBIC, **fields) for name, fields in OPTIONS.items()}
    found = {
        name: finetune(network(), PLANS[target], dataset, settings=settings, seed=0).module
        for name, settings in variants.items()
    }
    names = list(found)
    same = [(a, b) for at, a in enumerate(names) for b in names[at + 1 :] if not differs(found[a], found[b])]
    assert same == []


def test_pattern_is_chosen_by_the_criterion(dataset: Dataset) -> None:
    def mask(criterion: Any) -> torch.Tensor:
        settings = dataclasses.replace(ONE_SHOT, criterion=criterion)
        module = finetune(network(), PLANS["2:4"], dataset, settings=settings, seed=0).module
        return module.get_parameter("5.weight") != 0

    masks = [mask(name) for name in ("l1", "taylor", "random")]
    assert len({tuple(one.flatten().tolist()) for one in masks}) == 3
    assert all((one.reshape(16, 18, 4).sum(2) == 2).all() for one in masks)


def test_l2_of_a_weight_is_its_magnitude(dataset: Dataset) -> None:
    by_l2 = dataclasses.replace(CUBIC, criterion="l2")
    assert_same(
        finetune(network(), 6.0, dataset, settings=CUBIC, seed=0).module,
        finetune(network(), 6.0, dataset, settings=by_l2, seed=0).module,
    )


def test_growing_penalty_empties_what_goes_next(dataset: Dataset, tmp_path: Path) -> None:
    """Before the first pruning, the weights to prune are near zero, but not zero yet."""
    growing = Regularisation(name="growing", strength=20.0)
    settings = dataclasses.replace(CUBIC, regularisation=growing, training=dataclasses.replace(TRAINING, epochs=10))

    def run(**extra: Any) -> FinetuneResult:
        return finetune(network(), 2.0, dataset, settings=settings, seed=0, **extra)

    stages = []
    run(progress=lambda at: stages.append((at.stage, at.done)))
    assert stages[::10] == [
        (f"round {number} of 3{stage}", 20 * number - 19 + late)
        for number in (1, 2, 3)
        for stage, late in ((", penalty", 0), ("", 10))
    ]
    path = tmp_path / "state.ckpt"
    interrupted(run, path, after=10)
    state = load_file(path)
    for name in prunable_weights(network()):
        weight, mask = state[f"module/{name}"], state[f"masks/{name}"]
        assert weight[~mask].abs().max() < 0.1 * weight[mask].abs().mean()
        assert (weight != 0).all()


def stop_at(done: int) -> Callable[[TrainingProgress], None]:
    def stop(at: TrainingProgress) -> None:
        if at.done == done:
            raise Killed

    return stop


def interrupted(run: Callable[..., FinetuneResult], path: Path, after: int) -> None:
    with pytest.raises(Killed):
        run(checkpoint=path, progress=stop_at(after))


@pytest.mark.parametrize("target", PLANS)
def test_resumed_run_ends_the_same(dataset: Dataset, tmp_path: Path, target: str) -> None:
    settings = PruneAndTrainSettings(
        training=TRAINING,
        threads=1,
        schedule="one-shot" if target == "2:4" else "cubic",
        rounds=2,
        train=TRAIN,
        final=TRAINING,
        criterion="taylor",
        regularisation=Regularisation(name="growing", strength=1.0),
        distil=Distil(),
    )

    def run(**extra: Any) -> FinetuneResult:
        return finetune(network(), PLANS[target], dataset, settings=settings, seed=4, **extra)

    whole: list[int] = []
    expected = run(progress=lambda at: whole.append(at.done))
    rounds = 1 if target == "2:4" else 2
    assert whole == list(range(1, 3 + 2 * 2 * rounds + 2 + 1))
    # In the dense training, in a stage with a penalty, between rounds, in the last round, and at the end.
    for after in whole[::3]:
        path = tmp_path / f"{after}.ckpt"
        interrupted(run, path, after)
        rest: list[int] = []
        found = run(checkpoint=path, progress=lambda at, rest=rest: rest.append(at.done))
        # The first report says where it resumes.
        assert rest == [after, *whole[after:]]
        assert_same(found.module, expected.module)
        assert found.accuracies == expected.accuracies


def test_checkpoint_of_other_settings_is_started_over(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "state.ckpt"
    finetune(network(), 6.0, dataset, settings=CUBIC, seed=0, checkpoint=path)
    variants = [(7.0, CUBIC), *[(6.0, dataclasses.replace(CUBIC, **fields)) for fields in OPTIONS.values()]]
    for compression, settings in variants:
        with pytest.raises(Killed):
            finetune(network(), compression, dataset, settings=settings, seed=0, checkpoint=path, progress=stop_at(1))


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        (0.5, ONE_SHOT, "compression must be at least 1 and finite, not 0.5"),
        (float("inf"), ONE_SHOT, "compression must be at least 1 and finite"),
        (float("nan"), ONE_SHOT, "compression must be at least 1 and finite"),
        (PLANS["2:4"], CUBIC, "schedule must be one-shot for 2:4"),
    ],
)
def test_targets_that_cannot_be(
    dataset: Dataset, target: Plan | float, settings: PruneAndTrainSettings, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        finetune(network(), target, dataset, settings=settings, seed=0)


@pytest.mark.parametrize("strength", [0, -1, float("inf"), float("nan")])
def test_strength_must_be_positive(strength: float) -> None:
    with pytest.raises(ValueError, match="strength must be above 0 and finite"):
        Regularisation(name="l1", strength=strength)
