"""Sharing by what layers read, against the papers' formulas written down plainly."""

from __future__ import annotations

import re
from typing import get_args

import numpy as np
import pytest
import torch
from support.on_the_array import assert_close
from support.recurrent_networks import NETWORKS, network, sequences
from torch import Tensor, nn

from zeroskip.model.eie.calibrated_sharing import share_matrix
from zeroskip.model.eie.compiler import compile_network
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.kmeans import cluster
from zeroskip.model.eie.settings import Sharing
from zeroskip.model.eie.shared import SharedLayer, SharedOperation, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.error_feedback import dampened
from zeroskip.model.network.fold import fold
from zeroskip.model.network.token_operations import Normalization

CALIBRATED = get_args(Sharing)[1:]


def correlated(seed: int, count: int, width: int) -> np.ndarray:
    """Inputs that depend on one another and differ in size."""
    random = np.random.default_rng(seed)
    sizes = 2.0 ** random.uniform(-3, 2, width)
    return (random.normal(size=(count, width)) @ random.normal(size=(width, width)) * sizes).astype(np.float32)


def with_zeros(seed: int, *shape: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=shape) * (random.random(shape) < 0.6)).astype(np.float32)


def test_values_count_by_their_importance() -> None:
    """As Lloyd's iteration of the textbook with every value as often as it counts."""
    random = np.random.default_rng(0)
    values, times = random.uniform(-1, 1, 200).astype(np.float32), random.integers(1, 6, 200)
    repeated, _ = cluster(np.repeat(values, times))
    codebook, codes = cluster(values, times.astype(np.float64))
    np.testing.assert_allclose(codebook, repeated, rtol=1e-6)
    centroids = codebook[1:].astype(np.float64)
    assert np.array_equal(codes, 1 + np.abs(values[:, None] - centroids).argmin(axis=1))
    for code in range(1, 16):
        held = codes == code
        assert codebook[code] == pytest.approx(np.average(values[held], weights=times[held]), rel=1e-5)


