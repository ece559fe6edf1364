"""NetAdapt against the paper's algorithm written out: the steps, and the weights after them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.by_hand import assert_close, sgd, short_order
from support.searching import GEOMETRIES, space_of, table_of, trained
from torch import Tensor, nn

from zeroskip.model.progress import silent
from zeroskip.model.search.clock import Clock
from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.evaluation import LOSS
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.methods.netadapt import (
    CUTS,
    FITTED,
    TRAINED,
    NetAdaptResult,
    _first_step,
    _merit,
    _plans,
    netadapt,
)
from zeroskip.model.search.progress import ReportProgress, SearchProgress
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.settings import NetAdaptSettings
from zeroskip.model.search.spaces.space import LayerSpace, Space
from zeroskip.model.search.storage.journal import Journal

BUDGET, SEED = 0.23, 5
SIZES = {"0": 160, "2": 64}
"""Weights of the two layers of `trained()`."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For networks as small as these, more threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def adapt(
    folder: Path,
    space: Space,
    table: CostTable,
    settings: NetAdaptSettings,
    budget: float,
    workers: int = 1,
    progress: ReportProgress = silent,
    resume: bool = False,
    clock: Clock | None = None,
) -> NetAdaptResult:
    _, inputs, labels = trained()
    return netadapt(
        space,
        table,
        budget,
        settings=settings,
        samples=Samples(inputs=inputs[:200], labels=labels[:200]),
        validation=Samples(inputs=inputs[200:], labels=labels[200:]),
        journal=Journal(folder / "journal", "this", resume=resume),
        workers=workers,
        seed=SEED,
        clock=clock,
        progress=progress,
    )


def accuracy_of(module: nn.Module) -> float:
    _, inputs, labels = trained()
    with torch.no_grad():
        return float((module.eval()(inputs[200:]).argmax(1) == labels[200:]).double().mean())


def pruned_to(module: nn.Module, kept: dict[str, int]) -> tuple[nn.Module, dict[str, Tensor]]:
    """A copy with the largest weights of each layer, and their masks."""
    module = copy.deepcopy(module)
    masks = {}
    for name, count in kept.items():
        weight = module.get_parameter(f"{name}.weight")
        order = sorted(range(weight.numel()), key=lambda at, weight=weight: -abs(weight.flatten()[at].item()))
        mask = torch.zeros(weight.numel(), dtype=torch.bool)
        mask[order[:count]] = True
        masks[f"{name}.weight"] = mask.reshape(weight.shape)
        with torch.no_grad():
            weight[~masks[f"{name}.weight"]] = 0
    return module, masks


