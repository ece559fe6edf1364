"""The golden model against plain Python integers, written down straight from the arithmetic of the design."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import random_inputs, random_network

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.golden import requantise, run


def reference(network: EieNetwork, image: list[int]) -> tuple[list[int], int, int]:
    """Outputs of one image, saturated sums (each once) and saturated outputs, in Python integers."""
    geometry = network.geometry
    top = 2 ** (geometry.accumulator_bits - 1)
    sums = outputs = 0
    for index, layer in enumerate(network.layers):
        image = [*image, layer.bias_activation] if layer.bias else image
        result = []
        for row in network.weights(index).tolist():
            total, clipped = 0, False
            for weight, activation in zip(row, image, strict=True):
                exact = total + ((weight * activation) >> geometry.product_shift)
                total = max(-top, min(top - 1, exact))
                clipped = clipped or total != exact
            sums += clipped
            rounded = round(Fraction(total, 2 ** layer.out_shift(geometry)))  # half to even
            if layer.relu:
                rounded = max(rounded, 0)
            result.append(max(-(2**15), min(2**15 - 1, rounded)))
            outputs += result[-1] != rounded
        image = result
    return image, sums, outputs


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(32, 0, 8), (16, 8, 6), (16, 12, 4), (20, 0, 2), (48, 0, 20), (24, 3, 0)]),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.booleans(),
)
def test_equals_reference(seed: int, arithmetic: tuple[int, int, int], density: float, bias: bool) -> None:
    bits, product_shift, shift = arithmetic
    rng = np.random.default_rng(seed)
    geometry = EieGeometry(pes=4, accumulator_bits=bits, product_shift=product_shift)
    network = random_network(rng, geometry, (12, 9, 5), density, bias=bias, shift=shift, magnitude=32767)
    inputs = random_inputs(rng, 3, 12, (1.0, 0.5, 0.0), magnitude=32767)
    layers = run(network, inputs)
    for image in range(3):
        outputs, sums, saturated = reference(network, inputs[image].tolist())
        assert layers[-1].outputs[image].tolist() == outputs
        assert sum(int(layer.saturated_sums[image]) for layer in layers) == sums
        assert sum(int(layer.saturated_outputs[image]) for layer in layers) == saturated


@given(st.integers(-(2**47), 2**47 - 1), st.integers(0, 47), st.booleans())
def test_requantise(value: int, shift: int, relu: bool) -> None:
    expected = round(Fraction(value, 2**shift))
    assert requantise(np.array([value]), shift, relu=relu)[0] == (max(expected, 0) if relu else expected)


def test_ties_go_to_even() -> None:
    assert requantise(np.array([-6, -2, 2, 6, 10]), 2, relu=False).tolist() == [-2, 0, 0, 2, 2]


def test_shape_is_checked() -> None:
    network = random_network(np.random.default_rng(0), EieGeometry(pes=1), (12, 5), 0.5)
    with pytest.raises(ValueError, match=r"inputs must be int16 of images x 12, not int16 of \(2, 11\)"):
        run(network, np.zeros((2, 11), np.int16))
    with pytest.raises(ValueError, match=r"inputs must be int16 of images x 12, not float64 of \(2, 12\)"):
        run(network, np.zeros((2, 12)))
