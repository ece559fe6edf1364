"""A forward() that changes its input in place changes nobody's data, and nothing of the results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zeroskip
from zeroskip.model.search.settings import AmcSettings


class Net(nn.Module):
    def __init__(self, normalise: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.a, self.norm, self.b, self.c = nn.Linear(12, 16), nn.BatchNorm1d(16), nn.Linear(16, 16), nn.Linear(16, 4)
        self.normalise = normalise

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.a(self.normalise(x))))
        return self.c(torch.relu(self.b(x)))


def beside(x: Tensor) -> Tensor:
    return (x - 0.5) / 2


def in_place(x: Tensor) -> Tensor:
    return x.sub_(0.5).div_(2)


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 4, 200)
    return (rng.normal(size=(4, 12))[labels] + 0.4 * rng.normal(size=(200, 12))).astype(np.float32), labels


def train(net: nn.Module, given: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    return zeroskip.train(net, given, settings=zeroskip.TrainSettings(epochs=2)).module


def tune(net: nn.Module, given: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    fine = zeroskip.FinetuneSettings(epochs=1, distil=True)
    return zeroskip.finetune(net, given, compression=2, settings=fine).module


def search(granularity: str, **fields: object) -> Callable[[nn.Module, tuple[np.ndarray, np.ndarray]], nn.Module]:
    def run(net: nn.Module, given: tuple[np.ndarray, np.ndarray]) -> nn.Module:
        settings = zeroskip.SearchSettings(
            method="amc", cost="macs", granularity=granularity, amc=AmcSettings(episodes=4, warm_up=2), **fields
        )
        found = zeroskip.search(net, given, settings=settings)
        fine = zeroskip.FinetuneSettings(epochs=1)
        return zeroskip.finetune(net, given, plan=found, settings=fine).module

    return run


@pytest.mark.parametrize("run", [train, tune, search("weights"), search("channels")], ids=range(4))
def test_the_data_stay_as_they_are(run: Callable[[nn.Module, tuple[np.ndarray, np.ndarray]], nn.Module]) -> None:
    results = []
    for normalise in (beside, in_place):
        given = data()
        results.append(run(Net(normalise).eval(), given).state_dict())
        assert np.array_equal(given[0], data()[0])
    assert results[0].keys() == results[1].keys()
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())


def test_a_refusal_leaves_the_data_too() -> None:
    given = data()
    with pytest.raises(ValueError, match="operation 'sin' is sin"):
        zeroskip.compile(Net(lambda x: in_place(x).sin()).eval(), given)
    assert np.array_equal(given[0], data()[0])
