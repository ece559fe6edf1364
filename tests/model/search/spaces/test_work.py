"""The work of running a network, counted by hand; and the limit on it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zeroskip.model.search.spaces import work
from zeroskip.model.search.spaces.work import OPERATION, PRODUCTS, Allowance, TooLong, work_of


def test_values_and_their_products_count() -> None:
    """A convolution gives 2 x 6 x 5 x 4 values of 3 x 3 x 3 products each; a linear layer
    2 x 7 values of 120 products; two other operations 2 x 120 values each. In groups, each value has fewer."""
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(120, 7)).eval()
    images, wide = torch.zeros(2, 3, 7, 6), torch.zeros(2, 6, 7, 6)
    operations, values = work_of(lambda: network(images))
    assert values == pytest.approx(240 * (1 + 27 / PRODUCTS) + 2 * 240 + 14 * (1 + 120 / PRODUCTS))
    assert operations == 4 * OPERATION
    grouped = nn.Conv2d(6, 6, 3, groups=3)
    assert work_of(lambda: grouped(wide)) == (OPERATION, pytest.approx(240 * (1 + 18 / PRODUCTS)))


def test_what_gives_no_tensor_is_no_work() -> None:
    x = torch.ones(3, 4)
    assert work_of(lambda: (x.size(0), x.shape, len(x))) == (0, 0)


def test_more_than_the_limit_is_refused_and_not_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "LIMIT", 10.0)
    allowance = Allowance()
    allowance.spend(4.0)
    with pytest.raises(TooLong):
        allowance.spend(6.5)
    assert allowance.left == 6.0
    allowance.spend(6.0)
    assert allowance.left == 0.0
