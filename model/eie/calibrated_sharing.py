"""Weight sharing that knows what a layer reads: less error of its outputs, for the same 15 values.

Let x be the inputs of a layer with weights W, and H the mean of x x^T over samples. Shared weights V give outputs whose
squared error is, in the mean, the sum of the rows of (W - V) H (W - V)^T.

    weighted    The k-means of the codebook counts each weight by the diagonal of H, the mean square of its input, as
                SqueezeLLM counts it by the diagonal of a Hessian (Kim et al., ICML 2024, section 4.1).
    feedback    Further, the weights get their values column after column, those with the largest inputs first, and the
                columns that are left make up for the error (GPTQ, Frantar et al., ICLR 2023): see
                zeroskip.model.network.error_feedback.
    scaled      Further, the columns of a layer behind a normalisation are multiplied by factors, by which its gain is
                divided (AWQ, Lin et al., MLSys 2024, section 3.2), so that one codebook fits them better.

Weights that are zero, the pruned ones, stay zero: what the errors add to them is an error again. The layers follow one
another as the network runs them, each with the inputs that the shared layers before it give.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.eie.kmeans import cluster
from zeroskip.model.eie.matrix import matrix_with_bias, shared_layer
from zeroskip.model.eie.rough import warn_of_rough_outputs
from zeroskip.model.eie.settings import Sharing
from zeroskip.model.eie.shared import SharedOperation
from zeroskip.model.network.error_feedback import dampened, root_of_inverse, spread_errors
from zeroskip.model.network.folded import Folded
from zeroskip.model.network.layerwise import Moments, layer_by_layer
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.operations import Convolution, Linear, Operation, Recurrence
from zeroskip.model.network.token_operations import Normalization
from zeroskip.model.progress import Progress, silent

EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The factors of columns are powers of the root mean square of their inputs, with the exponent of these that gives the
least error; 0 leaves the columns as they are."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedMatrix:
    """The codebook (float32, 16) and the codes of a matrix, and the mean square of each output's error (outputs,)."""

    codebook: NDArray[np.float32]
    codes: NDArray[np.uint8]
    errors: Matrix


