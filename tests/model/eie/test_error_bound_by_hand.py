"""The error bound of a compiled network against the worst case, found by trying every corner; it is no wider."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, error_bound, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.shared import SharedLayer

CODEBOOK = np.zeros(16, np.float32)
CODEBOOK[1:6] = [0.37, -0.81, 1.13, -0.059, 0.61]


def layer(codes: list[list[int]], bias: list[int] | None, relu: bool) -> SharedLayer:
    return SharedLayer(
        codebook=CODEBOOK,
        weight_codes=np.array(codes, np.uint8),
        bias_codes=None if bias is None else np.array(bias, np.uint8),
        relu=relu,
    )


def small_network(bias: bool) -> list[SharedLayer]:
    """3 -> 3 -> 2; a weight of zero is exact."""
    return [
        layer([[1, 2, 0], [0, 3, 4], [5, 1, 2]], [1, 0, 4] if bias else None, True),
        layer([[2, 0, 1], [3, 4, 5]], [2, 1] if bias else None, False),
    ]


def worst_case(network: EieNetwork, layers: list[SharedLayer], sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest error of each output of one sample: inputs off by their error, weights by half a unit, each up or
    down; one unit of the sum for each product that loses bits; half a unit of the output."""
    values, errors = sample, np.full(len(sample), 2.0 ** -(network.layers[0].input_fraction + 1))
    for row, shared in zip(network.layers, layers, strict=True):
        half = 2.0 ** -(row.weight_fraction + 1)
        shift = network.geometry.product_shift
        unit = 2.0 ** -(row.input_fraction + row.weight_fraction - shift) if shift else 0.0
        results, found = [], []
        for output, codes in enumerate(shared.weight_codes):
            used = np.flatnonzero(codes)
            weights = CODEBOOK[codes[used]].astype(np.float64)
            biased = shared.bias_codes is not None and bool(shared.bias_codes[output])
            exact = weights @ values[used]
            worst = 0.0
            for signs in itertools.product((-1, 1), repeat=2 * len(used)):
                up, beside = np.split(np.array(signs), 2)
                off = (weights + up * half) @ (values[used] + beside * errors[used]) - exact
                worst = max(worst, abs(off) + half * biased)
            found.append(worst + (len(used) + biased) * unit + 2.0 ** -(row.output_fraction + 1))
            bias = 0.0 if shared.bias_codes is None else float(CODEBOOK[shared.bias_codes[output]])
            results.append(exact + bias)
        values, errors = np.array(results), np.array(found)
        if shared.relu:
            values = np.maximum(values, 0)
    return errors


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("arithmetic", [(32, 0), (16, 12), (20, 2)])
def test_it_is_the_worst_case(arithmetic: tuple[int, int], bias: bool) -> None:
    layers = small_network(bias)
    inputs = np.random.default_rng(1).uniform(-1, 1, (5, 3)).astype(np.float32)
    geometry = EieGeometry(pes=2, accumulator_bits=arithmetic[0], product_shift=arithmetic[1])
    network = compile_network(layers, inputs, geometry, fit=MEMORIES)
    expected = [worst_case(network, layers, sample.astype(np.float64)) for sample in inputs]
    bound = error_bound(network, layers, inputs)
    # It takes the product of two errors, which is far smaller than they are, with the worse sign.
    assert np.all(expected <= bound * (1 + 1e-9))
    assert np.all(bound <= 1.002 * np.array(expected))


def test_errors_come_near_it() -> None:
    """Of many inputs, some meet most of what the bound of a single layer allows."""
    layers = [layer([[1, 2, 0, 3, 4], [5, 0, 1, 2, 0]], None, False)]
    inputs = np.random.default_rng(2).uniform(-1, 1, (20_000, 5)).astype(np.float32)
    network = compile_network(layers, inputs, EieGeometry(pes=2, accumulator_bits=16, product_shift=12), fit=MEMORIES)
    outputs = float_outputs(network, golden.outputs(network, quantise_inputs(network, inputs)[0]))
    exact = inputs.astype(np.float64) @ layers[0].weight.T.astype(np.float64)
    share = np.abs(outputs - exact) / error_bound(network, layers, inputs)
    assert 0.6 < share.max() <= 1


