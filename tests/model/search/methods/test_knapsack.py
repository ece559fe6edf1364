"""The knapsack: no plan of the same choices does less damage, none is above its budget."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.eie.core import CORE as EIE
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.methods import knapsack
from zeroskip.model.search.methods.knapsack import Curve, pack
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.space import Space, cost_share

GEOMETRIES = {EIE.name: EieGeometry(pes=4)}


class Residual(nn.Module):
    """Two convolutions that share their channels, one between them, and a depthwise one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.outer = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 8, 1)
        self.depthwise, self.last = nn.Conv2d(8, 8, 3, groups=8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        x = x + self.outer(self.inner(x).relu())
        return self.last(self.depthwise(x).relu().amax((2, 3)))


class Joined(nn.Module):
    """A layer whose inputs are of three groups."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(6, 5), nn.Linear(6, 9), nn.Linear(6, 7)
        self.last = nn.Linear(21, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.cat([layer(x).relu() for layer in (self.one, self.two, self.three)], 1))


def made(module: nn.Module, shape: tuple[int, ...], cost: str) -> tuple[Space, CostTable]:
    torch.manual_seed(1)
    inputs = torch.randn(16, *shape)
    layers = read_layers(module, inputs[:4].numpy())
    space = ChannelSpace(module, [layer.name for layer in layers], inputs)
    return space, cost_table(cost, layers, "channels", geometries=GEOMETRIES)


def damages(space: Space, seed: int) -> dict[str, Curve]:
    """Random curves, which rise as the density falls."""
    rng = np.random.default_rng(seed)
    rising = {group.name: np.cumsum(rng.exponential(size=6) ** 2) for group in space.groups}
    return {name: (np.linspace(0, 1, 6), (curve - curve[0])[::-1]) for name, curve in rising.items()}


def between(space: Space, table: CostTable, share: float) -> float:
    """A budget between the smallest cost and the dense one."""
    least = cost_share(space, table, space.least())
    return least + share * (1 - least)


@pytest.mark.parametrize("cost", ["macs", "eie-cycles"])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_against_all_plans(cost: str, share: float, seed: int) -> None:
    """Every plan is tried: nothing of the costs, of the pairs or of the bound may be wrong."""
    space, table = made(Residual(), (1, 6, 6), cost)
    budget, curves = between(space, table, share), damages(space, seed)
    counts = [[count / group.total for count in group.counts] for group in space.groups]
    names = [group.name for group in space.groups]
    assert len(names) == 2

    def damage(plan: tuple[float, ...]) -> float:
        return sum(float(np.interp(density, *curves[name])) for name, density in zip(names, plan, strict=True))

    plans = [*itertools.product(*counts)]
    best = min(
        damage(plan) for plan in plans if cost_share(space, table, dict(zip(names, plan, strict=True))) <= budget
    )
    packed = pack(space, table, budget, curves)
    assert cost_share(space, table, packed.densities) <= budget
    assert packed.damage == pytest.approx(damage(tuple(packed.densities[name] for name in names)))
    assert best - 1e-9 <= packed.damage <= best * (1 + 2 * knapsack.GAP) + 1e-9
    assert packed.bound <= best + 1e-6


@pytest.mark.parametrize("cost", ["macs", "eie-cycles"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_layers_with_inputs_of_three_groups(cost: str, share: float) -> None:
    """Their cost is an estimate within the knapsack; the plan is within the budget all the same, and uses it."""
    space, table = made(Joined(), (6,), cost)
    budget = between(space, table, share)
    packed = pack(space, table, budget, damages(space, 0))
    assert cost_share(space, table, packed.densities) <= budget
    for group in space.groups:
        if (density := packed.densities[group.name]) < 1:
            more = {**packed.densities, group.name: group.above(density + 1e-9)}
            assert cost_share(space, table, more) > budget


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_some_of_many_channels(share: float) -> None:
    """Where only some numbers of channels are tried, the plan is near the best of all."""
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(10, 200), nn.ReLU(), nn.Linear(200, 120), nn.ReLU(), nn.Linear(120, 5))
    space, table = made(module, (10,), "macs")
    budget, curves = between(space, table, share), damages(space, 5)
    one, two = space.groups
    first, second = np.array(one.counts) / 200, np.array(two.counts) / 120
    costs = (10 * 200 * first[:, None] + 200 * 120 * first[:, None] * second + 120 * 5 * second) / 26_600
    loss = np.interp(first, *curves[one.name])[:, None] + np.interp(second, *curves[two.name])
    best = loss[costs <= budget].min()
    packed = pack(space, table, budget, curves)
    assert best - 1e-9 <= packed.damage <= 1.05 * best


def test_the_same_plan_again() -> None:
    space, table = made(Residual(), (1, 6, 6), "macs")
    assert pack(space, table, 0.5, damages(space, 9)) == pack(space, table, 0.5, damages(space, 9))
