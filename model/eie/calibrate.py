"""Calibration: chooses the fraction bits of each layer's activations and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.fixed_point import HEADROOM, ONE_FRACTION, activation_fraction, most_fraction_bits
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.model.eie.host import KEEPING, MOST_APART, most_fraction
from zeroskip.model.eie.rounding import VALUE_MAX
from zeroskip.model.eie.shared import SharedLayer
from zeroskip.model.network.cells import State, advance
from zeroskip.model.network.host_stages import (
    AddStage,
    ConcatStage,
    HostStage,
)
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import RecurrentStage, Stage, sources
from zeroskip.model.network.token_stages import EmbeddingStage
from zeroskip.model.progress import Progress, Step, silent


@dataclass(frozen=True, kw_only=True)
class Fractions:
    """Fraction bits of a layer's input, weights and output."""

    input: int
    weight: int
    output: int


Seen = Callable[[int, NDArray[np.float64]], None]
"""Told what a layer, by its row of the table, reads for some samples (starts x inputs)."""

BATCH = 256
"""Images that go through the float network together, a limit on the memory for the patches of convolutions."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The fraction bits of each layer, and of the values between the stages: the network's input, and what each stage
    gives."""

    layers: list[Fractions]
    values: list[int]


@dataclass(frozen=True, kw_only=True)
class _Formats:
    """The number formats of a network. Every layer and every stage of the host has one for its results; pooling, limits
    and moves keep that of what they read. By number: the format of each of the `values`, and those of each layer's
    input and output."""

    values: list[int]
    layers: list[tuple[int, int]]
    count: int

    @classmethod
    def of(cls, stages: Sequence[Stage]) -> _Formats:
        values, layers, count = [0], [], 1
        for index, stage in enumerate(stages):
            last = values[sources(index, stage)[0]]
            if isinstance(stage, RecurrentStage):
                # Its layer reads the states that it gives.
                layers.append((count, count + 1))
                values.append(count)
                count += 2
                continue
            for _ in stage.layers:
                layers.append((last, count))
                last, count = count, count + 1
            if isinstance(stage, HostStage) and not isinstance(stage, KEEPING):
                last, count = count, count + 1
            values.append(last)
        return cls(values=values, layers=layers, count=count)


def calibrate(
    layers: Sequence[SharedLayer],
    stages: Sequence[Stage],
    inputs: NDArray[np.float32],
    geometry: EieGeometry,
    progress: Progress = silent,
    seen: Seen = lambda index, rows: None,
) -> Calibration:
    """Chooses fraction bits from the values in the float network for `inputs` (samples x inputs).

    Activations keep HEADROOM in their 16 bits. The sums of the magnitudes of all products keep it in the accumulator,
    so that nothing saturates on the calibration data; if the accumulator is too narrow for that, inputs and weights
    lose the same number of fraction bits. Activations have more than ONE_FRACTION fraction bits where they need them,
    and fewer than zero where they are large; a bias column limits both. A value that several layers read has the
    fewest bits that one of them asks for. A sum has no more fraction bits than the finer of its parts, a product no
    more than both together, a concatenation no more than the coarsest (zeroskip.model.eie.host). `seen` is told what
    each layer reads.

    Raises ValueError if the values are too large for any choice, or values that meet are too different."""
    flat = inputs.reshape(len(inputs), -1)
    formats = _Formats.of(stages)
    values = [Magnitudes.of() for _ in range(formats.count)]
    sums = [0.0] * len(layers)
    for first in range(0, len(flat), BATCH):
        progress(Step(task="choosing fraction bits", done=first, total=len(flat), unit="samples"))
        found, greatest = _ranges(layers, stages, formats, flat[first : first + BATCH], seen)
        values = [one + other for one, other in zip(values, found, strict=True)]
        sums = np.maximum(sums, greatest).tolist()
    weights = [_fraction(float(np.abs(layer.codebook).max()), VALUE_BITS, headroom=1.0) for layer in layers]
    rooms = [_fraction(top, geometry.accumulator_bits) + geometry.product_shift for top in sums]

    fractions = [activation_fraction(one) for one in values]
    tokens = {formats.values[sources(index, stage)[0]] for index, stage in enumerate(stages) if _names_rows(stage)}
    for number in tokens:
        fractions[number] = 0
    for layer, (taken, _) in zip(layers, formats.layers, strict=True):
        if layer.bias_codes is not None:
            # The activation of the bias column must fit too.
            fractions[taken] = min(fractions[taken], ONE_FRACTION - layer.bias_exponent)
    # First what each layer asks of its inputs, then what that makes of its outputs, which are the inputs of others.
    for index, stage in enumerate(stages):
        for row in stage.layers:
            layer, (taken, given) = layers[row], formats.layers[row]
            excess = fractions[taken] + weights[row] - rooms[row]
            if excess > 0:
                fraction = fractions[taken] - excess // 2
                # The activation of a bias column is a whole number.
                lowest = fraction if layer.bias_codes is None else min(-layer.bias_exponent, fractions[taken])
                fractions[taken] = max(fraction, lowest)
            _limit(fractions, given, fractions[taken] + min(weights[row], rooms[row] - fractions[taken]), geometry)
        _join(fractions, formats, index, stage)
    found_weights = []
    for index, stage in enumerate(stages):
        for row in stage.layers:
            layer, (taken, given) = layers[row], formats.layers[row]
            weight = min(weights[row], rooms[row] - fractions[taken])
            # An output has no more fraction bits than the sum it is rounded from, and the shift has a limit.
            _limit(fractions, given, fractions[taken] + weight, geometry)
            shift = fractions[taken] + weight - geometry.product_shift - fractions[given]
            found_weights.append(weight - max(0, shift - geometry.max_shift))
            if layer.bias_codes is not None and fractions[taken] < -layer.bias_exponent:
                raise ValueError(
                    f"layer {row}: its inputs reach {values[taken].top:.6g}, and {VALUE_BITS} bits do not hold them "
                    "together with the constant one of the bias; scale the inputs down"
                )
        _join(fractions, formats, index, stage)
    _require_near(fractions, formats, stages, values)
    for number in tokens:
        if fractions[number] != 0 or values[number].top > VALUE_MAX:
            raise ValueError(
                f"the whole numbers of an embedding reach {values[number].top:.6g}, and are read by another layer or "
                f"do not fit {VALUE_BITS} bits; at most {VALUE_MAX} are supported, which only embeddings read"
            )
    return Calibration(
        layers=[
            Fractions(input=fractions[taken], weight=weight, output=fractions[given])
            for (taken, given), weight in zip(formats.layers, found_weights, strict=True)
        ],
        values=[fractions[number] for number in formats.values],
    )


