import re
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.eie.kmeans import cluster
from zeroskip.model.eie.shared import SharedConv, SharedLayer, averaging_layer, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold
from zeroskip.model.network.lower import lower
from zeroskip.model.network.operations import AveragePooling, MaxPooling
from zeroskip.model.network.stages import ConvStage
from zeroskip.model.pruning.centroids import SharedLinear, trainable_network, with_trained_codebooks


def network(bias: bool = True, density: float = 0.3) -> nn.Sequential:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(40, 30, bias=bias), nn.ReLU(), nn.Linear(30, 7, bias=bias))
    with torch.no_grad():
        for part in (module[0], module[2]):
            part.weight *= torch.rand(part.weight.shape) < density
    return fold(module)


def plain_lloyd(values: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """k-means as the textbook writes it: all distances, one value after the other."""
    codes = None
    while True:
        nearest = [min(range(len(centroids)), key=lambda c: abs(value - centroids[c])) for value in values]
        if nearest == codes:
            return centroids, np.array(codes)
        codes = nearest
        members = [[v for v, code in zip(values, codes, strict=True) if code == c] for c in range(len(centroids))]
        centroids = np.array([np.mean(m) for m in members])


def test_cluster_is_lloyd_from_linear_initialisation() -> None:
    for seed in range(5):
        # Even enough that no centroid is ever without a value.
        values = np.random.default_rng(seed).uniform(-1, 1, 200).astype(np.float32)
        codebook, codes = cluster(values)
        start = np.linspace(values.min(), values.max(), 15, dtype=np.float64)
        wanted, wanted_codes = plain_lloyd(values.astype(np.float64), start)
        assert codebook[1:] == pytest.approx(wanted, rel=1e-6)
        assert np.array_equal(codes, 1 + wanted_codes)


def least_error(values: np.ndarray) -> float:
    """The smallest sum of squares of all ways to cut sorted values into 15 runs."""
    errors = []
    for cuts in combinations(range(1, len(values)), 14):
        runs = np.split(values, cuts)
        errors.append(sum(((run - run.mean()) ** 2).sum() for run in runs))
    return min(errors)


@pytest.mark.parametrize("count", [16, 17])
def test_cluster_of_few_more_values_than_centroids_against_all_clusterings(count: int) -> None:
    best = 0
    for seed in range(20):
        values = np.sort(np.random.default_rng(seed).normal(size=count)).astype(np.float32).astype(np.float64)
        codebook, codes = cluster(values.astype(np.float32))
        means = np.array([values[codes == code].mean() for code in range(1, 16)])
        assert codebook[1:] == pytest.approx(means, rel=1e-6)
        # No value would rather be elsewhere: a local optimum.
        assert np.array_equal(plain_lloyd(values, means)[1], codes - 1)
        error, least = ((means[codes - 1] - values) ** 2).sum(), least_error(values)
        assert error >= least * (1 - 1e-9)
        best += error <= least * (1 + 1e-9)
    # Lloyd's iteration promises no global optimum, but is not far from finding it half the time.
    assert best >= 7


def test_cluster_leaves_no_centroid_in_the_gap_around_zero() -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate((generator.normal(-5, 0.1, 500), generator.normal(5, 0.1, 500))).astype(np.float32)
    codebook, codes = cluster(values)
    assert np.bincount(codes, minlength=16)[1:].min() > 0
    distance = np.abs(values[:, None] - codebook[None, 1:])
    assert np.abs(values - codebook[codes]) == pytest.approx(distance.min(1), abs=1e-6)


@pytest.mark.parametrize("distinct", [0, 1, 14, 15])
def test_cluster_of_few_values_is_exact(distinct: int) -> None:
    generator = np.random.default_rng(distinct)
    some = generator.normal(size=distinct).astype(np.float32)
    values = generator.choice(some, (20, 3)) if distinct else np.empty((0, 3), np.float32)
    codebook, codes = cluster(values)
    assert codebook.dtype == np.float32
    assert codes.dtype == np.uint8
    assert np.array_equal(codebook[codes], values)
    assert codebook[0] == 0
    assert not codebook[1 + len(np.unique(values)) :].any()


def as_16_bits(codebook: np.ndarray) -> np.ndarray:
    """The codebook as the array stores it: with the most fraction bits with which its greatest value is a 16-bit
    number."""
    fraction = max(f for f in range(-40, 150) if float(np.abs(codebook).max()) * 2.0**f <= 32767)
    return np.rint(codebook.astype(np.float64) * 2.0**fraction).astype(int)


ONE_TO_TWO = np.random.default_rng(3).uniform(1, 2, 60)
ON_BOTH_SIDES = np.random.default_rng(4).uniform(0.02, 1, 200)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.linspace(-1, 1, 40), id="even and symmetric"),
        pytest.param(np.concatenate((ON_BOTH_SIDES, -ON_BOTH_SIDES)), id="symmetric with a gap"),
        pytest.param(np.concatenate((ONE_TO_TWO, -ONE_TO_TWO / 2)), id="not symmetric"),
        pytest.param(np.concatenate((ONE_TO_TWO, -ONE_TO_TWO)) * 1e-30, id="all of them tiny"),
        # 15 centroids for values of two or three numbers of 16 bits.
        pytest.param(np.concatenate((1 + np.arange(40) * 1e-7, [-0.5])), id="equal in 16 bits"),
        pytest.param(np.concatenate((np.full(5, 100.0), 1 + np.arange(40) * 1e-4)), id="nearly equal in 16 bits"),
    ],
)
def test_no_centroid_is_zero_or_equal_to_another_in_16_bits(values: np.ndarray) -> None:
    values = values.astype(np.float32)
    codebook, codes = cluster(values)
    stored = as_16_bits(codebook)
    used = np.unique(codes)
    assert stored[used].all()
    assert len(np.unique(stored[used])) == len(used)
    distance = np.abs(values[:, None].astype(np.float64) - codebook[None, used])
    unit = np.abs(codebook).max() * 2.0**-14
    own_side = np.sign(values)[:, None] == np.sign(codebook[None, used])
    nearest = np.where(own_side, distance, np.inf).min(axis=1)
    assert (np.abs(values - codebook[codes]) <= nearest + unit).all()