def algorithm_1(settings: NetAdaptSettings, ratio: bool) -> tuple[list[tuple[str, int, float]], nn.Module]:
    """The (group, weights kept, accuracy) of every step, and the last network. The cost is the number of weights."""
    dense, inputs, labels = trained()
    module, kept = copy.deepcopy(dense), dict(SIZES)
    whole = sum(SIZES.values())
    accuracy, cost, saving = accuracy_of(module), 1.0, settings.step or 0.0
    steps = []
    while cost > BUDGET:
        # A step saves at most an eighth of what is left.
        target = max(BUDGET, cost - min(saving, cost / 8))
        proposals = []
        for group in SIZES:
            left = [
                count
                for count in range(round(0.02 * SIZES[group]), kept[group])
                if (sum(kept.values()) - kept[group] + count) / whole <= target
            ]
            if not left:
                continue
            proposed = {**kept, group: max(left)}
            trial, masks = pruned_to(module, proposed)
            some = short_order(
                inputs[:200], labels[:200], settings.iterations * settings.batch_size, seed=SEED, number=len(steps)
            )
            sgd(
                trial,
                *some,
                epochs=1,
                rate=settings.learning_rate,
                decay=1e-4,
                batch=settings.batch_size,
                constant=True,
                seed=SEED,
                stage=len(steps),
                masks=masks,
            )
            reached = accuracy_of(trial)
            saved = cost - sum(proposed.values()) / whole
            value = -(accuracy - reached + 1e-6) / (saved + 1e-5) if ratio else reached
            proposals.append((value, group, proposed, reached, trial))
        best = max(value for value, *_ in proposals)
        _, group, kept, accuracy, module = next(one for one in proposals if one[0] == best)
        cost = sum(kept.values()) / whole
        steps.append((group, kept[group], accuracy))
        saving *= settings.decay
    return steps, module


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("pick", ["ratio", "accuracy"])
def test_steps_and_weights(tmp_path: Path, pick: Any, workers: int) -> None:
    """The network is the masked one of the last step, in one process or trained in others."""
    settings = NetAdaptSettings(step=0.2, decay=0.95, iterations=6, batch_size=20, learning_rate=0.05, pick=pick)
    steps, module = algorithm_1(settings, pick == "ratio")
    states: list[SearchProgress] = []
    found = adapt(
        tmp_path, space_of("weights"), table_of("params", "weights"), settings, BUDGET, workers, states.append
    )
    assert [(step.group, round(step.density * SIZES[step.group]), step.accuracy) for step in found.steps] == steps
    assert len({group for group, *_ in steps}) == 2
    assert_close(found.module, module)
    # The percentage is that of the way to the budget before the iteration.
    before = [(accuracy_of(trained()[0]), 1.0), *[(step.accuracy, step.cost) for step in found.steps[:-1]]]
    assert states.pop().trying == "the dense network, pruned at once"
    for state in states:
        number = int(state.trying.removeprefix("iteration ").partition(":")[0]) - 1
        accuracy, cost = before[number]
        assert state.done == round(100 * (1 - cost) / (1 - BUDGET))
        assert (state.total, state.best, state.cost) == (100, accuracy, cost)
    shown = {state.trying: state.accuracy for state in states}
    for number, step in enumerate(found.steps, 1):
        assert shown[f"iteration {number}: {step.group} at {step.density:.1%}"] == step.accuracy
    counts = {name: int(found.module.get_parameter(f"{name}.weight").count_nonzero()) for name in SIZES}
    assert counts == {name: round(density * SIZES[name]) for name, density in found.densities.items()}


def scripted(
    accuracies: dict[tuple[str, ...], float], losses: dict[tuple[str, ...], float] | None = None
) -> Callable[..., tuple[float, float]]:
    """Instead of measuring: the accuracy and the loss by the names of the layers that are pruned. Without `losses` the
    loss is 1 - accuracy."""

    def measured(module: nn.Module, *_: Tensor) -> tuple[float, float]:
        layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}
        pruned = tuple(name for name, layer in layers.items() if (layer.weight == 0).any())
        return accuracies[pruned], 1 - accuracies[pruned] if losses is None else losses[pruned]

    return measured


@pytest.mark.parametrize(("pick", "first"), [("ratio", "0"), ("accuracy", "2"), (None, "0")])
def test_a_larger_loss_may_be_worth_its_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pick: Any, first: str
) -> None:
    """The first layer saves 64 of 224 weights for an accuracy of 0.08, the second 32 for 0.05. The ratios prefer the
    first, the accuracy the second."""
    loss = {(): 0.9, ("0",): 0.82, ("2",): 0.85, ("0", "2"): 0.7}
    monkeypatch.setattr("zeroskip.model.search.methods.netadapt.evaluate_with_loss", scripted(loss))
    settings = NetAdaptSettings(step=0.1, iterations=0, **({} if pick is None else {"pick": pick}))
    found = adapt(tmp_path, space_of("2:4"), table_of("params", "2:4"), settings, 0.6)
    # The second layer comes back when the first one saves more than it must.
    assert [step.group for step in found.steps] == (["0", "2"] if first == "0" else ["2", "0", "2"])
    assert [step.accuracy for step in found.steps] == ([0.82, 0.7] if first == "0" else [0.85, 0.82, 0.7])


@pytest.mark.parametrize(("pick", "first"), [("ratio", "0"), ("accuracy", "0"), ("loss", "2"), (None, "2")])
def test_the_loss_decides_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pick: Any, first: str) -> None:
    """Both layers lose the same accuracy, and the first saves twice as much; but its loss rises by 0.4, that of the
    second by 0.1."""
    accuracies = {(): 0.9, ("0",): 0.85, ("2",): 0.85, ("0", "2"): 0.8}
    losses = {(): 0.3, ("0",): 0.7, ("2",): 0.4, ("0", "2"): 0.8}
    monkeypatch.setattr("zeroskip.model.search.methods.netadapt.evaluate_with_loss", scripted(accuracies, losses))
    settings = NetAdaptSettings(step=0.1, iterations=0, **({} if pick is None else {"pick": pick}))
    found = adapt(tmp_path, space_of("2:4"), table_of("params", "2:4"), settings, 0.6)
    assert found.steps[0].group == first


