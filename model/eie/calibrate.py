"""Calibration: chooses the fraction bits of each layer's activations and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.fixed_point import HEADROOM, ONE_FRACTION, activation_fraction, most_fraction_bits
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.model.eie.shared import SharedLayer
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.model.progress import Progress, Step, silent


@dataclass(frozen=True, kw_only=True)
class Fractions:
    """Fraction bits of a layer's input, weights and output."""

    input: int
    weight: int
    output: int


BATCH = 256
"""Images that go through the float network together, a limit on the memory for the patches of convolutions."""


def calibrate(
    layers: Sequence[SharedLayer],
    stages: Sequence[Stage],
    inputs: NDArray[np.float32],
    geometry: EieGeometry,
    progress: Progress = silent,
) -> list[Fractions]:
    """Chooses fraction bits from the values in the float network for `inputs` (samples x inputs).

    Activations keep HEADROOM in their 16 bits. The sums of the magnitudes of all products keep it in the accumulator,
    so that nothing saturates on the calibration data; if the accumulator is too narrow for that, inputs and weights
    lose the same number of fraction bits. Activations have more than ONE_FRACTION fraction bits where they need them,
    and fewer than zero where they are large; a bias column limits both. Raises ValueError if the values are too large
    for any choice."""
    flat = inputs.reshape(len(inputs), -1)
    values = [Magnitudes.of() for _ in range(len(layers) + 1)]
    sums = [0.0] * len(layers)
    for first in range(0, len(flat), BATCH):
        progress(Step(task="choosing fraction bits", done=first, total=len(flat), unit="samples"))
        found, greatest = _ranges(layers, stages, flat[first : first + BATCH])
        values = [one + other for one, other in zip(values, found, strict=True)]
        sums = np.maximum(sums, greatest).tolist()
    weights = [float(np.abs(layer.codebook).max()) for layer in layers]

    activation_fractions = [activation_fraction(one) for one in values]
    for index, layer in enumerate(layers):
        if layer.bias_codes is not None:
            # The activation of the bias column must fit too.
            highest = ONE_FRACTION - layer.bias_exponent
            activation_fractions[index] = min(activation_fractions[index], highest)
    weight_fractions = []
    for index, layer in enumerate(layers):
        weight = _fraction(weights[index], VALUE_BITS, headroom=1.0)
        room = _fraction(sums[index], geometry.accumulator_bits) + geometry.product_shift
        excess = activation_fractions[index] + weight - room
        if excess > 0:
            fraction = activation_fractions[index] - excess // 2
            # The activation of a bias column is a whole number.
            lowest = fraction if layer.bias_codes is None else min(-layer.bias_exponent, activation_fractions[index])
            activation_fractions[index] = max(fraction, lowest)
            weight = room - activation_fractions[index]
        # An output has no more fraction bits than the sum it is rounded from, and the shift has a limit.
        sum_fraction = activation_fractions[index] + weight - geometry.product_shift
        activation_fractions[index + 1] = min(activation_fractions[index + 1], sum_fraction)
        weight -= max(0, sum_fraction - activation_fractions[index + 1] - geometry.max_shift)
        weight_fractions.append(weight)
        if layer.bias_codes is not None and activation_fractions[index] < -layer.bias_exponent:
            raise ValueError(
                f"layer {index}: its inputs reach {values[index].top:.6g}, and {VALUE_BITS} bits do not hold them "
                "together with the constant one of the bias; scale the inputs down"
            )
    return [
        Fractions(
            input=activation_fractions[index],
            weight=weight_fractions[index],
            output=activation_fractions[index + 1],
        )
        for index in range(len(layers))
    ]


def float_rows(
    layers: Sequence[SharedLayer], stages: Sequence[Stage], inputs: NDArray[np.float32]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Each layer's inputs (rows x inputs) and outputs (rows x outputs) for `inputs` (samples x values), with a row for
    each start, in double precision."""
    passes: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    def run_stage(stage: Stage, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        for index in stage.layers:
            passes.append((rows, float_layer(layers[index], rows)))
            rows = passes[-1][1]
        return rows

    run_stages(stages, inputs.reshape(len(inputs), -1).astype(np.float64), run_stage)
    return passes


def float_layer(layer: SharedLayer, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The outputs of a layer (rows x outputs) for `rows` (rows x inputs), in double precision."""
    given = rows @ layer.codebook[layer.matrix_codes].astype(np.float64).T
    if layer.bias is not None:
        given += layer.bias
    return np.maximum(given, 0) if layer.relu else given


def _ranges(
    layers: Sequence[SharedLayer], stages: Sequence[Stage], inputs: NDArray[np.float32]
) -> tuple[list[Magnitudes], list[float]]:
    """The magnitudes of the input and of each layer's output, and the greatest sum of magnitudes of products of each
    layer."""
    values, sums = [Magnitudes.of(inputs)], []
    for layer, (rows, given) in zip(layers, float_rows(layers, stages, inputs), strict=True):
        magnitudes = np.abs(rows) @ np.abs(layer.codebook[layer.matrix_codes]).astype(np.float64).T
        sums.append(float((magnitudes + (0 if layer.bias is None else np.abs(layer.bias))).max()))
        values.append(Magnitudes.of(given))
    return values, sums


def _fraction(top: float, bits: int, headroom: float = HEADROOM) -> int:
    """As most_fraction_bits; any number would do where all values are zero."""
    return ONE_FRACTION if top == 0 else most_fraction_bits(top, bits, headroom)