def test_values_that_16_bits_do_not_hold_are_one_cluster() -> None:
    small = np.linspace(1e-7, 1e-6, 30)
    values = np.concatenate((ONE_TO_TWO, small, -small)).astype(np.float32)
    codebook, codes = cluster(values)
    assert len(np.unique(codes[60:])) == 1
    assert not set(codes[60:]) & set(codes[:60])
    assert len(np.unique(as_16_bits(codebook)[np.unique(codes[:60])])) == 14
    assert codebook[1:].all()


def test_zero_weights_have_code_zero_and_no_others_do() -> None:
    folded = network()
    for layer, linear in zip(share_layers(folded), (folded[0], folded[2]), strict=True):
        assert layer.codebook[0] == 0
        assert np.array_equal(layer.weight_codes == 0, linear.weight.detach().numpy() == 0)


def test_zero_biases_have_code_zero_and_no_others_do() -> None:
    folded = network()
    with torch.no_grad():
        folded[0].bias[::3] = 0
    for layer, linear in zip(share_layers(folded), (folded[0], folded[2]), strict=True):
        assert layer.bias_codes is not None
        assert np.array_equal(layer.bias_codes == 0, linear.bias.detach().numpy() == 0)


def test_a_layer_without_bias_has_no_codes_for_it() -> None:
    assert [layer.bias_codes for layer in share_layers(network(False))] == [None, None]


def test_relu_belongs_to_the_layer_before_it() -> None:
    assert [layer.relu for layer in share_layers(network())] == [True, False]


def test_bias_and_weights_use_one_codebook() -> None:
    layer = share_layers(network())[0]
    values = np.concatenate([network()[0].weight.detach().numpy().ravel(), network()[0].bias.detach().numpy()])
    codebook, codes = cluster(values[values != 0])
    together = np.concatenate([layer.weight_codes.ravel(), layer.bias_codes])
    assert np.array_equal(layer.codebook, codebook)
    assert np.array_equal(together[values != 0], codes)