def test_a_gain_is_not_better_for_saving_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first layer gains more and saves more; the ratio of the authors' code, -0.08 / (64 / 224), would be larger
    than that of the second, -0.05 / (32 / 224)."""
    monkeypatch.setattr(
        "zeroskip.model.search.methods.netadapt.evaluate_with_loss",
        scripted({(): 0.5, ("0",): 0.58, ("2",): 0.55, ("0", "2"): 0.5}),
    )
    settings = NetAdaptSettings(step=0.1, iterations=0)
    found = adapt(tmp_path, space_of("2:4"), table_of("params", "2:4"), settings, 0.6)
    assert found.steps[0].group == "0"


def test_of_equal_proposals_the_first_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10)).eval()
    _, inputs, _ = trained()
    layers = read_layers(module, inputs[:4].numpy())
    monkeypatch.setattr("zeroskip.model.search.methods.netadapt.evaluate_with_loss", lambda *_: (0.5, 1.0))
    table = cost_table("params", layers, "weights", geometries=GEOMETRIES)
    for pick in ("loss", "ratio", "accuracy"):
        (tmp_path / pick).mkdir()
        settings = NetAdaptSettings(step=0.2, decay=1.0, iterations=0, pick=pick)  # type: ignore[arg-type]
        space = LayerSpace(module, "weights", ["0", "2", "4"], torch.empty(0))
        found = adapt(tmp_path / pick, space, table, settings, 0.88)
        assert [step.group for step in found.steps] == ["0"]


def test_the_value_of_a_proposal() -> None:
    """As in the authors' code: -(loss + 1e-6) / (saving + 1e-5). Without a loss, the larger saving is better."""
    for lost, saved in ((0.0, 0.1), (0.0, 0.2), (0.1, 0.0), (0.4, 0.4)):
        assert _merit(lost, saved) == pytest.approx(-(lost + 1 / 1_000_000) / (saved + 1 / 100_000), rel=1e-9)
    assert _merit(0.0, 0.2) > _merit(0.0, 0.1)


def test_values_never_fall_with_the_saving_or_with_what_is_gained() -> None:
    """From a loss over none to a gain, and from hardly any saving to a large one."""
    lost, savings = np.linspace(0.3, -0.3, 13), np.array([1e-4, 0.01, 0.02, 0.2, 0.5])
    values = np.array([[_merit(one, saved) for saved in savings] for one in lost])
    assert (np.diff(values, axis=0) > 0).all()
    assert (np.diff(values, axis=1) > 0).all()


def plans(space: Space, table: CostTable, densities: dict[str, float], target: float) -> list[tuple[str, float]]:
    """(group, its density) of the proposals, where the other groups stay as they are."""
    found = _plans(space, table, densities, target)
    assert all(plan == {**densities, name: plan[name]} for name, plan in found)
    return [(name, plan[name]) for name, plan in found]


def test_the_densities_that_are_proposed() -> None:
    """Of 160 and 64 weights. Each group alone keeps as many as meet the target, also where they just meet it; where
    none can, each is pruned as far as it goes, without the one that is there already."""
    weights = space_of("weights"), table_of("params", "weights")
    assert plans(*weights, {"0": 1.0, "2": 1.0}, 0.5) == [("0", 0.3)]
    assert plans(*weights, {"0": 1.0, "2": 1.0}, 200 / 224) == [("0", 136 / 160), ("2", 40 / 64)]
    patterns = space_of("2:4"), table_of("params", "2:4")
    assert plans(*patterns, {"0": 1.0, "2": 1.0}, 0.4) == [("0", 0.5), ("2", 0.5)]
    assert plans(*patterns, {"0": 0.5, "2": 1.0}, 0.4) == [("2", 0.5)]
    assert plans(*patterns, {"0": 0.5, "2": 0.5}, 0.4) == []


