"""Pruning groups, the spaces of layers, and plans made from them."""

from __future__ import annotations

import copy
import math
import re

import numpy as np
import pytest
import torch
from support.searching import GEOMETRIES, space_of, table_of
from torch import nn

from zeroskip.model.pruning.criteria import Random, l1
from zeroskip.model.search.costs.table import cost_table
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.plan import LayerPlan, Plan
from zeroskip.model.search.spaces.space import LayerSpace, PruningGroup, require_reachable


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5))


def test_densities_that_can_be() -> None:
    group = PruningGroup(name="a", layers=("a",), total=8, counts=range(2, 9))
    assert group.least == 0.25
    assert (group.below(0.49), group.above(0.49), group.nearest(0.49)) == (0.375, 0.5, 0.5)
    assert (group.below(0.5), group.above(0.5), group.nearest(0.5)) == (0.5, 0.5, 0.5)
    assert (group.below(0.1), group.nearest(0.1), group.above(1.0), group.above(0.99)) == (0.25, 0.25, 1.0, 1.0)
    halves = PruningGroup(name="a", layers=("a",), total=4, counts=(2, 4))
    assert (halves.below(0.9), halves.above(0.6), halves.nearest(0.8)) == (0.5, 1.0, 1.0)


def test_the_largest_density_that_satisfies_a_condition() -> None:
    group = PruningGroup(name="a", layers=("a",), total=8, counts=range(2, 9))
    assert group.largest(lambda density: density <= 0.7) == 0.625
    assert group.largest(lambda density: density < 0.2) is None
    assert group.largest(lambda density: True) == 1.0


def test_masks_keep_the_largest_of_each_layer() -> None:
    module = network()
    masks = LayerSpace(module, "weights", ["0", "3"], torch.empty(0)).masks(module, {"0": 0.25, "3": 0.1})
    assert set(masks) == {"0.weight", "3.weight"}
    for name, count in (("0.weight", 54), ("3.weight", 12)):
        weight = module.get_parameter(name).detach().abs()
        assert int(masks[name].sum()) == count
        assert weight[masks[name]].min() >= weight[~masks[name]].max()


def test_masks_of_a_pattern() -> None:
    module = network()
    masks = LayerSpace(module, "2:4", ["0", "3"], torch.empty(0)).masks(module, {"0": 0.5, "3": 1.0})
    assert set(masks) == {"0.weight"}
    assert torch.equal(masks["0.weight"].sum(dim=1), torch.full((6, 3, 3), 2))


def test_what_is_zero_goes_first() -> None:
    """Pruned by magnitude, and then further at random: no pruned weight comes back."""
    space = LayerSpace(network(), "weights", ["0", "3"], torch.empty(0))
    first = space.masked({"0": 0.5, "3": 0.5})
    masks = space.masks(first, {"0": 0.3, "3": 0.3}, Random(seed=0))
    for name, mask in masks.items():
        assert int(mask.sum()) == round(0.3 * mask.numel())
        assert not (mask & (first.get_parameter(name) == 0)).any()


def test_the_dense_network_stays_what_it_is() -> None:
    space = LayerSpace(network(), "weights", ["0", "3"], torch.empty(0))
    before = copy.deepcopy(space.module.state_dict())
    pruned = space.masked({"0": 0.5})
    assert int((pruned.get_parameter("0.weight") == 0).sum()) == 108
    assert all(torch.equal(value, before[name]) for name, value in space.module.state_dict().items())
    assert space.remove(pruned, {"0": 0.5}) is pruned


def test_plans() -> None:
    space = LayerSpace(network(), "weights", ["0", "3"], torch.empty(0))
    plan = space.plan({"0": 0.5}, method="by hand", cost="macs", budget=0.9, reached=0.8)
    assert plan.densities == {"0": 0.5, "3": 1.0}
    assert space.densities(plan) == plan.densities
    assert space.kept({"0": 0.5}) == pytest.approx((108 + 120) / 336)
    other = LayerSpace(network(), "2:4", ["0", "3"], torch.empty(0))
    with pytest.raises(ValueError, match="granularity must be 2:4, not weights"):
        other.densities(plan)