@pytest.mark.parametrize("fraction", [0, 3, 14])
def test_inputs_are_rounded_to_the_nearest_and_halves_to_even(fraction: int) -> None:
    """Every quarter between integers, as Python rounds it."""
    layers = [layer([[1]], None, False)]
    top = 1.9 * 2.0 ** (13 - fraction)
    network = compile_network(layers, np.full((1, 1), top, np.float32), EieGeometry(pes=1), fit=MEMORIES)
    assert network.layers[0].input_fraction == fraction
    quarters = np.arange(-41, 42)
    values, clipped = quantise_inputs(network, np.float32(quarters[:, None] / 4 * 2.0**-fraction))
    assert values[:, 0].tolist() == [round(int(quarter) / 4) for quarter in quarters]
    assert clipped == 0


def test_weights_are_rounded_to_the_nearest_and_halves_to_even() -> None:
    """The greatest weight fixes the fraction bits; the others lie on quarters of the last of them."""
    quarters = [5, 6, 7, 9, 10, 11, -5, -6, -7, -10, -11]
    unit = 2.0**-14
    codebook = np.zeros(16, np.float32)
    codebook[1 : 1 + len(quarters)] = np.array(quarters) / 4 * unit
    codebook[12] = 1.5
    shared = SharedLayer(
        codebook=codebook, weight_codes=np.arange(1, 13, dtype=np.uint8)[None], bias_codes=None, relu=False
    )
    network = compile_network([shared], np.full((1, 12), 0.5, np.float32), EieGeometry(pes=1), fit=MEMORIES)
    assert network.layers[0].weight_fraction == 14
    expected = [round(quarter / 4) for quarter in quarters]
    assert network.codebooks[0, 1 : 1 + len(quarters)].tolist() == expected
    assert network.codebooks[0, 12] == 1.5 * 2**14


@pytest.mark.parametrize("top", [1e-6, 1e-3, 0.3, 1.0, 7.0, 300.0, 16_000.0])
@pytest.mark.parametrize("bits", [(32, 0), (16, 12)])
def test_the_constant_one_of_a_bias_fits_in_16_bits(top: float, bits: tuple[int, int]) -> None:
    """And so does everything else, exactly: neither the inputs nor any partial sum is cut."""
    shared = layer([[1, 2], [3, 4]], [5, 3], False)
    inputs = np.float32([[top, -top], [top / 2, top]])
    geometry = EieGeometry(pes=1, accumulator_bits=bits[0], product_shift=bits[1])
    network = compile_network([shared], inputs, geometry, fit=MEMORIES)
    (row,) = network.layers
    assert 1 <= row.bias_activation == 2**row.input_fraction <= 32767
    activations, clipped = quantise_inputs(network, inputs)
    (run,) = golden.run(network, activations)
    assert clipped + int(run.saturated_sums.sum() + run.saturated_outputs.sum()) == 0
    # The sums in any order, with the bias, keep twice what they reach.
    weights = network.codebooks[0][np.column_stack((shared.weight_codes, shared.bias_codes))].astype(int)
    columns = np.column_stack((activations, np.full(2, row.bias_activation))).astype(int)
    sums = np.abs(columns) @ np.abs(weights).T >> geometry.product_shift
    assert 2 * sums.max() < 2 ** (bits[0] - 1) * 1.01


def sums_of(bits: int, bias: bool) -> tuple[int, int]:
    """The largest sum of magnitudes of products, and the limit, of a layer whose accumulator is the narrowest part."""
    codebook = np.zeros(16, np.float32)
    codebook[1] = 0.75
    shared = SharedLayer(
        codebook=codebook,
        weight_codes=np.ones((1, 40), np.uint8),
        bias_codes=np.ones(1, np.uint8) if bias else None,
        relu=False,
    )
    inputs = np.full((3, 40), 0.6, np.float32)
    network = compile_network([shared], inputs, EieGeometry(pes=1, accumulator_bits=bits), fit=MEMORIES)
    (row,) = network.layers
    products = 40 * 0.6 * 0.75 + (0.75 if bias else 0)
    return round(products * 2.0 ** (row.input_fraction + row.weight_fraction)), 2 ** (bits - 1) - 1


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bits", [20, 24, 28])
def test_sums_use_the_accumulator_but_for_the_headroom(bits: int, bias: bool) -> None:
    """Twice the sum fits, and with one fraction bit more it would not."""
    largest, limit = sums_of(bits, bias)
    assert 2 * largest <= limit < 4 * largest