def _limit(fractions: list[int], number: int, products: int, geometry: EieGeometry) -> None:
    """Leaves a layer's outputs no more fraction bits than its sums of `products` have."""
    fractions[number] = min(fractions[number], products - geometry.product_shift)


def _join(fractions: list[int], formats: _Formats, index: int, stage: Stage) -> None:
    """Leaves a sum, a product or a concatenation no more fraction bits than its parts give it."""
    parts = [fractions[formats.values[source]] for source in sources(index, stage)]
    number = formats.values[index + 1]
    most = most_fraction(stage, parts)
    if most is not None:
        fractions[number] = min(fractions[number], most)


def _names_rows(stage: Stage) -> bool:
    """Whether a stage reads whole numbers."""
    return isinstance(stage, EmbeddingStage)


def _require_near(
    fractions: list[int], formats: _Formats, stages: Sequence[Stage], values: Sequence[Magnitudes]
) -> None:
    """Raises ValueError where values of too different sizes meet."""
    for index, stage in enumerate(stages):
        if not isinstance(stage, AddStage | ConcatStage):
            continue
        numbers = [formats.values[source] for source in sources(index, stage)]
        bits = [*(fractions[number] for number in numbers), fractions[formats.values[index + 1]]]
        if max(bits) - min(bits) > MOST_APART:
            tops = " and ".join(f"{values[number].top:.6g}" for number in numbers)
            what = "an addition" if isinstance(stage, AddStage) else "a concatenation"
            raise ValueError(
                f"stage {index}, {what}: its values reach {tops}, and need fraction bits that are "
                f"{max(bits) - min(bits)} apart; at most {MOST_APART} are supported: scale the layers before it alike"
            )


def float_layer(layer: SharedLayer, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The outputs of a layer (rows x outputs) for `rows` (rows x inputs), in double precision."""
    given = rows @ layer.codebook[layer.matrix_codes].astype(np.float64).T
    if layer.bias is not None:
        given += layer.bias
    return np.maximum(given, 0) if layer.relu else given


def _ranges(
    layers: Sequence[SharedLayer],
    stages: Sequence[Stage],
    formats: _Formats,
    inputs: NDArray[np.float32],
    seen: Seen,
) -> tuple[list[Magnitudes], list[float]]:
    """The magnitudes of the values of each format, and the greatest sum of magnitudes of products of each layer."""
    values = [Magnitudes.of() for _ in range(formats.count)]
    values[0] = Magnitudes.of(inputs)
    sums = [0.0] * len(layers)

    def run_stage(stage: Stage, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        for index in stage.layers:
            layer = layers[index]
            seen(index, rows)
            magnitudes = np.abs(rows) @ np.abs(layer.codebook[layer.matrix_codes]).astype(np.float64).T
            sums[index] = max(
                sums[index], float((magnitudes + (0 if layer.bias is None else np.abs(layer.bias))).max())
            )
            rows = float_layer(layer, rows)
            values[formats.layers[index][1]] += Magnitudes.of(rows)
        return rows

    def run_host(index: int, given: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        stage = stages[index]
        assert isinstance(stage, HostStage)
        found = stage.compute(*given)
        if not isinstance(stage, KEEPING):
            values[formats.values[index + 1]] = Magnitudes.of(found)
        return found

    def run_cell(
        index: int, given: NDArray[np.float64], recurrent: NDArray[np.float64], left: State | None
    ) -> tuple[NDArray[np.float64], State]:
        stage = stages[index]
        assert isinstance(stage, RecurrentStage)
        after = advance(stage.cell, given, recurrent, stage.first(len(given)) if left is None else left)
        values[formats.values[index + 1]] += Magnitudes.of(after.hidden)
        return after.hidden, after

    run_stages(stages, inputs.astype(np.float64), run_stage, run_host, run_cell)
    return values, sums


def _fraction(top: float, bits: int, headroom: float = HEADROOM) -> int:
    """As most_fraction_bits; any number would do where all values are zero."""
    return ONE_FRACTION if top == 0 else most_fraction_bits(top, bits, headroom)