def three_layers(granularity: str = "2:4") -> tuple[LayerSpace, CostTable]:
    """Layers of 40, 80 and 400 weights."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(10, 4), nn.ReLU(), nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 20)).eval()
    _, inputs, _ = trained()
    table = cost_table("params", read_layers(module, inputs[:4].numpy()), granularity, geometries=GEOMETRIES)
    return LayerSpace(module, granularity, ["0", "2", "4"], torch.empty(0)), table


def test_what_a_leap_leaves_over_goes_back() -> None:
    """The last layer leaves 264 of 520 weights at once. Then the first layer takes back its 16 and the second its 40,
    as far as the target allows."""
    space, table = three_layers()
    before = {"0": 0.5, "2": 0.5, "4": 1.0}
    both = {"0": 1.0, "2": 1.0}
    for target, back in ((279, {}), (280, {"0": 1.0}), (319, {"0": 1.0}), (320, both)):
        assert _plans(space, table, before, target / 520) == [("4", {**before, "4": 0.5, **back})]


def test_what_comes_back_are_the_dense_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first layer comes back after the leap of the second, and is pruned again. After the leap of the last one both
    are as in the dense network."""
    space, table = three_layers()
    values = {(): 0.9, ("0",): 0.9, ("2",): 0.8, ("4",): 0.5, ("0", "2"): 0.8, ("0", "4"): 0.6, ("2", "4"): 0.6}
    monkeypatch.setattr(
        "zeroskip.model.search.methods.netadapt.evaluate_with_loss", scripted({**values, ("0", "2", "4"): 0.5})
    )
    settings = NetAdaptSettings(step=0.03, decay=1.0, iterations=0, pick="accuracy")
    found = adapt(tmp_path, space, table, settings, 0.7)
    assert [step.group for step in found.steps] == ["0", "2", "0", "4"]
    assert found.densities == {"0": 1.0, "2": 1.0, "4": 0.5}
    assert found.steps[-1].cost == pytest.approx(320 / 520)
    for name in ("0", "2"):
        assert torch.equal(found.module.get_parameter(f"{name}.weight"), space.module.get_parameter(f"{name}.weight"))
    assert int(found.module.get_parameter("4.weight").count_nonzero()) == 200


def test_what_comes_back_and_is_trained_in_another_process(tmp_path: Path) -> None:
    """The weights of a search in which layers come back do not depend on where they were trained."""
    settings = NetAdaptSettings(step=0.03, decay=1.0, iterations=4, batch_size=20, learning_rate=0.05, pick="accuracy")
    space, table = three_layers()
    alone, together = (adapt(tmp_path / str(workers), space, table, settings, 0.6, workers) for workers in (1, 2))
    assert len(alone.steps) > 3, "a layer came back"
    assert (alone.densities, alone.steps) == (together.densities, together.steps)
    for name, value in alone.module.state_dict().items():
        assert torch.equal(value, together.module.state_dict()[name])


class Scripted:
    """Instead of measuring: an accuracy that falls as fast as the script says with the weights that are gone."""

    def __init__(self, slope: float) -> None:
        self.slope = slope
        self.measured: list[int] = []

    def __call__(self, module: nn.Module, *_: Tensor) -> tuple[float, float]:
        gone = sum(int((layer.weight == 0).sum()) for layer in module.modules() if isinstance(layer, nn.Linear))
        self.measured.append(gone)
        accuracy = max(0.1, 0.9 - self.slope * gone)
        return accuracy, 1 - accuracy


