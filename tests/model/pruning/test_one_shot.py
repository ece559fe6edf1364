"""Pruning at once, against the papers' formulas written down weight by weight."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.network.error_feedback import dampened
from zeroskip.model.network.fold import fold
from zeroskip.model.network.layerwise import matrices, moments
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.nm import nm_mask
from zeroskip.model.pruning.one_shot import ONE_SHOT, Kept, OneShot, prune_at_once

TWO_OF_FOUR = Pattern()


def correlated(seed: int, count: int, width: int) -> np.ndarray:
    """Inputs that depend on one another and differ in size."""
    random = np.random.default_rng(seed)
    sizes = 2.0 ** random.uniform(-2, 2, width)
    return (random.normal(size=(count, width)) @ random.normal(size=(width, width)) * sizes).astype(np.float32)


def layer_of(width: int = 12) -> nn.Linear:
    torch.manual_seed(width)
    return nn.Linear(width, 5)


def pruned(module: nn.Module, inputs: np.ndarray, method: OneShot, kept: Kept) -> list[nn.Linear | nn.Conv2d]:
    found = prune_at_once(fold(module, inputs), inputs, method, kept)
    return [layer for layer in found.layers if isinstance(layer, nn.Linear | nn.Conv2d)]


def scored(weight: np.ndarray, scores: np.ndarray, groups: list[list[tuple[int, int]]], count: int) -> np.ndarray:
    """The weight with the `count` largest scores of each group of places."""
    found = np.zeros_like(weight)
    for group in groups:
        for place in sorted(group, key=lambda one: -scores[one])[:count]:
            found[place] = weight[place]
    return found


def rows_of(shape: tuple[int, int], columns: range) -> list[list[tuple[int, int]]]:
    return [[(row, column) for column in columns] for row in range(shape[0])]


def test_magnitude_keeps_the_largest_weights_of_the_layer() -> None:
    layer, inputs = layer_of(), correlated(0, 60, 12)
    weight = layer.weight.detach().numpy()
    every = [[place for row in rows_of((5, 12), range(12)) for place in row]]
    (found,) = pruned(layer, inputs, "magnitude", 0.4)
    assert np.array_equal(found.weight.detach().numpy(), scored(weight, np.abs(weight), every, 24))
    assert torch.equal(found.bias, layer.bias)


@pytest.mark.parametrize("kept", [0.25, TWO_OF_FOUR])
def test_wanda_ranks_the_weights_of_each_output_by_the_norm_of_their_inputs(kept: Kept) -> None:
    layer, inputs = layer_of(), correlated(1, 60, 12)
    weight = layer.weight.detach().numpy()
    scores = np.abs(weight) * np.linalg.norm(inputs, axis=0)
    if kept == TWO_OF_FOUR:
        groups, count = [row for first in (0, 4, 8) for row in rows_of((5, 12), range(first, first + 4))], 2
    else:
        groups, count = rows_of((5, 12), range(12)), 3
    (found,) = pruned(layer, inputs, "wanda", kept)
    assert np.array_equal(found.weight.detach().numpy(), scored(weight, scores, groups, count))


def sparsegpt(weight: np.ndarray, seen: np.ndarray, blocks: list[range], count: int, *, together: bool) -> np.ndarray:
    """Block after block: what is removed of it, for all its outputs `together` or for each, and then column after
    column, with the weights that are left as least squares gives them. `count` weights stay of each row of a block."""
    width = len(seen)

    def least_squares(found: np.ndarray, done: int) -> np.ndarray:
        """The columns from `done` on."""
        off = found[:, :done] - weight[:, :done]
        return weight[:, done:] - off @ seen[:done, done:] @ np.linalg.inv(seen[done:, done:])

    found = weight.copy()
    for block in blocks:
        found[:, block.start :] = least_squares(found, block.start)
        # The error of removing weight j alone, once those before it are fixed.
        alone = [np.linalg.inv(seen[column:, column:])[0, 0] for column in block]
        scores = np.zeros_like(weight)
        scores[:, block] = found[:, block] ** 2 / alone
        groups = rows_of(weight.shape, block)
        if together:
            groups = [[place for row in groups for place in row]]
        kept = scored(np.ones_like(weight), scores, groups, count * (len(weight) if together else 1))
        for column in block:
            found[:, column] *= kept[:, column]
            if column + 1 < width:
                found[:, column + 1 :] = least_squares(found, column + 1)
    return found


@pytest.mark.parametrize("kept", [0.5, TWO_OF_FOUR])
def test_sparsegpt_is_obs_with_the_masks_of_its_blocks(kept: Kept) -> None:
    layer, inputs = layer_of(), correlated(2, 200, 12)
    seen = dampened(moments(layer, torch.from_numpy(inputs))[0, :-1, :-1], 12)
    weight = layer.weight.detach().double().numpy()
    blocks = [range(first, first + 4) for first in (0, 4, 8)] if kept == TWO_OF_FOUR else [range(12)]
    count = 2 if kept == TWO_OF_FOUR else 6
    wanted = sparsegpt(weight, seen, blocks, count, together=kept != TWO_OF_FOUR)
    (found,) = pruned(layer, inputs, "sparsegpt", kept)
    np.testing.assert_allclose(found.weight.detach().numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.bias, layer.bias)


@pytest.mark.parametrize("method", ONE_SHOT)
def test_patterns_run_along_the_channels_of_each_group(method: OneShot) -> None:
    """Of convolutions too, also where the last group of the pattern is incomplete."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(12, 8, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 9, 6))
    images = np.random.default_rng(0).normal(size=(60, 12, 5, 5)).astype(np.float32)
    convolution, linear = pruned(module, images, method, TWO_OF_FOUR)
    # Of six channels, a whole group and half of one: two and two are kept.
    assert int((convolution.weight != 0).sum()) == 8 * 9 * 4
    assert int((linear.weight != 0).sum()) == 6 * 36
    for layer in (convolution, linear):
        assert bool((layer.weight[~nm_mask(layer.weight, TWO_OF_FOUR)] == 0).all())