def share_calibrated(
    folded: Folded,
    inputs: NDArray[np.float32],
    ranges: Sequence[Magnitudes],
    sharing: Sharing,
    progress: Progress = silent,
) -> list[SharedOperation]:
    """As zeroskip.model.eie.sharing.share_layers, by the network's `inputs` (samples x ...), of which `ranges` are the
    magnitudes of what each operation takes."""
    groups = _readers(folded.operations) if sharing == "scaled" else {}
    layers = folded.layers
    scales: dict[int, Matrix] = {}
    found: dict[int, SharedOperation] = {}

    def change(number: int, layer: nn.Linear | nn.Conv2d, moments: Moments) -> None:
        operation, columns = folded.operations[number], layer.weight[0].numel()
        assert isinstance(operation, Linear | Convolution)
        matrix, exponent, seen = _matrix(layer, ranges[number], moments)
        scale = np.ones(matrix.shape[1])
        norm = next((norm for norm, readers in groups.items() if number in readers), None)
        if norm is not None:
            if norm not in scales:
                # All layers behind a normalisation read the same, so the moments of one are those of all.
                readers = [_matrix(layers[reader], ranges[reader], moments) for reader in groups[norm]]
                scales[norm] = _best_scales([(one, seen) for one, _, seen in readers], columns)
            scale[:columns] = scales[norm]
        shared = _shared_scaled(matrix, seen, scale, columns, feedback=sharing != "weighted")
        warn_of_rough_outputs(len(found), shared.errors, mean_squares(matrix, seen))
        found[number] = shared_layer(operation, shared.codebook, shared.codes, None if layer.bias is None else exponent)
        # The copy's normalisation keeps its gain, so here the factors are taken back.
        values = torch.from_numpy(shared.codebook[shared.codes] / scale).to(layer.weight.dtype)
        layer.weight.copy_(values[:, :columns].reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_(values[:, columns] * 2.0**exponent)

    layer_by_layer(folded, inputs, change, progress, task="sharing weights")
    for norm, scale in scales.items():
        operation = folded.operations[norm]
        assert isinstance(operation, Normalization)
        divided = {name: (getattr(operation, name) / scale).astype(np.float32) for name in ("weight", "bias")}
        found[norm] = dataclasses.replace(operation, **divided)
    return [found[number] if number in found else _unshared(one) for number, one in enumerate(folded.operations)]


def _unshared(operation: Operation) -> SharedOperation:
    """An operation without weights that are shared."""
    assert not isinstance(operation, Linear | Convolution)
    return operation


def share_matrix(matrix: NDArray[np.float32], moments: Moments, inputs: int, *, feedback: bool) -> SharedMatrix:
    """Shares the values of a matrix (outputs x columns), of which the zeros stay zero, in at most 15 values, with
    error feedback or without it. `moments` (groups, columns, columns) are those of what the outputs of each group read;
    the first `inputs` columns are weights."""
    seen = [dampened(part, inputs) for part in moments]
    rows = len(matrix) // len(seen)
    used = matrix != 0
    importance = np.repeat([np.diag(part) for part in seen], rows, axis=0)
    codes = np.zeros(matrix.shape, np.uint8)
    codebook, codes[used] = cluster(matrix[used], importance[used])
    if feedback:
        for group, part in enumerate(seen):
            these = slice(group * rows, (group + 1) * rows)
            codes[these] = _with_feedback(matrix[these], part, codebook, int(codes.max(initial=0)))
    errors = mean_squares(matrix - codebook[codes], moments)
    return SharedMatrix(codebook=codebook, codes=codes, errors=errors)


def mean_squares(matrix: NDArray[np.float32], moments: Moments) -> Matrix:
    """That of each output (outputs,) of a matrix whose groups read what has these moments."""
    parts = zip(np.split(matrix.astype(np.float64), len(moments)), moments, strict=True)
    return np.concatenate([((rows @ part) * rows).sum(axis=1) for rows, part in parts])


def _with_feedback(
    matrix: NDArray[np.float32], moments: Matrix, codebook: NDArray[np.float32], last: int
) -> NDArray[np.uint8]:
    """The codes of a matrix, of entries 1 to `last` of a codebook, whose errors were spread."""
    if last == 0:
        return np.zeros(matrix.shape, np.uint8)
    # Columns that matter most come first, while all others are left to make up for their errors.
    order = np.argsort(-np.diag(moments), kind="stable")
    by_size = 1 + np.argsort(codebook[1 : last + 1], kind="stable")
    values = codebook[by_size].astype(np.float64)
    middles = (values[1:] + values[:-1]) / 2
    used = (matrix != 0)[:, order]
    codes = np.zeros(matrix.shape, np.uint8)

    def rounded(column: int, now: Matrix) -> Matrix:
        nearest = np.searchsorted(middles, now)
        codes[:, order[column]] = np.where(used[:, column], by_size[nearest], 0)
        return np.where(used[:, column], values[nearest], 0)

    root = root_of_inverse(moments[np.ix_(order, order)])
    spread_errors(matrix[:, order].astype(np.float64), root, rounded)
    return codes


def _matrix(layer: nn.Module, range: Magnitudes, moments: Moments) -> tuple[NDArray[np.float32], int, Moments]:
    """A layer's matrix with its bias, the exponent of the activation of the bias, and the moments of what the matrix
    is multiplied by."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    matrix, exponent = matrix_with_bias(layer, range)
    if layer.bias is None:
        return matrix, exponent, moments[:, :-1, :-1]
    activations = np.ones(matrix.shape[1])
    activations[-1] = 2.0**exponent
    return matrix, exponent, moments * np.outer(activations, activations)


def _shared_scaled(
    matrix: NDArray[np.float32], moments: Moments, scale: Matrix, inputs: int, *, feedback: bool
) -> SharedMatrix:
    """The matrix with its columns multiplied, and shared."""
    scaled = (matrix * scale).astype(np.float32)
    return share_matrix(scaled, moments / np.outer(scale, scale), inputs, feedback=feedback)


def _best_scales(layers: Sequence[tuple[NDArray[np.float32], Moments]], inputs: int) -> Matrix:
    """The factors of the columns of layers that read the same, by which their errors together are least."""
    _, moments = layers[0]
    size = np.sqrt(np.diag(dampened(moments[0], inputs))[:inputs])
    best, least = np.ones(inputs), np.inf
    for exponent in EXPONENTS:
        factors = size**exponent
        factors /= np.sqrt(factors.max() * factors.min())
        error = 0.0
        for matrix, seen in layers:
            scale = np.ones(matrix.shape[1])
            scale[:inputs] = factors
            error += float(_shared_scaled(matrix, seen, scale, inputs, feedback=True).errors.sum())
        if error < least:
            best, least = factors, error
    return best


def _readers(operations: Sequence[Operation]) -> dict[int, list[int]]:
    """The layers that read each normalisation (all by their numbers), of those that only layers read."""
    read: dict[int, list[int]] = {}
    for number, operation in enumerate(operations):
        for back in operation.back:
            read.setdefault(number - back, []).append(number)
    return {
        number: read[number]
        for number, operation in enumerate(operations)
        if isinstance(operation, Normalization)
        and number in read
        and all(_normalisation_before(operations, reader) == number for reader in read[number])
    }


def _normalisation_before(operations: Sequence[Operation], number: int) -> int | None:
    """The number of the normalisation whose rows a layer reads, or None."""
    operation = operations[number]
    if not isinstance(operation, Linear) or isinstance(operation, Recurrence):
        return None
    source = number - operation.back[0]
    before = operations[source] if source >= 0 else None
    return source if isinstance(before, Normalization) and len(before.weight) == operation.inputs else None
