"""Convolutions and pooling on integers, against torch's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from support.networks import random_conv_network, random_inputs, small_conv_network
from torch.nn import functional as F

from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.network.stages import ConvStage, MaxPoolStage

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1, 1), (1, 3), (2, 1), (2, 2), (3, 1)]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    SIZES,
    SIZES,
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_convolution(
    seed: int,
    grouping: tuple[int, int],
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> None:
    assume(all(s + 2 * p >= k for s, p, k in zip(size, padding, kernel, strict=True)))
    groups, factor = grouping
    channels = groups * factor
    stage = ConvStage(
        layer=0,
        channels=channels,
        height=size[0],
        width=size[1],
        kernel=kernel,
        stride=stride,
        padding=padding,
        groups=groups,
    )
    rng = np.random.default_rng(seed)
    network = random_conv_network(rng, EieGeometry(pes=2), [stage], [2 * groups], 0.5, magnitude=100)
    inputs = random_inputs(rng, 3, stage.inputs, (0.6,), magnitude=100)
    layers = golden.run(network, inputs)

    matrix = torch.from_numpy(network.weights(0).astype(np.int64))
    blocks = matrix[:, :-1].reshape(groups, 2, groups, factor, *kernel)
    weight = torch.cat([blocks[group, :, group] for group in range(groups)])
    images = torch.from_numpy(inputs.astype(np.int64)).reshape(3, channels, *size)
    sums = F.conv2d(images, weight, matrix[:, -1] << 8, stride, padding, groups=groups)
    expected = golden.requantise(sums.numpy(), 8, relu=True).clip(golden.VALUE_MIN, golden.VALUE_MAX)
    assert np.array_equal(golden.outputs(network, inputs), expected.reshape(3, -1))
    assert cycles.run(network, [layer.inputs for layer in layers]).shape == (3, 1)


@given(
    st.integers(0, 2**32 - 1), SIZES, SIZES, st.tuples(st.integers(0, 2), st.integers(0, 2)), st.sampled_from([-1, 1])
)
def test_max_pooling(
    seed: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], sign: int
) -> None:
    assume(all(2 * p <= k for p, k in zip(padding, kernel, strict=True)))
    stage = MaxPoolStage(channels=3, height=5, width=6, kernel=kernel, stride=stride, padding=padding)
    # All values negative too: padding must not show.
    values = (sign * np.random.default_rng(seed).integers(1, 100, (2, 3 * 5 * 6))).astype(np.int16)
    images = torch.from_numpy(values.astype(np.float64)).reshape(2, 3, 5, 6)
    expected = F.max_pool2d(images, kernel, stride, padding).flatten(1).numpy()
    assert np.array_equal(stage.scatter(stage.gather(values)), expected)


def test_batches_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    network = small_conv_network(rng, EieGeometry(pes=4))
    inputs = random_inputs(rng, 7, network.inputs, (0.5, 1.0))
    whole = golden.outputs(network, inputs)
    assert whole.shape == (7, network.outputs) == (7, 5)
    assert np.array_equal(golden.outputs(network, inputs, batch=3), whole)
    monkeypatch.setattr(golden, "BLOCK", 17)
    assert np.array_equal(golden.outputs(network, inputs), whole)


def test_a_layer_that_ends_in_images_is_given_as_images() -> None:
    rng = np.random.default_rng(6)
    network = small_conv_network(rng, EieGeometry(pes=4))
    front = dataclasses.replace(network, stages=network.stages[:2], layers=network.layers[:1])
    front = dataclasses.replace(front, order=np.arange(front.outputs, dtype=np.uint32))
    inputs = random_inputs(rng, 2, network.inputs, (0.5,))
    layers = golden.run(network, inputs)
    pooled = golden.outputs(front, inputs)
    assert np.array_equal(network.stages[2].gather(pooled), layers[1].inputs)
