"""Training against one that is written out: the weights after it, not what they are good for."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
import torch
from support.by_hand import assert_close, sgd, short_order
from torch import Tensor, nn

from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.training import TrainingSettings, train
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.short_training import train_for_batches

INPUTS = torch.randn(41, 2, 6, 6, generator=torch.Generator().manual_seed(0))
LABELS = (INPUTS[:, 0].sum((1, 2)) > 0).long() + (INPUTS[:, 1, 0, 0] > 0).long()


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3)
    )


def some_masks(module: nn.Module) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(2)
    return {
        name: torch.rand(module.get_parameter(name).shape, generator=random) < 0.4 for name in ("0.weight", "5.weight")
    }


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize(("samples", "batch"), [(41, 8), (40, 16), (7, 8), (1, 1)])
def test_weights_after_training(masked: bool, constant: bool, samples: int, batch: int) -> None:
    """41 samples in batches of 8 leave a last one of a single sample, which is left out."""
    settings = TrainingSettings(epochs=3, learning_rate=0.05, weight_decay=0.02, batch_size=batch, constant=constant)
    found, expected = network(), network()
    if samples == 1:
        # Batch normalisation cannot take one sample.
        found[1], expected[1] = nn.Identity(), nn.Identity()
    masks = some_masks(found) if masked else {}
    inputs, labels = INPUTS[:samples], LABELS[:samples]
    means: list[float] = []
    with Masks(found, masks) if masked else contextlib.nullcontext():
        train(
            found,
            inputs,
            labels,
            training=settings,
            optimizer=settings.make_optimizer(found),
            seed=5,
            stage=2,
            on_epoch=lambda _, mean: means.append(mean),
        )
    with torch.no_grad():
        for name, mask in masks.items():
            expected.get_parameter(name)[~mask] = 0
    options: dict[str, Any] = {"epochs": 3, "rate": 0.05, "decay": 0.02, "batch": batch, "constant": constant}
    wanted = sgd(expected, inputs, labels, seed=5, stage=2, masks=masks, **options)
    assert_close(found, expected)
    assert means == pytest.approx(wanted, rel=1e-4)


def test_penalties_count_the_steps_of_all_epochs() -> None:
    """The penalty grows with the number of the step, so a step counted wrongly gives other weights."""
    settings = TrainingSettings(epochs=3, learning_rate=0.05, weight_decay=0.0, batch_size=16)
    found, expected = network(), network()
    seen: list[int] = []

    def penalty(module: nn.Module, step: int) -> Tensor:
        seen.append(step)
        return 0.01 * step * module.get_parameter("5.weight").square().sum()

    means: list[float] = []
    train(
        found,
        INPUTS,
        LABELS,
        training=settings,
        optimizer=settings.make_optimizer(found),
        seed=0,
        stage=0,
        on_epoch=lambda _, mean: means.append(mean),
        penalty=penalty,
    )
    wanted = sgd(
        expected,
        INPUTS,
        LABELS,
        epochs=3,
        rate=0.05,
        decay=0.0,
        batch=16,
        seed=0,
        stage=0,
        penalty=lambda step: 0.01 * step * expected[5].weight.square().sum(),
    )
    assert seen == list(range(9))
    assert_close(found, expected)
    assert means == pytest.approx(wanted, rel=1e-4)


def test_adam_is_torchs_with_its_own_weight_decay() -> None:
    settings = TrainingSettings(epochs=1, learning_rate=0.01, weight_decay=0.03, batch_size=41, optimizer="adam")
    found = network().eval()
    expected = copy.deepcopy(found)
    for module, optimizer in (
        (found, settings.make_optimizer(found)),
        (expected, torch.optim.Adam(expected.parameters(), lr=0.01, betas=(0.9, 0.999), weight_decay=0.03)),
    ):
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(INPUTS), LABELS).backward()
            optimizer.step()
    assert_close(found, expected)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("number", [0, 3])
def test_short_training(constant: bool, number: int) -> None:
    """Seven batches of 16 from 41 samples: three rounds, each in an order of its own."""
    found, expected = network(), network()
    train_for_batches(
        found,
        Samples(inputs=INPUTS, labels=LABELS),
        iterations=7,
        learning_rate=0.03,
        batch_size=16,
        constant=constant,
        seed=9,
        number=number,
    )
    inputs, labels = short_order(INPUTS, LABELS, 7 * 16, seed=9, number=number)
    sgd(
        expected,
        inputs,
        labels,
        epochs=1,
        rate=0.03,
        decay=1e-4,
        batch=16,
        constant=constant,
        seed=9,
        stage=number,
    )
    assert_close(found, expected)


def test_no_iterations_change_nothing() -> None:
    found = network()
    train_for_batches(
        found,
        Samples(inputs=INPUTS, labels=LABELS),
        iterations=0,
        learning_rate=1.0,
        batch_size=4,
        constant=True,
        seed=0,
        number=0,
    )
    assert_close(found, network())
