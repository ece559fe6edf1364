"""Which channels of a network that is pruned already are pruned next, and which are removed."""

from __future__ import annotations

import pytest
import torch
from support.searching import space_of, trained

from zeroskip.model.pruning.criteria import Random, l1, l2


def live_of(weight: torch.Tensor) -> set[int]:
    return set(torch.nonzero(weight.detach().abs().sum(1)).flatten().tolist())


@pytest.mark.parametrize("seed", range(5))
def test_channels_that_are_zero_go_first(seed: int) -> None:
    """Pruned by magnitude, and then further at random: no pruned channel comes back."""
    space = space_of("channels")
    first = space.masked({"0": 0.5})
    kept = live_of(first.get_parameter("0.weight"))
    assert len(kept) == 8
    further = space.pruned(first, {"0": 0.25}, Random(seed))
    assert len(live_of(further.get_parameter("0.weight"))) == 4
    assert live_of(further.get_parameter("0.weight")) < kept
    # As many as were kept: the same, whatever their scores.
    assert live_of(space.pruned(first, {"0": 0.5}, Random(seed)).get_parameter("0.weight")) == kept


@pytest.mark.parametrize("criterion", [l1, l2])
def test_the_largest_channels_stay(criterion) -> None:  # type: ignore[no-untyped-def]
    module, _, _ = trained()
    norms = module.get_parameter("0.weight").detach().norm(p=1 if criterion is l1 else 2, dim=1)
    expected = set(norms.argsort(descending=True)[:6].tolist())
    pruned = space_of("channels").masked({"0": 6 / 16}, criterion)
    assert live_of(pruned.get_parameter("0.weight")) == expected


def test_what_is_zero_is_removed_and_the_rest_stays_in_order() -> None:
    space = space_of("channels")
    pruned = space.masked({"0": 0.25})
    small = space.remove(pruned, {"0": 0.25})
    live = sorted(live_of(pruned.get_parameter("0.weight")))
    assert torch.equal(small.get_parameter("0.weight"), pruned.get_parameter("0.weight")[live])
    assert torch.equal(small.get_parameter("0.bias"), pruned.get_parameter("0.bias")[live])
    assert torch.equal(small.get_parameter("2.weight"), pruned.get_parameter("2.weight")[:, live])
