"""The fraction bits of a layer: everything fits twice, and one bit more anywhere would not."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.model.eie.calibrate import calibrate
from zeroskip.model.eie.compiler import lower_shared
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.shared import SharedLayer


def layers_of(rng: np.random.Generator, scale: float, bias: bool) -> list[SharedLayer]:
    """12 -> 9 -> 5, with codebooks of the magnitude `scale`."""
    layers = []
    for inputs, outputs, relu in ((12, 9, True), (9, 5, False)):
        codebook = (rng.uniform(-1, 1, 16) * scale).astype(np.float32)
        codebook[0] = 0
        codes = rng.integers(0, 16, (outputs, inputs + 1)).astype(np.uint8)
        layers.append(
            SharedLayer(
                codebook=codebook,
                weight_codes=codes[:, :-1].copy(),
                bias_codes=codes[:, -1].copy() if bias else None,
                relu=relu,
            )
        )
    return layers


def holds(top: float, fraction: int, bits: int) -> bool:
    return top * 2.0**fraction <= 2 ** (bits - 1) - 1


@pytest.mark.parametrize("arithmetic", [(16, 0), (16, 12), (20, 2), (24, 0), (32, 0), (48, 0)])
@pytest.mark.parametrize("scale", [0.02, 0.6, 9.0])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_twice_everything_fits_and_nothing_more_would(
    arithmetic: tuple[int, int], scale: float, bias: bool, seed: int
) -> None:
    """Ranges from numpy; the images of one batch and of the next count alike."""
    rng = np.random.default_rng(seed)
    layers = layers_of(rng, scale, bias)
    inputs = rng.uniform(-1, 1, (300, 12)).astype(np.float32)
    inputs[270] *= 3.7
    accumulator, shift = arithmetic
    geometry = EieGeometry(pes=2, accumulator_bits=accumulator, product_shift=shift)
    found = calibrate(layers, lower_shared(layers, (12,))[0], inputs, geometry).layers
    assert found[0].output == found[1].input

    values, tops, sums = inputs.astype(np.float64), [], []
    for layer in layers:
        tops.append(np.abs(values).max())
        weight = layer.weight.astype(np.float64)
        given = np.zeros(len(weight)) if layer.bias is None else layer.bias.astype(np.float64)
        sums.append((np.abs(values) @ np.abs(weight).T + np.abs(given)).max())
        values = values @ weight.T + given
        values = np.maximum(values, 0) if layer.relu else values
    tops.append(np.abs(values).max())

    for index, (layer, fraction) in enumerate(zip(layers, found, strict=True)):
        weight = float(np.abs(layer.codebook).max())
        inside = fraction.input + fraction.weight - shift
        assert holds(2 * tops[index], fraction.input, 16)
        assert holds(weight, fraction.weight, 16)
        assert holds(2 * sums[index], inside, accumulator)
        assert holds(2 * tops[index + 1], fraction.output, 16)
        assert 0 <= inside - fraction.output <= geometry.max_shift
        if bias:
            assert 0 <= fraction.input <= 14
        # One bit more of the weight does not fit it, or the sum, or the shift.
        assert (
            not holds(weight, fraction.weight + 1, 16)
            or not holds(2 * sums[index], inside + 1, accumulator)
            or inside - fraction.output == geometry.max_shift
        )
        widest = max(bits for bits in range(-40, 41) if holds(2 * tops[index], bits, 16))
        most = max(bits for bits in range(-40, 41) if holds(weight, bits, 16))
        room = max(bits for bits in range(-60, 80) if holds(2 * sums[index], bits, accumulator)) + shift
        if index == 0:
            # Beside 14 fraction bits, more only where the values are small, and these are not.
            wanted = min(widest, 14)
            excess = max(0, wanted + most - room)
            lost = min(excess // 2, wanted) if bias else excess // 2
            assert fraction.input == wanted - lost
        output = max(bits for bits in range(-40, 41) if holds(2 * tops[index + 1], bits, 16))
        if index == 1:
            assert fraction.output in (min(output, 14, inside), min(output, inside))
