import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from zeroskip.model.pruning.criteria import l1, l2
from zeroskip.model.pruning.masks import Masks, allocate_globally, allocate_per_layer
from zeroskip.model.pruning.regularise import L1, L2, GroupLasso, Growing
from zeroskip.model.pruning.training import Penalty, TrainingSettings, train
from zeroskip.model.pruning.training_run import TrainingProgress, TrainingRun

INPUTS = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
LABELS = (INPUTS[:, 0] + INPUTS[:, 1] > 0).long()
TRAINING = TrainingSettings(epochs=6, learning_rate=0.05, weight_decay=0, batch_size=16)


def network(*, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16, bias=bias), nn.ReLU(), nn.Linear(16, 2, bias=bias))


def trained(
    training: TrainingSettings = TRAINING, penalty: Penalty | None = None, *, bias: bool = True
) -> nn.Sequential:
    module = network(bias=bias)
    train(
        module,
        INPUTS,
        LABELS,
        training=training,
        optimizer=training.make_optimizer(module),
        seed=0,
        stage=0,
        on_epoch=lambda *_: None,
        penalty=penalty,
    )
    return module


def gradient(penalty: Penalty, module: nn.Module, step: int = 0) -> dict[str, torch.Tensor]:
    module.zero_grad()
    penalty(module, step).backward()
    return {name: value.grad for name, value in module.named_parameters() if value.grad is not None}


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (L1(0.3), lambda weight: 0.3 * weight.sign()),
        (L2(0.3), lambda weight: 0.3 * weight),
        (
            GroupLasso(0.3),
            lambda weight: (
                0.3 * math.sqrt(weight[0].numel()) * weight / weight.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
            ),
        ),
    ],
)
def test_gradients_are_those_of_the_formulas(penalty: Penalty, expected: Callable) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3))
    found = gradient(penalty, module)
    # Neither biases nor batch normalisation.
    assert list(found) == ["0.weight"]
    torch.testing.assert_close(found["0.weight"], expected(module[0].weight.detach()))
    # A pruned channel has a gradient, zero, and no NaN.
    with torch.no_grad():
        module[0].weight[1] = 0
    assert not gradient(penalty, module)["0.weight"][1].any()


def test_values_sum_over_layers() -> None:
    module = nn.Sequential(nn.Linear(4, 1), nn.Linear(1, 1))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, -1, 1, 1]]))
        module[1].weight.copy_(torch.tensor([[-3.0]]))
    assert [penalty(module, 9).item() for penalty in (L1(2), L2(2), GroupLasso(2))] == [14, 13, 14]


def test_nothing_given_changes_nothing() -> None:
    plain, nothing = trained(), trained(penalty=lambda *_: torch.zeros(()))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), nothing.parameters(), strict=True))
    other = trained(penalty=L1(1e-2))
    assert not torch.equal(plain[0].weight, other[0].weight)


def test_l2_is_weight_decay_where_there_are_only_weights() -> None:
    decayed = trained(TrainingSettings(epochs=6, learning_rate=0.05, weight_decay=0.01, batch_size=16), bias=False)
    penalised = trained(penalty=L2(0.01), bias=False)
    for a, b in zip(decayed.parameters(), penalised.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_group_lasso_empties_channels_where_l2_does_not() -> None:
    training = TrainingSettings(epochs=40, learning_rate=0.05, weight_decay=0, batch_size=16)
    small = {}
    for penalty in (GroupLasso(0.01), L2(0.05)):
        norms = l2(trained(training, penalty), "channel")["0.weight"]
        small[type(penalty)] = int((norms < norms.max() / 50).sum())
    assert small[GroupLasso] >= 8 > small[L2]


def test_growing_factor() -> None:
    growing = Growing(growth=0.1, every=3, ceiling=0.25)
    factors = [growing.factor(step) for step in (0, 2, 3, 5, 6, 9, 1000)]
    assert factors == pytest.approx([0, 0, 0.1, 0.1, 0.2, 0.25, 0.25])
    module = network()
    mask = torch.rand(16, 6) < 0.5
    found = gradient(growing.on({"0.weight": mask}), module, 6)
    assert list(found) == ["0.weight"]
    torch.testing.assert_close(found["0.weight"], 0.2 * module[0].weight.detach() * ~mask)


GROWING = Growing(growth=0.02, every=2, ceiling=1.0)


def test_what_grows_is_near_zero_before_it_is_pruned_and_costs_little() -> None:
    # A channel is pruned with its weights and its bias.
    channels = allocate_per_layer(l1(network(), "channel"), {"0.weight": 0.25, "2.weight": 1})
    masks = {name: kept[:, None].expand_as(network().get_parameter(name)) for name, kept in channels.items()}
    masks |= {name.replace("weight", "bias"): kept for name, kept in channels.items()}
    training = TrainingSettings(epochs=60, learning_rate=0.05, weight_decay=0, batch_size=16, constant=True)
    changes = []
    for penalty in (None, GROWING.on(masks)):
        module = trained(training, penalty)
        before = module(INPUTS).detach()
        with Masks(module, masks):
            changes.append((module(INPUTS).detach() - before).norm() / before.norm())
    assert changes[1] < 0.01 < 0.1 < changes[0]


class Stop(Exception):
    pass


@pytest.mark.parametrize("epochs", range(1, 2 * TRAINING.epochs))
def test_resumed_growth_equals_an_uninterrupted_one(tmp_path: Path, epochs: int) -> None:
    def whole(module: nn.Module, path: Path | None, stop: int | None = None) -> nn.Module:
        def progress(report: TrainingProgress) -> None:
            if report.done == stop:
                raise Stop

        run = TrainingRun(LABELS, seed=0, total=2 * TRAINING.epochs, configuration="", path=path, progress=progress)

        def choose(current: nn.Module) -> dict[str, torch.Tensor]:
            return allocate_globally(l1(current), 0.3)

        def penalised(name: str, penalise: Callable, keep: str) -> None:
            run.stage(
                name,
                module,
                INPUTS,
                TRAINING,
                keep=keep,
                choose=choose,
                hold=lambda *_: nullcontext(),
                penalise=penalise,
            )

        penalised("grow", GROWING.on, "grown")
        run.stage("prune", module, INPUTS, TRAINING, keep="pruned", choose=choose)
        return module

    path = tmp_path / "run.safetensors"
    uninterrupted = whole(network(), None)
    with pytest.raises(Stop):
        whole(network(), path, epochs)
    resumed = whole(copy.deepcopy(network()), path)
    assert all(torch.equal(a, b) for a, b in zip(uninterrupted.parameters(), resumed.parameters(), strict=True))
    kept = sum(int(module.weight.count_nonzero()) for module in (resumed[0], resumed[2]))
    assert kept == round(0.3 * (6 * 16 + 16 * 2))


def test_settings_are_checked() -> None:
    for kind in (L1, L2, GroupLasso):
        for strength in (0, -1, math.inf):
            with pytest.raises(ValueError, match=f"^strength must be above 0 and finite, not {strength}$"):
                kind(strength)
    for change, message in [
        ({"growth": 0}, "growth must be above 0 and finite, not 0"),
        ({"ceiling": -1}, "ceiling must be above 0 and finite, not -1"),
        ({"every": 0}, "every must be at least 1, not 0"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}$"):
            Growing(**change)
    assert repr(GroupLasso(0.1)) == "GroupLasso(strength=0.1)"
