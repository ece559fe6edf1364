"""From shared weights to the memory images of an EIE array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.balance import Used, balance
from zeroskip.model.eie.bundle import EieLayer, EieNetwork
from zeroskip.model.eie.calibrate import calibrate, float_layer
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.host_error import host_error
from zeroskip.model.eie.lay_out import Matrices, lay_out
from zeroskip.model.eie.rounding import VALUE_MAX, VALUE_MIN
from zeroskip.model.eie.settings import POSITIONS
from zeroskip.model.eie.shared import SharedLayer, SharedOperation, averaging_layer, shapes_of
from zeroskip.model.network.cells import State, advance
from zeroskip.model.network.cells import errors as cell_errors
from zeroskip.model.network.host_stages import (
    HostStage,
)
from zeroskip.model.network.losses import Loss
from zeroskip.model.network.lower import lower
from zeroskip.model.network.operations import AveragePooling
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import ConvStage, RecurrentStage, Stage
from zeroskip.model.network.token_stages import EmbeddingStage
from zeroskip.model.progress import Progress, Step, silent


def lower_shared(
    network: Sequence[SharedOperation], shape: tuple[int, ...]
) -> tuple[tuple[Stage, ...], list[SharedLayer]]:
    """The stages in which the array runs a shared network on samples of `shape`, and the rows of its layer table.
    Raises ValueError if the shape does not fit."""
    lowered = lower(shapes_of(network), shape)
    layers: list[SharedLayer] = []
    for row, source in enumerate(lowered.sources):
        operation, stage = network[source], lowered.stage_of(row)
        if isinstance(operation, SharedLayer):
            layers.append(operation)
        else:
            assert isinstance(operation, AveragePooling)
            assert isinstance(stage, ConvStage)
            layers.append(averaging_layer(stage, operation.relu))
    return lowered.stages, layers


def compile_network(
    shared: Sequence[SharedOperation],
    calibration: NDArray[np.float32],
    geometry: EieGeometry,
    *,
    fit: Sequence[str] = (),
    balance_load: bool = False,
    balance_on: NDArray[np.float32] | None = None,
    positions: int = POSITIONS,
    progress: Progress = silent,
) -> EieNetwork:
    """Compiles a shared network. `calibration` are inputs (samples x inputs, or samples x channels x height x width)
    that give the fraction bits and the size of images.

    The memories named in `fit` are made as large as the network needs, to the next power of two; for the others,
    FitError names the one that is too small. With `balance_load`, the rows of fully connected layers are assigned to
    PEs so that the load is balanced (zeroskip.model.eie.balance); otherwise they are assigned in turn. The balance
    looks at which activations are not zero for the inputs `balance_on`, by default those of the calibration.
    A convolution computes up to `positions` positions in a start (zeroskip.model.eie.tiles), fewer where a memory that
    is not in `fit` would be too small. Raises ValueError if the calibration data do not fit the network."""
    stages, layers = lower_shared(shared, calibration.shape[1:])
    used = Used(stages)
    calibrated = calibrate(layers, stages, calibration, geometry, progress, used.see)
    fractions = calibrated.layers
    order = None
    if balance_load:
        if balance_on is not None:
            used = Used.of(layers, stages, balance_on)
        layers, order = balance(layers, stages, used, geometry.pes, geometry.queue_depth, progress)
    weights = [layer.matrix_codes for layer in layers]
    codes = [
        matrix if layer.bias_codes is None else np.column_stack((matrix, layer.bias_codes))
        for layer, matrix in zip(layers, weights, strict=True)
    ]
    table = tuple(
        EieLayer(
            inputs=matrix.shape[1],
            outputs=matrix.shape[0],
            relu=layer.relu,
            bias=layer.bias_codes is not None,
            input_fraction=fraction.input,
            weight_fraction=fraction.weight,
            output_fraction=fraction.output,
            bias_exponent=layer.bias_exponent,
        )
        for layer, matrix, fraction in zip(layers, weights, fractions, strict=True)
    )
    codebooks = np.zeros((len(layers), geometry.codebook_size), np.int16)
    for index, (layer, fraction) in enumerate(zip(layers, fractions, strict=True)):
        codebooks[index, : len(layer.codebook)] = np.rint(np.ldexp(layer.codebook.astype(np.float64), fraction.weight))
    progress(Step(task="encoding the weights"))
    matrices = Matrices(
        layers=table,
        codes=tuple(codes),
        codebooks=codebooks,
        stages=stages,
        order=order,
        fractions=np.array(calibrated.values, np.int32),
    )
    return lay_out(matrices, geometry, fit=fit, positions=positions)


def quantise_inputs(
    network: EieNetwork, inputs: NDArray[np.float32], *, saturate: bool = False
) -> tuple[NDArray[np.int16], int]:
    """Inputs (samples x any shape) as activations of the array (int16, samples x inputs), rounding half to even, and
    how many of them were saturated.

    Raises ValueError if one does not fit and `saturate` is not set, and where the shape is wrong.
    """
    fraction = network.input_fraction
    flat = network.flat(inputs).astype(np.float64)
    rounded = np.rint(np.ldexp(flat, fraction))
    outside = (rounded > VALUE_MAX) | (rounded < VALUE_MIN)
    if outside.any() and not saturate:
        sample, position = np.argwhere(outside)[0]
        raise ValueError(
            f"inputs must be from {VALUE_MIN / 2.0**fraction:g} to "
            f"{VALUE_MAX / 2.0**fraction:g} ({fraction} fraction bits, as calibrated), not "
            f"{flat[sample, position]:g} (sample {sample}, value {position}; {int(outside.sum())} such values); "
            "to clip them, pass --saturate (saturate=True)"
        )
    return np.clip(rounded, VALUE_MIN, VALUE_MAX).astype(np.int16), int(outside.sum())


def weight_losses(network: EieNetwork) -> list[Loss]:
    """The kept weights and biases of each layer whose value rounds to zero."""
    losses = []
    for index, codebook in enumerate(network.codebooks):
        codes = network.position_codes(index)
        lost = int(((codes != 0) & (codebook[codes] == 0)).sum())
        losses.append(Loss(layer=index, what="weights", values=int((codes != 0).sum()), to_zero=lost, saturated=0))
    return losses


def float_outputs(network: EieNetwork, outputs: NDArray[np.int16]) -> NDArray[np.float64]:
    """The real values of the network's outputs."""
    return np.ldexp(outputs.astype(np.float64), -network.output_fraction)


