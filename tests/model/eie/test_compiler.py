"""Compilation: the integer network stays within its stated bound of the float one, and what does not fit is told."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.tile_networks import averaging

from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import FitError
from zeroskip.model.eie.compiler import compile_network, error_bound, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.shared import SharedConv, SharedLayer, SharedOperation, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold
from zeroskip.model.network.operations import MaxPooling


def random_layers(rng: np.random.Generator, sizes: tuple[int, ...], scale: float, *, bias: bool) -> list[SharedLayer]:
    layers = []
    for index in range(len(sizes) - 1):
        inputs, outputs = sizes[index : index + 2]
        codebook = (rng.normal(size=16) * scale).astype(np.float32)
        codebook[0] = 0
        codes = rng.integers(0, 16, (outputs, inputs + 1)).astype(np.uint8)
        codes[rng.random(codes.shape) < 0.6] = 0
        layers.append(
            SharedLayer(
                codebook=codebook,
                weight_codes=codes[:, :-1].copy(),
                bias_codes=codes[:, -1].copy() if bias else None,
                relu=index < len(sizes) - 2,
            )
        )
    return layers


def in_floats(layers: list[SharedLayer], inputs: np.ndarray) -> np.ndarray:
    values = inputs.astype(np.float64)
    for layer in layers:
        values = values @ layer.weight.astype(np.float64).T
        if layer.bias is not None:
            values = values + layer.bias
        values = np.maximum(values, 0) if layer.relu else values
    return values


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(32, 0), (16, 12), (16, 0), (20, 2), (48, 0)]),
    st.sampled_from([1e-3, 0.1, 1.0, 30.0]),
    st.sampled_from([1e-2, 1.0, 100.0]),
    st.booleans(),
)
def test_error_is_within_its_bound(
    seed: int, arithmetic: tuple[int, int], scale: float, top: float, bias: bool
) -> None:
    rng = np.random.default_rng(seed)
    # Where values are large, 16 bits do not hold the constant one beside them: tested below.
    layers = random_layers(rng, (20, 15, 7), scale, bias=bias and scale * top <= 1)
    inputs = (rng.uniform(-top, top, (6, 20)) * (rng.random((6, 20)) < 0.7)).astype(np.float32)
    geometry = EieGeometry(pes=4, accumulator_bits=arithmetic[0], product_shift=arithmetic[1])
    network = compile_network(layers, inputs, geometry, fit=MEMORIES)
    activations, clipped = quantise_inputs(network, inputs)
    runs = golden.run(network, activations)
    assert clipped == sum(int(run.saturated_sums.sum() + run.saturated_outputs.sum()) for run in runs) == 0
    difference = np.abs(float_outputs(network, runs[-1].outputs) - in_floats(layers, inputs))
    assert np.all(difference <= error_bound(network, layers, inputs))


def test_32_bit_accumulators_lose_little() -> None:
    rng = np.random.default_rng(3)
    layers = random_layers(rng, (64, 100, 10), 0.3, bias=True)
    inputs = rng.uniform(0, 1, (50, 64)).astype(np.float32)
    network = compile_network(layers, inputs, EieGeometry(pes=8), fit=MEMORIES)
    outputs = float_outputs(network, golden.run(network, quantise_inputs(network, inputs)[0])[-1].outputs)
    expected = in_floats(layers, inputs)
    assert np.abs(outputs - expected).max() < 2e-3 * np.abs(expected).max()


def test_empty_and_constant_layers() -> None:
    empty = SharedLayer(
        codebook=np.zeros(16, np.float32),
        weight_codes=np.zeros((3, 5), np.uint8),
        bias_codes=np.zeros(3, np.uint8),
        relu=False,
    )
    network = compile_network([empty], np.zeros((2, 5), np.float32), EieGeometry(pes=2), fit=MEMORIES)
    activations, _ = quantise_inputs(network, np.zeros((2, 5), np.float32))
    assert not golden.run(network, activations)[-1].outputs.any()


@pytest.fixture
def network():  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(4)
    layers = random_layers(rng, (20, 15, 7), 0.3, bias=True)
    return compile_network(layers, rng.uniform(-1, 1, (6, 20)).astype(np.float32), EieGeometry(pes=4), fit=MEMORIES)


def test_inputs_beyond_calibration(network) -> None:  # type: ignore[no-untyped-def]
    inputs = np.zeros((3, 20), np.float32)
    inputs[1, 7] = 5
    inputs[2, 3] = -9
    fraction = network.layers[0].input_fraction
    message = (
        f"inputs must be from {-32768 / 2**fraction:g} to {32767 / 2**fraction:g} ({fraction} fraction bits, as "
        "calibrated), not 5 (sample 1, value 7; 2 such values); to clip them, pass --saturate (saturate=True)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        quantise_inputs(network, inputs)
    values, clipped = quantise_inputs(network, inputs, saturate=True)
    assert (values[1, 7], values[2, 3], clipped) == (32767, -32768, 2)


def test_inputs_of_another_shape(network) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"inputs must have 20 values a sample, as the network takes, not 24"):
        quantise_inputs(network, np.zeros((3, 4, 6), np.float32))


def test_memories_that_do_not_hold_it() -> None:
    rng = np.random.default_rng(5)
    layers = random_layers(rng, (20, 400, 7), 0.3, bias=True)
    with pytest.raises(FitError, match=r"activation_rows is 64 and 100 are needed, 36 too few \(layer 0 has 400 activ"):
        compile_network(layers, np.zeros((1, 20), np.float32), EieGeometry(pes=4), fit=["entry_words"])


def test_inputs_too_large_for_the_one_of_the_bias() -> None:
    layers = random_layers(np.random.default_rng(6), (20, 7), 0.3, bias=True)
    message = (
        "layer 0: its inputs reach 50000, and 16 bits do not hold them together with the constant one of the bias; "
        "scale the inputs down"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        compile_network(layers, np.full((1, 20), 5e4, np.float32), EieGeometry(pes=4), fit=MEMORIES)


def conv_parts(rng: np.random.Generator) -> list[SharedOperation]:
    """1x9x9 -> 4x7x7 -> pooled to 4x3x3 -> by two groups 6x2x2 -> 5."""

    def part(outputs: int, inputs: int, **window: Any) -> SharedLayer:
        (dense,) = random_layers(rng, (inputs, outputs), 0.3, bias=True)
        if not window:
            return dense
        sizes = {"stride": (1, 1), "padding": (0, 0), "groups": 1} | window
        return SharedConv(**{**vars(dense), "relu": True}, **sizes)

    pool = MaxPooling(kernel=(2, 2), stride=(2, 2), padding=(0, 0))
    return [
        part(4, 9, kernel=(3, 3)),
        pool,
        part(6, 8, kernel=(2, 2), groups=2, stride=(2, 2), padding=(1, 1)),
        part(5, 24),
    ]


def test_error_of_convolutions_is_within_its_bound() -> None:
    rng = np.random.default_rng(12)
    parts = conv_parts(rng)
    inputs = rng.normal(size=(300, 1, 9, 9)).astype(np.float32)
    for geometry in (EieGeometry(pes=4), EieGeometry(pes=4, accumulator_bits=16, product_shift=12)):
        network = compile_network(parts, inputs, geometry, fit=MEMORIES)
        quantised = quantise_inputs(network, inputs)[0]
        runs = golden.run(network, quantised)
        assert not any(run.saturated_sums.any() or run.saturated_outputs.any() for run in runs)
        with torch.no_grad():
            expected = to_module(parts).double()(torch.from_numpy(inputs).double()).numpy()
        difference = np.abs(float_outputs(network, golden.outputs(network, quantised)) - expected)
        assert np.all(difference <= error_bound(network, parts, inputs) + 1e-9)
    assert difference.max() > 0


def test_error_of_average_pooling_is_within_its_bound() -> None:
    parts = share_layers(fold(averaging()))
    inputs = np.random.default_rng(14).normal(size=(20, 1, 8, 8)).astype(np.float32)
    network = compile_network(parts, inputs, EieGeometry(pes=4), fit=MEMORIES)
    outputs = [layer.outputs // positions for layer, positions in zip(network.layers, network.together, strict=True)]
    assert outputs == [4, 4, 4, 8, 8, 8, 3]
    assert [layer.relu for layer in network.layers] == [False, True, True, True, False, False, False]
    with torch.no_grad():
        expected = to_module(parts).double()(torch.from_numpy(inputs).double()).numpy()
    found = float_outputs(network, golden.outputs(network, quantise_inputs(network, inputs)[0]))
    assert np.all(np.abs(found - expected) <= error_bound(network, parts, inputs) + 1e-9)
    assert np.abs(found - expected).max() < 5e-3 * np.abs(expected).max()


def test_shapes_that_do_not_fit_convolutions() -> None:
    parts = conv_parts(np.random.default_rng(13))
    for shape, message in (
        ((2, 81), "inputs must be samples x channels x height x width, as the network takes, not samples x 81"),
        ((2, 3, 9, 9), "layer 0 must have images of 1 channels, not 3, at its input"),
        ((2, 1, 12, 12), "layer 2 takes 24 values, but these inputs make it 6 x 3 x 3"),
        ((2, 1, 2, 9), "operation 0 of the network: kernel 3 x 3 must fit into the 2 x 9 of its input"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            compile_network(parts, np.zeros(shape, np.float32), EieGeometry(pes=4), fit=MEMORIES)
