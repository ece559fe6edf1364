"""What prunes covers every weight that a core multiplies, in all kinds of layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.multiplying import KINDS, dataset
from torch import nn

from zeroskip.model.cores import load_core
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.settings import EieSettings
from zeroskip.model.eie.shared import SharedLayer, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold
from zeroskip.model.network.folded import Folded
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.centroids import SharedLinear, SharedRecurrent, trainable_network
from zeroskip.model.pruning.nm_recipe import NmSettings, prune_nm
from zeroskip.model.pruning.recipe import PruneAndShareResult, PruneAndShareSettings, prune_and_share
from zeroskip.model.pruning.sr_ste import DECAY, SrSte
from zeroskip.model.pruning.training import TrainingSettings
from zeroskip.model.pruning.weights import multiplied_weights

DENSITY = 0.3
NOTHING = TrainingSettings(epochs=0, learning_rate=0.05, weight_decay=0, batch_size=12)
UNTRAINED = PruneAndShareSettings(density=DENSITY, rounds=1, dense=NOTHING, retrain=NOTHING, share=NOTHING, threads=1)
ADAM = TrainingSettings(epochs=3, learning_rate=0.02, weight_decay=0, batch_size=12, optimizer="adam")
TRAINED = replace(UNTRAINED, rounds=2, dense=ADAM, retrain=ADAM, share=replace(ADAM, epochs=8))
OF_MATRICES = [name for name in KINDS if not name.startswith("ConvTranspose")]


def layers(folded: Folded) -> list[np.ndarray]:
    return [one.weight.detach().numpy() for one in folded.layers if isinstance(one, nn.Linear | nn.Conv2d)]


def codes(result: PruneAndShareResult) -> list[np.ndarray]:
    return [one.weight_codes for one in result.layers if isinstance(one, SharedLayer)]


@pytest.mark.parametrize("name", KINDS)
def test_weights_are_listed_in_torchs_order(name: str) -> None:
    network = KINDS[name].network()
    found = multiplied_weights(network)
    assert list(found) == KINDS[name].pruned
    assert all(value is network.get_parameter(key) for key, value in found.items())


@pytest.mark.parametrize("name", KINDS)
def test_the_largest_weights_are_those_that_the_array_holds(name: str) -> None:
    """The smallest 70% of all weights together are sorted out by hand: what is left is what the folded network has,
    number by number, and so has the shared one, and the memories of the array hold as many."""
    kind, data = KINDS[name], dataset()
    network, wanted = kind.network(), kind.network()
    sizes = np.concatenate([network.get_parameter(key).detach().abs().numpy().ravel() for key in kind.pruned])
    least = np.sort(sizes)[-round(DENSITY * len(sizes))]
    with torch.no_grad():
        for key in kind.pruned:
            value = wanted.get_parameter(key)
            value[value.abs() < float(least)] = 0
    expected = kind.core_weights(wanted)
    result = prune_and_share(network, data, settings=UNTRAINED, seed=0)
    found = layers(result.pruned)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(codes(result), expected, strict=True):
        np.testing.assert_array_equal(one != 0, other.reshape(one.shape) != 0)
    # Each cell's weights are there once for each step.
    steps = 2 if "two steps" in name else 1
    head = int(np.count_nonzero(expected[-1]))
    assert result.kept == head + steps * (round(DENSITY * len(sizes)) - head)
    settings = EieSettings(geometry=EieGeometry(pes=2), positions=1, balance_load=False)
    compiled = load_core("eie").compile(result.layers, data.train_inputs, settings)
    firsts = [stage.layers[0] for stage in compiled.stages if stage.layers]
    matrices = [one.matrix_codes for one in result.layers if isinstance(one, SharedLayer)]
    # Without the column of the bias.
    held = [compiled.position_codes(first)[:, : one.shape[1]] for first, one in zip(firsts, matrices, strict=True)]
    for one, other in zip(held, matrices, strict=True):
        np.testing.assert_array_equal(one != 0, other != 0)
    assert sum(np.count_nonzero(one) for one in held) == result.kept


@pytest.mark.parametrize("name", KINDS)
def test_weights_stay_pruned_through_training(name: str) -> None:
    data = dataset()
    result = prune_and_share(KINDS[name].network(), data, settings=TRAINED, seed=0)
    pruned = layers(result.pruned)
    assert result.kept == sum(np.count_nonzero(one) for one in pruned)
    assert result.total > 3 * result.kept
    for one, other in zip(codes(result), pruned, strict=True):
        np.testing.assert_array_equal(one != 0, other.reshape(one.shape) != 0)


def test_each_weight_may_have_a_density_of_its_own() -> None:
    network, data = KINDS["LSTM"].network(), dataset()
    result = prune_and_share(network, data, settings=replace(UNTRAINED, density=(0.5, 0.25, 1.0)), seed=0)
    assert [np.count_nonzero(one) for one in layers(result.pruned)] == [16 * 8 / 2, 16 * 4 / 4, 3 * 4]
    names = "layer.weight_ih_l0, layer.weight_hh_l0, head.weight"
    with pytest.raises(ValueError, match=rf"^density must be one for each of 3 weights \({names}\), not 2$"):
        prune_and_share(network, data, settings=replace(UNTRAINED, density=(0.5, 0.25)), seed=0)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_shared_weights_of_a_cell_learn_by_the_sums_of_their_gradients(name: str) -> None:
    operations = share_layers(fold(KINDS[name].network(), dataset().train_inputs))
    network, plain = trainable_network(operations), to_module(operations)
    inputs = torch.from_numpy(dataset().train_inputs).flatten(1)
    found, wanted = network(inputs), plain(inputs)
    torch.testing.assert_close(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    number = next(number for number, layer in enumerate(network) if isinstance(layer, SharedRecurrent))
    shared, layer = network[number], plain[number]
    assert isinstance(shared, SharedLinear)
    assert isinstance(layer, nn.Linear)
    sums = np.zeros(16)
    np.add.at(sums, shared.layer.weight_codes, layer.weight.grad.numpy())
    if layer.bias is not None:
        np.add.at(sums, shared.layer.bias_codes, layer.bias.grad.numpy() * 2.0**shared.layer.bias_exponent)
    np.testing.assert_allclose(shared.centroids.grad.numpy(), sums[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OF_MATRICES)
def test_two_of_four_inputs_are_those_that_the_tile_holds(name: str) -> None:
    """The two largest of each four neighbouring inputs, by hand, are what the layers that the tile runs have, in groups
    of four inputs that are neighbours there."""
    kind, data = KINDS[name], dataset()
    wanted = kind.network()
    with torch.no_grad():
        for key in kind.pruned:
            value = wanted.get_parameter(key)
            # Inputs last: (..., inputs).
            rows = np.moveaxis(value.numpy(), 1, -1)
            for first in range(0, rows.shape[-1], 4):
                group = rows[..., first : first + 4]
                order = np.argsort(-np.abs(group), axis=-1)
                np.put_along_axis(group, order[..., 2:], 0, axis=-1)
    settings = NmSettings(pattern=Pattern.parse("2:4"), dense=NOTHING, threads=1)
    result = prune_nm(kind.network(), data, settings=settings, seed=0)
    for key in kind.pruned:
        assert torch.equal(result.sparse.get_parameter(key), wanted.get_parameter(key))
    folded = fold(result.sparse, data.train_inputs)
    for one, other in zip(layers(folded), kind.core_weights(wanted), strict=True):
        np.testing.assert_array_equal(one, other)
        rows = np.moveaxis(one, 1, -1)
        assert all((rows[..., first : first + 4] != 0).sum(-1).max() <= 2 for first in range(0, rows.shape[-1], 4))
    assert [report.name for report in result.layers] == [key.removesuffix(".weight") for key in kind.pruned]


@pytest.mark.parametrize("name", OF_MATRICES)
def test_sr_ste_trains_all_of_them(name: str) -> None:
    """The outputs are those of the masked weights, and the gradients theirs, with the decay of the others."""
    network, masked = KINDS[name].network(), KINDS[name].network()
    inputs = torch.from_numpy(dataset().train_inputs)
    pattern = Pattern.parse("2:4")
    with SrSte(masked, pattern):
        pass
    kept = {key: value != 0 for key, value in multiplied_weights(masked).items()}
    masked.train()(inputs).square().sum().backward()
    before = {key: value.detach().clone() for key, value in multiplied_weights(network).items()}
    with SrSte(network, pattern):
        network.train()(inputs).square().sum().backward()
        for key, value in multiplied_weights(network).items():
            assert torch.equal(value, before[key])
            wanted = masked.get_parameter(key).grad + DECAY * before[key] * ~kept[key]
            torch.testing.assert_close(value.grad, wanted)
    assert all(torch.equal(network.get_parameter(key) != 0, mask) for key, mask in kept.items())
    torch.testing.assert_close(network(inputs), masked(inputs))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.ConvTranspose1d(6, 4, 3), r"^layer '0' is a ConvTranspose1d, whose weight has its inputs first; 2:4 by "),
        (
            nn.GRUCell(6, 4),
            r"^layer '0' is a GRUCell with 6 inputs; its states come behind them, so that 2:4 needs a mu",
        ),
    ],
)
def test_groups_that_the_tile_would_not_find_are_refused(layer: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message), SrSte(nn.Sequential(layer), Pattern.parse("2:4")):
        pass