def gptq(matrix: np.ndarray, seen: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Row by row and weight by weight: the nearest value, and the weights that are left as least squares gives them."""
    order = sorted(range(len(seen)), key=lambda column: -seen[column, column])
    found = np.zeros(matrix.shape)
    for row, weights in enumerate(matrix.astype(np.float64)):
        now = weights.copy()
        for place, column in enumerate(order):
            if weights[column] != 0:
                found[row, column] = min(codebook, key=lambda value: abs(value - now[column]))
            done, left = order[: place + 1], order[place + 1 :]
            if left:
                off = found[row, done] - weights[done]
                now[left] = weights[left] - off @ seen[np.ix_(done, left)] @ np.linalg.inv(seen[np.ix_(left, left)])
    return found


def test_feedback_is_gptq_with_shared_values_and_zeros_that_stay() -> None:
    inputs = correlated(1, 400, 12).astype(np.float64)
    seen, matrix = inputs.T @ inputs / 400, with_zeros(2, 6, 12)
    shared = share_matrix(matrix, seen[None], 12, feedback=True)
    damped = dampened(seen, 12)
    used = matrix != 0
    codebook, _ = cluster(matrix[used], np.broadcast_to(np.diag(damped), matrix.shape)[used])
    assert np.array_equal(shared.codebook, codebook)
    values = codebook[shared.codes]
    np.testing.assert_allclose(values, gptq(matrix, damped, codebook[1:].astype(np.float64)))
    outputs = inputs @ (matrix - values).T
    assert shared.errors == pytest.approx((outputs**2).mean(axis=0))
    assert np.array_equal(shared.codes != 0, used)


def test_groups_are_shared_by_what_each_reads() -> None:
    """Two groups with one codebook: the codes of each are those of its own moments."""
    matrix = with_zeros(3, 8, 6)
    seen = []
    for seed in (4, 5):
        inputs = correlated(seed, 200, 6).astype(np.float64)
        seen.append(inputs.T @ inputs / 200)
    shared = share_matrix(matrix, np.array(seen), 6, feedback=True)
    values = shared.codebook[1:].astype(np.float64)
    for group, part in enumerate(seen):
        rows = slice(4 * group, 4 * group + 4)
        np.testing.assert_allclose(shared.codebook[shared.codes[rows]], gptq(matrix[rows], dampened(part, 6), values))


class Normalised(nn.Module):
    """Two layers behind a normalisation, whose outputs meet; and one behind an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.one, self.other = nn.LayerNorm(24), nn.Linear(24, 40), nn.Linear(24, 40, bias=False)
        self.last = nn.Linear(40, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return self.last(torch.tanh(self.one(x)) * self.other(x))


def normalised() -> Normalised:
    """With a gain that makes some columns much larger than others."""
    torch.manual_seed(3)
    made = Normalised()
    with torch.no_grad():
        made.norm.weight.copy_(torch.exp(1.5 * torch.randn(24)))
        made.norm.bias.copy_(torch.randn(24))
    return made.eval()


def output_error(module: nn.Module, shared: list[SharedOperation], inputs: np.ndarray) -> float:
    with torch.no_grad():
        given = torch.from_numpy(inputs)
        return float(((to_module(shared)(given) - module(given)) ** 2).mean())


def test_each_step_lowers_the_error_on_the_calibration_data() -> None:
    module, inputs = normalised(), correlated(6, 500, 24)
    folded = fold(module, inputs)
    errors = [
        output_error(module, share_layers(folded, inputs=inputs, sharing=one), inputs) for one in get_args(Sharing)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < errors[0] / 2


def test_the_gain_of_a_normalisation_is_divided_by_the_factors_of_its_readers() -> None:
    module, inputs = normalised(), correlated(7, 300, 24)
    folded = fold(module, inputs)
    shared = share_layers(folded, inputs=inputs, sharing="scaled")
    (norm,) = [one for one in shared if isinstance(one, Normalization)]
    factors = module.norm.weight.detach().numpy() / norm.weight
    assert factors.max() / factors.min() > 2
    np.testing.assert_allclose(module.norm.bias.detach().numpy() / norm.bias, factors, rtol=1e-5)
    layers = [one for one in shared if isinstance(one, SharedLayer)]
    assert [layer.weight_codes.shape for layer in layers] == [(40, 24), (40, 24), (10, 40)]
    with torch.no_grad():
        outputs = module(torch.from_numpy(inputs))
    assert output_error(module, shared, inputs) < 0.02 * float(outputs.var())


class Added(Normalised):
    """Something other than a layer reads the normalisation too."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return x + self.one(x)[:, :24]


def test_a_gain_that_others_read_stays() -> None:
    torch.manual_seed(3)
    module, inputs = Added(), correlated(7, 300, 24)
    with torch.no_grad():
        module.norm.weight.copy_(torch.exp(1.5 * torch.randn(24)))
    folded = fold(module, inputs)
    shared, feedback = (share_layers(folded, inputs=inputs, sharing=one) for one in ("scaled", "feedback"))
    (norm,) = [one for one in shared if isinstance(one, Normalization)]
    assert np.array_equal(norm.weight, module.norm.weight.detach().numpy())
    weights = [[one.weight for one in found if isinstance(one, SharedLayer)] for found in (shared, feedback)]
    assert np.array_equal(*(found[0] for found in weights))


def test_many_ruined_outputs_are_told() -> None:
    """Outputs that are much smaller than others, of which a codebook holds nothing."""
    torch.manual_seed(6)
    module, inputs = nn.Linear(24, 40, bias=False), correlated(7, 300, 24)
    with torch.no_grad():
        module.weight[20:] *= 1e-4
    folded = fold(module, inputs)
    for sharing in CALIBRATED:
        with pytest.warns(UserWarning, match="layer 0, weights: the shared values of 20 of 40 outputs differ"):
            share_layers(folded, inputs=inputs, sharing=sharing)


def test_large_changes_of_weights_that_outputs_do_not_show_are_not_told(recwarn: pytest.WarningsRecorder) -> None:
    module, inputs = normalised(), correlated(7, 300, 24)
    share_layers(fold(module, inputs), inputs=inputs, sharing="scaled")
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("sharing", CALIBRATED)
def test_nothing_is_lost_of_fifteen_values(sharing: Sharing) -> None:
    module, inputs = normalised(), correlated(8, 100, 24)
    with torch.no_grad():
        for layer in (module.one, module.other, module.last):
            for value in layer.parameters():
                value.copy_((value * 20).round().clamp(-7, 7) / 16)
    shared = share_layers(fold(module, inputs), inputs=inputs, sharing=sharing)
    for layer, before in zip(
        (one for one in shared if isinstance(one, SharedLayer)), (module.one, module.other), strict=False
    ):
        assert np.array_equal(layer.weight, before.weight.detach().numpy())
    assert output_error(module, shared, inputs) == 0


@pytest.mark.parametrize("sharing", CALIBRATED)
def test_pruned_weights_stay_zero_and_no_other_weight_becomes_pruned(sharing: Sharing) -> None:
    torch.manual_seed(9)
    module = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    with torch.no_grad():
        for value in module.parameters():
            value *= torch.rand(value.shape) < 0.4
    images = np.random.default_rng(0).normal(size=(40, 4, 6, 6)).astype(np.float32)
    shared = share_layers(fold(module, images), inputs=images, sharing=sharing)
    layers = [one for one in shared if isinstance(one, SharedLayer)]
    for layer, before in zip(layers, (module[0], module[3]), strict=True):
        assert np.array_equal(layer.weight_codes != 0, before.weight.detach().flatten(1).numpy() != 0)
        assert np.array_equal(layer.bias_codes != 0, before.bias.detach().numpy() != 0)


@pytest.mark.parametrize("sharing", CALIBRATED)
def test_inputs_that_are_never_active(sharing: Sharing) -> None:
    """One input that is always zero is no error; where all are, the layer is shared by its weights alone."""
    torch.manual_seed(4)
    module = nn.Linear(30, 20, bias=False)
    inputs = correlated(9, 200, 30)
    inputs[:, 5] = 0
    (layer,) = share_layers(fold(module, inputs), inputs=inputs, sharing=sharing)
    assert np.isfinite(layer.weight).all()
    assert (layer.weight_codes != 0).all()
    inputs[:] = 0
    folded = fold(module, inputs)
    (blind,), (plain,) = (share_layers(folded, inputs=inputs, sharing=one) for one in (sharing, "plain"))
    assert np.array_equal(blind.weight, plain.weight)


@pytest.mark.parametrize("sharing", CALIBRATED)
@pytest.mark.parametrize("inputs", [None, np.zeros((0, 3), np.float32)])
def test_without_samples_there_is_nothing_to_share_by(sharing: Sharing, inputs: np.ndarray | None) -> None:
    message = f"sharing '{sharing}' needs samples of the network's inputs; pass some, or share 'plain'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        share_layers(fold(nn.Linear(3, 2)), inputs=inputs, sharing=sharing)


def test_large_biases_are_shared_too() -> None:
    """They are divided by a power of two, by which their activation is multiplied."""
    torch.manual_seed(5)
    module, inputs = nn.Linear(12, 30), correlated(10, 300, 12)
    with torch.no_grad():
        module.bias.copy_(torch.randn(30) * 1000)
    folded = fold(module, inputs)
    plain, feedback = (share_layers(folded, inputs=inputs, sharing=one) for one in ("plain", "feedback"))
    assert feedback[0].bias_exponent > 0
    assert output_error(module, feedback, inputs) < output_error(module, plain, inputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_recurrent_networks_are_shared(name: str) -> None:
    """The golden model stays within its bound of the float network with the shared weights."""
    module, inputs = network(name), sequences(name)
    values = inputs.numpy()
    shared = share_layers(fold(module, inputs), inputs=values, sharing="scaled")
    made = compile_network(shared, values, EieGeometry(pes=4), fit=MEMORIES)
    assert_close(shared, made, inputs, within=None)
