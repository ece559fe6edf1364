import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zeroskip.model.pruning.criteria import magnitude
from zeroskip.model.pruning.masks import (
    Masks,
    allocate_globally,
    allocate_per_layer,
    keep_largest,
    kept_count,
)


def test_magnitude_has_no_gradient() -> None:
    scores = magnitude(nn.Parameter(torch.tensor([[-2.0, 1.0]])))
    assert scores.tolist() == [[2, 1]]
    assert not scores.requires_grad


@pytest.mark.parametrize("count", range(7))
def test_keep_largest_keeps_exactly_so_many(count: int) -> None:
    scores = torch.tensor([[1.0, 3.0, 3.0], [3.0, 0.0, 2.0]])
    order = [(0, 1), (0, 2), (1, 0), (1, 2), (0, 0), (1, 1)]
    mask = keep_largest(scores, count)
    assert mask.dtype == torch.bool
    assert {tuple(where) for where in mask.nonzero().tolist()} == set(order[:count])


def test_keep_largest_of_a_large_tensor_of_ties() -> None:
    mask = keep_largest(torch.ones(100_000), 33_333)
    assert mask[:33_333].all()
    assert not mask[33_333:].any()


def test_keep_largest_refuses() -> None:
    with pytest.raises(ValueError, match=r"^count must be 0 to 3, not 4$"):
        keep_largest(torch.ones(3), 4)
    with pytest.raises(ValueError, match=r"^scores must be numbers, but some are NaN$"):
        keep_largest(torch.tensor([1, float("nan")]), 1)


def test_kept_count() -> None:
    assert [kept_count(100, density) for density in (1, 0.5, 0.126, 0.001)] == [100, 50, 13, 1]
    with pytest.raises(ValueError, match=r"^density must be above 0 and at most 1, not 0$"):
        kept_count(100, 0)


SCORES = {"a": torch.tensor([[9.0, 8.0], [7.0, 1.0]]), "b": torch.tensor([6.0, 0.5, 0.4, 0.3])}


def test_per_layer_allocation() -> None:
    masks = allocate_per_layer(SCORES, {"a": 0.25, "b": 0.5})
    assert masks["a"].tolist() == [[True, False], [False, False]]
    assert masks["b"].tolist() == [True, True, False, False]
    with pytest.raises(ValueError, match=re.escape("densities must name ['a', 'b'], not ['a']")):
        allocate_per_layer(SCORES, {"a": 0.5})


def test_global_allocation() -> None:
    masks = allocate_globally(SCORES, 0.5)
    assert masks["a"].tolist() == [[True, True], [True, False]]
    assert masks["b"].tolist() == [True, False, False, False]


@pytest.mark.parametrize("optimizer_class", [torch.optim.SGD, torch.optim.Adam])
def test_masks_hold_in_every_step_and_leave_an_ordinary_module(
    optimizer_class: type[torch.optim.Optimizer],
) -> None:
    """Masked weights are zero from the first step in the block to its end, but not after the next step."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    keys, classes = list(module.state_dict()), [type(part) for part in module.modules()]
    masks = {name: torch.rand(module.get_parameter(name).shape) < 0.4 for name in ("0.weight", "2.weight")}
    inputs, labels = torch.randn(32, 6), torch.randint(3, (32,))

    def step(optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        F.cross_entropy(module(inputs), labels).backward()
        optimizer.step()

    def held() -> bool:
        return all(
            torch.equal(module.get_parameter(name) != 0, mask)  # kept ones move, so they are not zero
            for name, mask in masks.items()
        )

    # Momentum from before the block would change the masked weights.
    optimizer = optimizer_class(module.parameters(), lr=0.05, weight_decay=0.01)
    step(optimizer)
    with Masks(module, masks):
        assert held()
        for _ in range(20):
            step(optimizer)
            assert held()
    assert held()
    assert list(module.state_dict()) == keys
    assert [type(part) for part in module.modules()] == classes
    step(optimizer)
    assert not held()


def test_masks_let_go_after_an_error() -> None:
    module = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with pytest.raises(KeyboardInterrupt), Masks(module, {"weight": torch.zeros(2, 2, dtype=torch.bool)}):
        raise KeyboardInterrupt
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert module.weight.count_nonzero() == 4


def test_masked_weights_are_zero_after_the_block_whoever_wrote_them() -> None:
    module = nn.Linear(3, 1)
    with Masks(module, {"weight": torch.tensor([[True, False, True]])}), torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 2.0, 3.0]]))
    assert module.weight.tolist() == [[1, 0, 3]]


def test_masks_clear_what_no_product_would() -> None:
    module = nn.Linear(3, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[float("nan"), float("inf"), -1.0]]))
    with Masks(module, {"weight": torch.zeros(1, 3, dtype=torch.bool)}):
        assert module.weight.tolist() == [[0, 0, 0]]
        assert not module.weight.signbit().any()


def test_masks_must_fit_the_module() -> None:
    with pytest.raises(ValueError, match=r"^masks must name parameters of the module, not 'wight'$"):
        Masks(nn.Linear(2, 3), {"wight": torch.ones(3, 2, dtype=torch.bool)})
    message = "the mask of 'weight' must be bool (3, 2), not torch.float32 (2, 3)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Masks(nn.Linear(2, 3), {"weight": torch.ones(2, 3)})