def error_bound(
    network: EieNetwork, shared: Sequence[SharedOperation], inputs: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Largest possible error of the network's outputs (samples x outputs), compared with the float layers from which it
    was compiled, on `inputs` of the shape for which it was compiled.

    Holds for exact float arithmetic where nothing saturates. For each layer, with an error e of the inputs x and half
    a unit d of the weights: each product is off by at most |w| e + d (|x| + e), and by one unit of the sum where
    `product_shift` drops bits; rounding the output adds half a unit. ReLU never increases an error, and the error of a
    maximum is at most the largest error of its values. The error of a sum is at most the sum of the errors, and half a
    unit more where it is rounded; a product of x and y with errors e and d is off by at most |x| d + |y| e + e d, and
    half a unit; a limit adds what it is off itself, and an activation multiplies by its greatest
    slope. For the other operations of the host see zeroskip.model.eie.host_error, for recurrent cells
    zeroskip.model.network.cells.
    """
    values = inputs.reshape(len(inputs), -1).astype(np.float64)
    errors = np.full_like(values, 0.5 * 2.0**-network.input_fraction)
    stages, layers = lower_shared(shared, inputs.shape[1:])
    if any(isinstance(stage, EmbeddingStage) for stage in stages):
        # Whole numbers.
        errors[:] = 0

    def run_stage(stage: Stage, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        activations, error = np.split(rows, 2)
        for index in stage.layers:
            error = _layer_error(network, index, layers[index], activations, error)
            activations = float_layer(layers[index], activations)
        return np.concatenate((activations, error))

    def run_host(index: int, given: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        halves = [np.split(part, 2) for part in given]
        stage = stages[index]
        assert isinstance(stage, HostStage)
        values = [activations for activations, _ in halves]
        error = host_error(network, index, values, [error for _, error in halves])
        return np.concatenate((stage.compute(*values), error))

    def run_cell(
        index: int,
        inputs: NDArray[np.float64],
        recurrent: NDArray[np.float64],
        left: tuple[State, State] | None,
    ) -> tuple[NDArray[np.float64], tuple[State, State]]:
        stage = stages[index]
        assert isinstance(stage, RecurrentStage)
        (given, off_given), (state, off_state) = np.split(inputs, 2), np.split(recurrent, 2)
        first = stage.first(len(given))
        before, off_before = (first, first) if left is None else left
        after = advance(stage.cell, given, state, before)
        off = cell_errors(stage.cell, given, state, (off_given, off_state), before, off_before)
        hidden = off.hidden + 0.5 * 2.0 ** -network.value_fractions[index + 1]
        return np.concatenate((after.hidden, hidden)), (after, State(hidden, off.memory))

    # Errors pass through the stages together with their values: they are the second half of the batch.
    found = run_stages(stages, np.concatenate((values, errors)), run_stage, run_host, run_cell)
    return np.split(found, 2)[1]


def _layer_error(
    network: EieNetwork, index: int, shared: SharedLayer, activations: NDArray[np.float64], error: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The error of a layer's outputs (rows x outputs), from those of its inputs (rows x inputs)."""
    layer = network.layers[index]
    codes = shared.matrix_codes
    weight, used = shared.codebook[codes].astype(np.float64), (codes != 0).astype(np.float64)
    half_weight = 0.5 * 2.0**-layer.weight_fraction
    products = used.sum(axis=1)
    error = error @ np.abs(weight).T + half_weight * ((np.abs(activations) + error) @ used.T)
    if shared.bias_codes is not None:
        error = error + half_weight * 2.0**shared.bias_exponent * (shared.bias_codes != 0)
        products = products + (shared.bias_codes != 0)
    if network.geometry.product_shift:
        unit = 2.0 ** -(layer.input_fraction + layer.weight_fraction - network.geometry.product_shift)
        error = error + products * unit
    return error + 0.5 * 2.0**-layer.output_fraction