@pytest.mark.parametrize(("slope", "halvings"), [(0.001, 0), (0.44 / 20, 1), (0.44 / 5, 3), (0.44 / 3, 4), (1.0, None)])
def test_a_first_step_that_ruins_the_network_is_made_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slope: float, halvings: int | None
) -> None:
    """A step of 28 of the 224 weights. Half of the accuracy goes with 21, 6 or 4 weights, so that the step is halved
    until no more are lost at first; one that 2 weights (a 16th) ruin too stays as it was."""
    measure = Scripted(slope)
    monkeypatch.setattr("zeroskip.model.search.methods.netadapt.evaluate_with_loss", measure)
    settings = NetAdaptSettings(step=0.125, decay=0.9, iterations=0)
    found = adapt(tmp_path, space_of("weights"), table_of("params", "weights"), settings, 0.2)
    costs = [round(224 * step.cost) for step in found.steps]
    first = -(-28 // 2 ** (halvings or 0))
    assert costs[0] == 224 - first
    if halvings is None:
        assert CUTS == 4
        assert {28, 14, 7, 4, 2} <= set(measure.measured)
    assert costs[-1] == 44
    if halvings and halvings > 2:
        # Steps of 4 or 2 that shrink by 0.9 would never save 180 weights, so they stay as large.
        assert len(costs) == 180 / first


def chain(granularity: str = "weights") -> tuple[LayerSpace, CostTable]:
    """Six layers of 64 weights, of 496 in all, with samples to fit them on."""
    torch.manual_seed(0)
    layers = [layer for _ in range(6) for layer in (nn.Linear(8, 8), nn.ReLU())]
    module = nn.Sequential(nn.Linear(10, 8), *layers, nn.Linear(8, 4)).eval()
    _, inputs, _ = trained()
    table = cost_table("params", read_layers(module, inputs[:4].numpy()), granularity, geometries=GEOMETRIES)
    return LayerSpace(module, granularity, [str(number) for number in range(1, 12, 2)], inputs[:100]), table


@pytest.mark.parametrize(
    ("granularity", "asked", "first", "decay"),
    [
        ("weights", 0.06, 0.06, 0.9),
        ("weights", 0.07, 0.035, 1.0),
        ("weights", 0.12, 0.06, 0.9),
        ("weights", 0.5, 0.0625, 0.9),
        ("2:4", 0.064, 0.064, 0.9),
        ("2:4", 0.066, 0.033, 1.0),
        ("1:4", 0.12, 0.12, 0.9),
    ],
)
def test_a_first_step_leaves_groups_half_of_what_they_have(
    granularity: str, asked: float, first: float, decay: float
) -> None:
    """Layers of 64 of 496 weights can lose 32. With 1:4, no step leaves them half. 30 steps would begin with 0.052."""
    space, table = chain(granularity)
    assert _first_step(space, table, 0.5, NetAdaptSettings(step=asked, decay=0.9)) == (first, decay)


def test_layers_that_could_save_little_do_not_count() -> None:
    """A layer of 400 weights of 520 makes the step, though the others cannot meet it."""
    space, table = three_layers("weights")
    assert _first_step(space, table, 0.5, NetAdaptSettings(step=0.12)) == (0.12, 0.96)


def test_no_step_saves_more_than_an_eighth_of_what_is_left(tmp_path: Path) -> None:
    found = adapt(
        tmp_path,
        space_of("weights"),
        table_of("params", "weights"),
        NetAdaptSettings(step=0.1, decay=1.0, iterations=0),
        0.1,
    )
    kept = [224, *(round(224 * step.cost) for step in found.steps)]
    # 22.4 weights are an eighth of 179.
    steps = [max(kept[at] - max(22.4, kept[at] - min(22.4, kept[at] / 8)), 0) for at in range(len(kept) - 1)]
    assert [before - after for before, after in pairwise(kept)] == [math.ceil(step) for step in steps]


def test_no_layer_is_emptied_at_once(tmp_path: Path) -> None:
    """A step of 49.6 of 496 weights would leave 14 of the 64 of a layer; half of it leaves 39."""
    space, table = chain()
    found = adapt(tmp_path, space, table, NetAdaptSettings(step=0.1, decay=1.0, iterations=0), 0.8)
    assert found.steps[0].density == 39 / 64


@pytest.mark.parametrize("refit", [True, False])
def test_only_the_best_after_the_fit_are_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refit: bool) -> None:
    """Of six proposals, the three of the lowest loss per saving after the fit; without a fit, all six."""
    batches: list[int] = []
    monkeypatch.setattr(
        "zeroskip.model.search.methods.netadapt.train_for_batches",
        lambda *_, iterations, **__: batches.append(iterations),
    )
    space, table = chain()
    space.refit = refit
    found = adapt(tmp_path, space, table, NetAdaptSettings(step=0.05, iterations=7), 0.95)
    assert len(found.steps) == 1
    assert batches == [7] * (TRAINED if refit else 6)
    known = Journal(tmp_path / "journal", "this", resume=True).known
    trained = [key for key in known if key.endswith("]")]
    if refit:
        fitted = FITTED + LOSS
        before = {
            key.removesuffix(fitted): value for key, value in known.items() if key.endswith(fitted) and key[1] == "0"
        }
        # All save the same here.
        assert set(trained) == set(sorted(before, key=before.__getitem__)[:TRAINED])


