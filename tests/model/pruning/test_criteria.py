import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zeroskip.model.pruning.criteria import Criterion, Random, l1, l2, total
from zeroskip.model.pruning.masks import allocate_globally, allocate_per_layer, prunable_weights
from zeroskip.model.pruning.taylor import Taylor


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)
    )


INPUTS = torch.randn(10, 2, 4, 4, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(10) % 3
CRITERIA = [l1, l2, Random(3), Taylor(inputs=INPUTS, labels=LABELS, batch_size=4)]


@pytest.mark.parametrize("criterion", CRITERIA, ids=["l1", "l2", "random", "taylor"])
def test_any_criterion_scores_weights_and_channels_for_any_allocation(criterion: Criterion) -> None:
    """The scores have the right shapes, work with both kinds of allocation, and are the same when computed again."""
    module = network()
    weights, channels = criterion(module, "weight"), criterion(module, "channel")
    assert {name: tuple(scores.shape) for name, scores in weights.items()} == {
        "0.weight": (4, 2, 3, 3),
        "5.weight": (3, 16),
    }
    assert {name: tuple(scores.shape) for name, scores in channels.items()} == {"0.weight": (4,), "5.weight": (3,)}
    for scores in (weights, channels):
        assert not any(values.requires_grad for values in scores.values())
        assert all((values >= 0).all() and values.std() > 0 for values in scores.values())
        size = sum(values.numel() for values in scores.values())
        assert sum(int(mask.sum()) for mask in allocate_globally(scores, 0.5).values()) == round(size / 2)
        masks = allocate_per_layer(scores, {"0.weight": 0.5, "5.weight": 1})
        assert int(masks["0.weight"].sum()) == scores["0.weight"].numel() / 2
        again = criterion(module, "weight" if scores is weights else "channel")
        assert all(torch.equal(scores[name], again[name]) for name in scores)


@pytest.mark.parametrize("criterion", CRITERIA, ids=["l1", "l2", "random", "taylor"])
def test_no_criterion_leaves_gradients_statistics_or_a_mode_behind(criterion: Criterion) -> None:
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    for granularity in ("weight", "channel"):
        criterion(module, granularity)  # type: ignore[arg-type]
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert module.training


@pytest.mark.parametrize("criterion", CRITERIA, ids=["l1", "l2", "random", "taylor"])
def test_any_criterion_refuses_other_granularities(criterion: Criterion) -> None:
    with pytest.raises(ValueError, match=r"^granularity must be 'weight' or 'channel', not 'filter'$"):
        criterion(network(), "filter")  # type: ignore[arg-type]


def test_norms_are_those_of_numpy() -> None:
    module = network()
    for name, weight in prunable_weights(module).items():
        rows = weight.detach().flatten(1).double().numpy()
        for criterion, order in ((l1, 1), (l2, 2)):
            found = criterion(module, "channel")[name]
            np.testing.assert_allclose(found, np.linalg.norm(rows, order, axis=1), rtol=1e-5)
            assert torch.allclose(criterion(module)[name], weight.detach().abs())


def test_norms_differ_in_what_they_keep() -> None:
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0, 0, 0], [1, 1, 1, 1]]))
    assert l1(layer, "channel")["weight"].tolist() == [3, 4]
    assert l2(layer, "channel")["weight"].tolist() == [3, 2]


def test_random_depends_on_its_seed_alone() -> None:
    module = network()
    scores = Random(3)(module, "channel")["5.weight"]
    torch.rand(5)
    nn.init.zeros_(module[0].weight)
    assert torch.equal(Random(3)(module, "channel")["5.weight"], scores)
    assert not torch.equal(Random(4)(module, "channel")["5.weight"], scores)
    # A sum over 1000 weights would be about 500.
    assert Random(0)(nn.Linear(1000, 50), "channel")["weight"].max() < 1


@pytest.mark.parametrize("granularity", ["weight", "channel"])
def test_taylor_by_the_formula_of_the_paper(granularity: str) -> None:
    module = network()
    found = Taylor(inputs=INPUTS, labels=LABELS, batch_size=4)(module, granularity)
    module.eval()
    for name, weight in prunable_weights(module).items():
        batches = []
        for start in (0, 4, 8):
            module.zero_grad()
            F.cross_entropy(module(INPUTS[start : start + 4]), LABELS[start : start + 4]).backward()
            product = (weight.grad * weight).detach()
            batches.append((product if granularity == "weight" else product.flatten(1).sum(1)) ** 2)
        torch.testing.assert_close(found[name], torch.stack(batches).mean(0))


def test_taylor_of_a_channel_foretells_the_loss_without_it() -> None:
    torch.manual_seed(2)
    module = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        # Small weights, where a first-order expansion holds.
        module[0].weight.mul_(torch.linspace(1e-6, 1e-5, 8)[:, None])
    inputs, labels = torch.randn(64, 6).double(), torch.randint(3, (64,))
    scores = Taylor(inputs=inputs, labels=labels, batch_size=64)(module, "channel")["0.weight"]
    loss = F.cross_entropy(module(inputs), labels).detach()
    changes = []
    for channel in range(8):
        kept = module[0].weight.detach().clone()
        with torch.no_grad():
            module[0].weight[channel] = 0
            changes.append((F.cross_entropy(module(inputs), labels) - loss) ** 2)
            module[0].weight.copy_(kept)
    torch.testing.assert_close(scores, torch.stack(changes), rtol=1e-3, atol=0)


def test_taylor_works_where_gradients_are_off_and_modes_are_restored() -> None:
    module = network().eval()
    with torch.no_grad():
        scores = Taylor(inputs=INPUTS, labels=LABELS)(module, "channel")
    assert scores["0.weight"].max() > 0
    assert not module.training
    module.train()
    with pytest.raises(RuntimeError):
        Taylor(inputs=INPUTS[:, :1], labels=LABELS)(module)
    assert module.training


def test_taylor_is_checked() -> None:
    with pytest.raises(ValueError, match=r"^batch_size must be at least 1, not 0$"):
        Taylor(inputs=INPUTS, labels=LABELS, batch_size=0)
    for inputs, labels, message in [
        (INPUTS, LABELS[1:], "labels must have the shape (n,) for n > 0 inputs, not (9,) for 10"),
        (INPUTS[:0], LABELS[:0], "labels must have the shape (n,) for n > 0 inputs, not (0,) for 0"),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            Taylor(inputs=inputs, labels=labels)
    module = network()
    module[5].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"^'5\.weight' must require a gradient, but is frozen$"):
        Taylor(inputs=INPUTS, labels=LABELS)(module)


def test_total_of_any_dimensions() -> None:
    assert total(torch.ones(3, 2, 5, 5), "channel").tolist() == [50] * 3
    assert total(torch.ones(3, 2), "channel").tolist() == [2] * 3