def test_what_a_pattern_keeps() -> None:
    """Half of 216 and of 120 weights; a density of 1 is not pruned, and neither is a layer that is not named."""
    space = LayerSpace(network(), "2:4", ["0", "3"], torch.empty(0))
    assert space.kept({"0": 0.5, "3": 1.0}) == pytest.approx((108 + 120) / 336)
    assert space.kept({"3": 0.5}) == pytest.approx((216 + 60) / 336)
    assert space.kept({"0": 0.5, "3": 0.5}) == pytest.approx(0.5)
    assert space.kept({}) == 1


def test_layers_that_do_not_run_stay_whole() -> None:
    space = LayerSpace(network(), "weights", ["3"], torch.empty(0))
    assert space.plan({"3": 0.5}, method="", cost="", budget=1, reached=1).densities == {"0": 1.0, "3": 0.5}


def test_patterns_that_prune() -> None:
    with pytest.raises(ValueError, match=re.escape("N:M pattern that prunes, not 'dense'")):
        LayerSpace(network(), "dense", ["0"], torch.empty(0))


def test_patterns_count_what_they_prune() -> None:
    """A convolution with one channel cannot lose any; of six channels, four stay."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Flatten(), nn.Linear(8 * 16, 5))
    layers = read_layers(module.eval(), np.ones((2, 1, 8, 8), np.float32))
    space = LayerSpace(module, "2:4", [layer.name for layer in layers], torch.empty(0))
    assert [group.name for group in space.groups] == ["2", "4"]
    pruned = space.masked(space.least())
    kept = [int(pruned[at].weight.count_nonzero()) for at in (0, 2, 4)]
    assert kept == [54, 432 * 4 // 6, 320]
    assert space.kept(space.least()) == pytest.approx(sum(kept) / (54 + 432 + 640))
    for cost, places in (("macs", (36, 16, 1)), ("params", (1, 1, 1))):
        table = cost_table(cost, layers, "2:4", geometries=GEOMETRIES)
        expected = sum(count * place for count, place in zip(kept, places, strict=True))
        assert table.total(space.points(space.least())) == pytest.approx(expected)
    with pytest.raises(ValueError, match="Sequential has no layer that 2:4 could prune"):
        LayerSpace(nn.Sequential(nn.Conv2d(1, 6, 3)), "2:4", ["0"], torch.empty(0))


def test_reachable_budgets() -> None:
    space, table = space_of(), table_of()
    least = table.total(space.points(space.least())) / table.dense
    require_reachable(space, table, math.nextafter(least, 1), space.least())
    with pytest.raises(ValueError, match=f"smallest cost that can be reached is {least:.4f} of it"):
        require_reachable(space, table, least * 0.99, space.least())


def test_a_plan_of_a_pattern_has_no_other_density() -> None:
    with pytest.raises(ValueError, match=re.escape("density of 'a' must be 0.5 or 1 with 2:4, not 0.25")):
        Plan(
            granularity="2:4",
            layers=(LayerPlan(name="a", shape=(4, 4), density=0.25),),
            method="",
            cost="",
            budget=1,
            reached=1,
        )


def test_weights_that_come_back_are_the_largest_of_the_dense_network() -> None:
    """Those that are there stay, also where they have become smaller than others of the dense network."""
    module = network()
    space = LayerSpace(module, "weights", ["0", "3"], torch.empty(0))
    before = {"0": 0.25, "3": 0.2}
    pruned = space.masked(before)
    with torch.no_grad():
        pruned[0].weight.mul_(0.01)
    restored = space.restored(pruned, before, {"0": 0.1, "3": 0.6}, l1)
    assert torch.equal(restored[0].weight, pruned[0].weight)
    dense = module[3].weight.detach().flatten()
    expected = torch.zeros(120)
    largest = dense.abs().argsort(descending=True)[:72]
    expected[largest] = dense[largest]
    assert torch.equal(restored[3].weight.detach().flatten(), expected)
    restored = space.restored(pruned, before, {"0": 0.5, "3": 0.2}, l1)
    dense, expected = module[0].weight.detach().flatten(), pruned[0].weight.detach().flatten().clone()
    back = dense.abs().argsort(descending=True)[54:108]
    expected[back] = dense[back]
    assert torch.equal(restored[0].weight.detach().flatten(), expected)