def test_network_of_few_values_is_shared_exactly() -> None:
    folded = network()
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.copy_((parameter * 20).round() / 20)
    again = to_module(share_layers(folded))
    assert [type(part) for part in again] == [nn.Linear, nn.ReLU, nn.Linear]
    for left, right in zip(folded.parameters(), again.parameters(), strict=True):
        assert torch.equal(left, right)


def test_trainable_network_computes_what_the_layers_say() -> None:
    layers = share_layers(network())
    inputs = torch.randn(9, 40)
    assert torch.equal(trainable_network(layers)(inputs), to_module(layers)(inputs))


@pytest.mark.parametrize("bias", [True, False])
def test_gradient_of_a_centroid_is_the_sum_over_its_weights(bias: bool) -> None:
    layers = share_layers(network(bias))
    inputs, target = torch.randn(16, 40), torch.randn(16, 7)
    shared, plain = trainable_network(layers), to_module(layers)
    for module in (shared, plain):
        ((module(inputs) - target) ** 2).sum().backward()
    for layer, found, linear in zip(layers, list(shared)[::2], list(plain)[::2], strict=True):
        wanted = np.zeros(16)
        for code in range(1, 16):
            wanted[code] = linear.weight.grad.numpy()[layer.weight_codes == code].sum(dtype=np.float64)
            if layer.bias_codes is not None:
                wanted[code] += linear.bias.grad.numpy()[layer.bias_codes == code].sum(dtype=np.float64)
        assert found.centroids.grad.numpy() == pytest.approx(wanted[1:], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("optimizer_class", [torch.optim.SGD, torch.optim.Adam])
def test_training_moves_centroids_but_neither_codes_nor_zero_nor_unused_entries(
    optimizer_class: type[torch.optim.Optimizer],
) -> None:
    folded = network()
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.copy_((parameter * 20).round() / 20)
    before = share_layers(folded)
    module = trainable_network(before)
    optimizer = optimizer_class(module.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        module(torch.randn(8, 40)).square().sum().backward()
        optimizer.step()
    after = [part.shared_layer() for part in module if isinstance(part, SharedLinear)]
    for old, new in zip(before, after, strict=True):
        used = old.codebook != 0
        assert 1 < used.sum() < 15
        assert (new.codebook[used] != old.codebook[used]).all()
        assert not new.codebook[~used].any()
        assert np.array_equal(new.weight_codes, old.weight_codes)
        assert new.relu == old.relu


def test_training_makes_no_centroid_zero_in_16_bits() -> None:
    folded = network()
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.copy_((parameter * 20).round() / 20)
    (before, _) = share_layers(folded)
    tuning = trainable_network([before])
    used = np.flatnonzero(before.codebook[1:])
    small = {used[0]: -1e-7, used[1]: 1e-7, used[2]: 0.0}
    with torch.no_grad():
        for index, value in small.items():
            tuning[0].centroids[index] = value
    (after,) = with_trained_codebooks([before], tuning)
    stored = as_16_bits(after.codebook)[1:]
    signs = [-1, 1, np.sign(before.codebook[1:][used[2]])]
    assert stored[list(small)].tolist() == signs
    others = np.setdiff1d(np.arange(15), list(small))
    assert np.array_equal(after.codebook[1:][others], before.codebook[1:][others])


GOOD = {
    "codebook": np.zeros(16, np.float32),
    "weight_codes": np.zeros((3, 2), np.uint8),
    "bias_codes": np.zeros(3, np.uint8),
    "relu": False,
}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("codebook", np.zeros(15, np.float32), "codebook must be float32 (16,), not float32 (15,)"),
        ("codebook", np.zeros(16), "codebook must be float32 (16,), not float64 (16,)"),
        (
            "codebook",
            np.ones(16, np.float32),
            f"codebook must be finite and start with zero, not {[1.0] * 16}",
        ),
        (
            "weight_codes",
            np.zeros(3, np.uint8),
            "weight_codes must have the shape (outputs, inputs), not (3,)",
        ),
        (
            "weight_codes",
            np.full((3, 2), 16, np.uint8),
            "weight_codes must be uint8 below 16, not uint8 up to 16",
        ),
        ("bias_codes", np.zeros(2, np.uint8), "bias_codes must have the shape (3,), not (2,)"),
        ("bias_codes", np.ones(3, int), "bias_codes must be uint8 below 16, not int64 up to 1"),
    ],
)
def test_shared_layer_names_the_field_that_is_wrong(field: str, value: np.ndarray, message: str) -> None:
    SharedLayer(**GOOD)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SharedLayer(**{**GOOD, field: value})


