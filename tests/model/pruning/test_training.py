import math
import re

import pytest
import torch
from torch import nn

from zeroskip.model.pruning.training import TrainingSettings, evaluate, train

INPUTS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
LABELS = (INPUTS[:, 0] > 0).long()
TRAINING = TrainingSettings(epochs=4, learning_rate=0.1, weight_decay=1e-4, batch_size=16)


def dropout_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))


def trained(
    training: TrainingSettings, *, seed: int = 0, stage: int = 0
) -> tuple[nn.Sequential, list[tuple[int, float]]]:
    module, reports = dropout_network(), []
    train(
        module,
        INPUTS,
        LABELS,
        training=training,
        optimizer=training.make_optimizer(module),
        seed=seed,
        stage=stage,
        on_epoch=lambda *report: reports.append(report),
    )
    return module, reports


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_learns_and_reports_every_epoch(optimizer: str) -> None:
    training = TrainingSettings(epochs=30, learning_rate=0.05, weight_decay=0, batch_size=16, optimizer=optimizer)
    module, reports = trained(training)
    assert [epoch for epoch, _ in reports] == list(range(1, 31))
    assert reports[-1][1] < reports[0][1] / 2
    assert evaluate(module, INPUTS, LABELS) > 0.95
    assert module.training


def test_training_depends_on_seed_and_stage_alone() -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    weight = trained(TRAINING)[0][0].weight
    torch.rand(7)
    assert torch.equal(trained(TRAINING)[0][0].weight, weight)
    assert not torch.equal(trained(TRAINING, seed=1)[0][0].weight, weight)
    assert not torch.equal(trained(TRAINING, stage=1)[0][0].weight, weight)
    torch.set_rng_state(state)
    module = dropout_network()
    state = torch.get_rng_state()
    train(
        module,
        INPUTS,
        LABELS,
        training=TRAINING,
        optimizer=TRAINING.make_optimizer(module),
        seed=0,
        stage=0,
        on_epoch=lambda *_: None,
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_learning_rate_falls_along_half_a_cosine() -> None:
    assert [TRAINING.rate(progress) for progress in (0, 0.25, 0.5, 1)] == pytest.approx(
        [0.1, 0.05 * (1 + math.sqrt(0.5)), 0.05, 0]
    )
    constant = TrainingSettings(epochs=4, learning_rate=0.1, weight_decay=0, batch_size=16, constant=True)
    assert constant.rate(0.9) == 0.1


def test_divergence_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match=r"^training diverged: the loss is nan; lower the learning rate$"):
        trained(TrainingSettings(epochs=5, learning_rate=1e30, weight_decay=0, batch_size=16))


class Awkward(nn.Module):
    """Returns two tensors in train mode, or fails there."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.layer, self.fails = nn.Linear(2, 3), fails

    def forward(self, x: torch.Tensor) -> object:
        if self.training and self.fails:
            raise KeyError("no labels")
        return (self.layer(x), x) if self.training else self.layer(x)


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (True, "the network fails in train mode: KeyError: 'no labels'"),
        (False, "the network must return a tensor in train mode too, not tuple"),
    ],
)
def test_networks_that_are_others_in_train_mode(fails: bool, message: str) -> None:
    training = TrainingSettings(epochs=1, learning_rate=0.1, weight_decay=0.0, batch_size=8)
    module = Awkward(fails)
    optimizer, samples = training.make_optimizer(module), (torch.ones(8, 2), torch.zeros(8, dtype=torch.int64))
    with pytest.raises(ValueError, match=re.escape(message)):
        train(module, *samples, training=training, optimizer=optimizer, seed=0, stage=0, on_epoch=lambda *_: None)


def test_a_frozen_network_cannot_be_trained() -> None:
    training = TrainingSettings(epochs=1, learning_rate=0.1, weight_decay=0.0, batch_size=8)
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].requires_grad_(False)
    training.make_optimizer(module)
    with pytest.raises(ValueError, match="Sequential cannot be trained: requires_grad is False"):
        training.make_optimizer(module.requires_grad_(False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": -1}, "epochs must be at least 0, not -1"),
        ({"learning_rate": 0}, "learning_rate must be above 0 and finite, not 0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0 and finite, not nan"),
        ({"learning_rate": math.inf}, "learning_rate must be above 0 and finite, not inf"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0 and finite, not -0.1"),
        ({"weight_decay": math.inf}, "weight_decay must be at least 0 and finite, not inf"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"optimizer": "lion"}, "optimizer must be 'sgd' or 'adam', not 'lion'"),
    ],
)
def test_course_is_checked(change: dict, message: str) -> None:
    good = {"epochs": 1, "learning_rate": 0.1, "weight_decay": 0, "batch_size": 1}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TrainingSettings(**{**good, **change})


def test_evaluate_counts_across_batches_in_eval_mode() -> None:
    inputs = torch.eye(2).repeat(5000, 1)
    module = nn.Sequential(nn.Identity(), nn.Dropout(0.9)).train()
    labels = inputs.argmax(1)
    labels[:1000] = 1 - labels[:1000]
    assert evaluate(module, inputs, labels) == 0.9
    assert module.training


def test_a_network_that_fails_on_a_batch_is_named() -> None:
    class Few(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert len(x) < 10, "too many"
            return super().forward(x)

    with pytest.raises(ValueError, match=r"^the network fails in evaluation mode: AssertionError: too many"):
        evaluate(Few(2, 3), INPUTS, LABELS)