def test_proposals_measured_before_the_training_are_resumed(tmp_path: Path) -> None:
    """Cut short before and within the training of an iteration, in two processes: the same journal and weights."""
    space, table = chain()
    settings = NetAdaptSettings(step=0.05, iterations=2, batch_size=20, learning_rate=0.05)
    (tmp_path / "whole").mkdir()
    expected = adapt(tmp_path / "whole", space, table, settings, 0.9)
    text = (tmp_path / "whole" / "journal").read_text()
    for at in (3, 8):
        folder = tmp_path / str(at)
        folder.mkdir()
        states: list[SearchProgress] = []

        def stop(state: SearchProgress, at: int = at, states: list[SearchProgress] = states) -> None:
            states.append(state)
            if len(states) == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            adapt(folder, space, table, settings, 0.9, progress=stop)
        assert states[-1].trying.endswith(", before training") == (at <= 6)
        resumed = adapt(folder, space, table, settings, 0.9, workers=2, resume=True)
        assert (folder / "journal").read_text() == text
        assert (resumed.densities, resumed.steps) == (expected.densities, expected.steps)
        for name, value in expected.module.state_dict().items():
            assert torch.equal(value, resumed.module.state_dict()[name])


def test_the_better_of_the_last_step_and_of_pruning_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that makes all classes look alike is not gone on from; one that helps is."""
    space, table = space_of("channels"), table_of("params", "channels")

    def ruin(network: nn.Module, *_: Any, **__: Any) -> None:
        with torch.no_grad():
            network.get_parameter("2.bias").add_(10 * torch.arange(4))

    helps = NetAdaptSettings(step=0.1, iterations=20, batch_size=50, learning_rate=0.05)
    for name, settings in (("helped", helps), ("ruined", NetAdaptSettings(step=0.1, iterations=1))):
        if name == "ruined":
            monkeypatch.setattr("zeroskip.model.search.methods.netadapt.train_for_batches", ruin)
        (tmp_path / name).mkdir()
        found = adapt(tmp_path / name, space, table, settings, 0.5)
        at_once = space.masked(found.densities).state_dict()
        same = all(torch.equal(value, at_once[key]) for key, value in found.module.state_dict().items())
        assert same == (name == "ruined"), name


def test_all_that_is_measured_is_on_the_clock(tmp_path: Path) -> None:
    """The proposals before and after their training, and the dense network pruned at once to the final plan."""
    space, table = chain()
    clock = Clock()
    found = adapt(tmp_path, space, table, NetAdaptSettings(step=0.05, iterations=1), 0.9, clock=clock)
    numbers = [int(key[1]) for key in clock.spent]
    per_step = [6 + TRAINED] * len(found.steps)
    assert [numbers.count(number) for number in range(len(found.steps) + 1)] == [*per_step, 1]
    assert clock.now == pytest.approx(clock.evaluating)


def test_an_iteration_reads_its_network_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the fit of all six proposals is to is measured once, and once more for the final plan."""
    space, table = chain()
    fit_to, fits = space.fit_to, []
    monkeypatch.setattr(space, "fit_to", lambda module: fits.append(module) or fit_to(module))
    found = adapt(tmp_path, space, table, NetAdaptSettings(step=0.05, iterations=0), 0.85)
    assert len(fits) == len(found.steps) + 1


def test_a_step_refits_what_channels_leave_behind(tmp_path: Path) -> None:
    """Without training, the network after one step is the pruned and refitted one, not only the masked one."""
    space = space_of("channels")
    settings = NetAdaptSettings(step=0.3, iterations=0)
    found = adapt(tmp_path, space, table_of("params", "channels"), settings, 0.88)
    assert len(found.steps) == 1
    refitted = space.pruned(space.module, found.densities).state_dict()
    assert all(torch.equal(value, refitted[name]) for name, value in found.module.state_dict().items())
    mask = space.masks(space.module, found.densities)["2.weight"]
    masked = space.module.get_parameter("2.weight") * mask
    assert not torch.allclose(found.module.get_parameter("2.weight"), masked, rtol=0.01, atol=0.01)