@pytest.mark.parametrize("kept", [0.5, TWO_OF_FOUR])
def test_what_knows_more_of_the_inputs_keeps_more_of_the_outputs(kept: Kept) -> None:
    torch.manual_seed(1)
    layer, inputs = nn.Linear(64, 40), correlated(3, 600, 64)
    given = torch.from_numpy(inputs)
    with torch.no_grad():
        errors = [
            float(((pruned(layer, inputs, method, kept)[0](given) - layer(given)) ** 2).sum()) for method in ONE_SHOT
        ]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.8 * errors[1]


def test_each_group_of_a_convolution_makes_up_for_its_own_errors() -> None:
    """The two groups see other inputs; each is pruned as a convolution of its own."""
    torch.manual_seed(2)
    both = nn.Conv2d(8, 6, 3, groups=2)
    images = np.random.default_rng(1).normal(size=(40, 8, 6, 6)).astype(np.float32)
    images[:, 4:] *= np.linspace(0.1, 3, 4, dtype=np.float32)[:, None, None]
    (found,) = pruned(both, images, "sparsegpt", TWO_OF_FOUR)
    for group in range(2):
        single = nn.Conv2d(4, 3, 3)
        with torch.no_grad():
            single.weight.copy_(both.weight[3 * group : 3 * group + 3])
        (alone,) = pruned(single, images[:, 4 * group : 4 * group + 4], "sparsegpt", TWO_OF_FOUR)
        torch.testing.assert_close(matrices(found)[group], matrices(alone)[0], rtol=1e-4, atol=1e-5)


def test_the_network_itself_stays_as_it_is() -> None:
    layer, inputs = layer_of(), correlated(4, 40, 12)
    folded = fold(layer, inputs)
    before = copy.deepcopy(folded.state_dict())
    prune_at_once(folded, inputs, "sparsegpt", 0.5)
    assert all(torch.equal(before[name], value) for name, value in folded.state_dict().items())


@pytest.mark.parametrize("density", [0.0, 1.5])
def test_a_density_is_a_fraction(density: float) -> None:
    with pytest.raises(ValueError, match=f"^density must be above 0 and at most 1, not {density}$"):
        prune_at_once(fold(layer_of()), correlated(5, 4, 12), "magnitude", density)
