import itertools

import numpy as np
import pytest
import torch

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.nm import nm_mask
from zeroskip.model.pruning.permutation import search
from zeroskip.model.pruning.permutation_bench import measure


def kept(weight: torch.Tensor, pattern: Pattern) -> float:
    return float(weight.abs()[nm_mask(weight, pattern)].sum())


def test_published_quality_in_seconds() -> None:
    """The published figures for one matrix, and the results for it."""
    found = measure()
    permutation = found.permutation
    # The figures of apex's README for this matrix: unpruned, default 2:4 and 50 % rows.
    assert permutation.total == pytest.approx(4083.169, abs=1e-3)
    assert permutation.before == pytest.approx(2852.377, abs=1e-3)
    assert permutation.bound == pytest.approx(3042.332, abs=1e-3)
    # Better than the published search over triples of stripes.
    assert permutation.after > 2921.9
    assert permutation.efficacy > 0.366
    assert found.seconds > 0


@pytest.mark.parametrize("text", ["2:4", "1:2", "1:4", "4:8", "4:8 pairs"])
@pytest.mark.parametrize("shape", [(6, 16), (5, 11), (3, 10, 2, 2)])
def test_order_is_a_permutation_that_keeps_what_it_says(text: str, shape: tuple[int, ...]) -> None:
    """Each figure of the result is computed again from the order, and compared with the others."""
    pattern = Pattern.parse(text)
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = search(weight, pattern, seed=0, proposals=5000)
    assert sorted(found.order) == list(range(shape[1]))
    assert found.before == pytest.approx(kept(weight, pattern))
    assert found.after == pytest.approx(kept(weight[:, found.order], pattern))
    assert found.before < found.after <= found.bound + 1e-9
    assert found.bound < found.total
    assert 0 < found.efficacy <= 1 + 1e-9


@pytest.mark.parametrize(("text", "columns"), [("2:4", 8), ("2:4", 7), ("2:4 pairs", 6), ("2:4 pairs", 4), ("1:4", 6)])
def test_finds_the_best_of_all_orders(text: str, columns: int) -> None:
    pattern = Pattern.parse(text)
    weight = torch.randn(5, columns, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    if text == "2:4":
        # The channels of the first group, in any order; the rest are the second.
        orders = [
            (*first, *sorted({*range(columns)} - {*first})) for first in itertools.combinations(range(columns), 4)
        ]
    else:
        orders = list(itertools.permutations(range(columns)))
    best = max(kept(weight[:, list(order)], pattern) for order in orders)
    assert search(weight, pattern, seed=0, proposals=20_000).after == pytest.approx(best)


def test_seed_decides() -> None:
    weight = torch.randn(16, 32, generator=torch.Generator().manual_seed(0))
    orders = [search(weight, Pattern(), seed=seed, proposals=2000).order for seed in (0, 0, 1)]
    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


@pytest.mark.parametrize("text", ["2:4", "dense"])
def test_given_order_stays_where_none_is_better(text: str) -> None:
    # The large weights are already spread well for 2:4.
    weight = torch.tensor([[1.0, 2, 0, 0]]).repeat(3, 4)
    found = search(weight, Pattern.parse(text), seed=0, proposals=1000)
    assert found.order.tolist() == list(range(16))
    assert (found.before, found.after, found.total, found.efficacy) == (36, 36, 36, 1)


@pytest.mark.filterwarnings("error")
def test_no_weights_no_order() -> None:
    found = search(torch.zeros(2, 8), Pattern(), seed=0)
    assert (found.order.tolist(), found.efficacy) == (list(range(8)), 1)


def test_what_cannot_be_searched_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^proposals must be at least 0, not -1$"):
        search(torch.ones(2, 8), Pattern(), seed=0, proposals=-1)
    with pytest.raises(ValueError, match=r"^weight must be finite, but some are NaN or infinite$"):
        search(torch.tensor([[1.0, float("inf")]]), Pattern(), seed=0)