def test_only_folded_networks_are_shared() -> None:
    with pytest.raises(TypeError, match=r"^a network must be folded first .* not Sequential$"):
        share_layers(nn.Sequential(nn.Flatten(), nn.Linear(2, 2)))


def conv_network() -> nn.Sequential:
    torch.manual_seed(6)
    return fold(
        nn.Sequential(
            nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 5, 2, bias=False),
            nn.Flatten(),
            nn.Linear(20, 3),
        )
    )


def test_convolutions_are_shared() -> None:
    folded = conv_network()
    parts = share_layers(folded)
    assert [type(part) for part in parts] == [SharedConv, MaxPooling, SharedConv, SharedLayer]
    shared, tuning = to_module(parts), trainable_network(parts)
    images = torch.randn(4, 4, 12, 12)
    assert torch.equal(shared(images), tuning(images))
    # Shared once more, nothing changes: each layer has few enough values.
    again = to_module(share_layers(shared))
    assert torch.equal(again(images), shared(images))


def test_centroids_of_convolutions_are_trained() -> None:
    parts = share_layers(conv_network())
    shared, tuning = to_module(parts), trainable_network(parts)
    images = torch.randn(4, 4, 12, 12)
    tuning(images).square().sum().backward()
    shared(images).square().sum().backward()
    conv = parts[0]
    codes = torch.from_numpy(np.concatenate((conv.weight_codes.ravel(), conv.bias_codes)).astype(np.int64))
    gradients = torch.cat((shared[0].weight.grad.flatten(), shared[0].bias.grad))
    expected = torch.bincount(codes, gradients.double(), 16)[1:].float()
    torch.testing.assert_close(tuning[0].centroids.grad, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        tuning[0].centroids.mul_(2)
    doubled = with_trained_codebooks(parts, tuning)
    assert np.array_equal(doubled[0].codebook, 2 * parts[0].codebook)
    assert doubled[1] == parts[1]


def test_average_pooling_is_neither_shared_nor_trained() -> None:
    torch.manual_seed(7)
    folded = fold(
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.AvgPool2d(2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    parts = share_layers(folded)
    assert [type(part) for part in parts] == [SharedConv, AveragePooling, AveragePooling]
    shared, tuning = to_module(parts), trainable_network(parts)
    assert [type(part) for part in shared] == [type(part) for part in folded]
    assert [name for name, _ in tuning.named_parameters()] == ["0.centroids"]
    assert with_trained_codebooks(parts, tuning)[1:] == parts[1:]
    images = torch.randn(4, 1, 8, 8)
    assert torch.equal(shared(images), tuning(images))


def test_average_pooling_becomes_a_convolution() -> None:
    torch.manual_seed(7)
    values = torch.randn(4, 3, 6, 6)
    for pool in (
        AveragePooling(kernel=(2, 2), stride=(2, 2), padding=(0, 0), relu=True),
        AveragePooling(kernel=None, stride=(1, 1), padding=(0, 0), relu=False),
    ):
        (stage,) = lower([pool], (3, 6, 6)).stages
        assert isinstance(stage, ConvStage)
        layer = averaging_layer(stage, pool.relu)

        assert layer.relu == pool.relu
        torch.testing.assert_close(layer.module()(values), pool.module()(values))


def test_the_matrix_of_a_grouped_convolution_is_block_diagonal() -> None:
    conv = share_layers(conv_network())[0]
    matrix = conv.codebook[conv.matrix_codes]
    assert matrix.shape == (6, 4 * 9)
    patch = torch.randn(1, 4, 3, 3)
    expected = nn.functional.conv2d(patch, torch.from_numpy(conv.weight).reshape(6, 2, 3, 3), groups=2)
    np.testing.assert_allclose(matrix @ patch.numpy().ravel(), expected.numpy().ravel(), rtol=1e-4, atol=1e-5)
