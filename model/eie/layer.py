"""Represents the bias of a single layer whose codebook was fitted only to its weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.layer_npz import LayerFile
from zeroskip.model.eie.shared import SharedLayer

BIAS_COLUMNS = 5
"""Columns that represent a bias; each reduces the remaining error to about a tenth."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpreadLayer:
    """A layer without bias, its inputs (float32, inputs + added columns), and the part of the bias that it does not
    represent (`left`: float64, outputs)."""

    layer: SharedLayer
    inputs: NDArray[np.float32]
    left: NDArray[np.float64]


def spread_bias(file: LayerFile) -> SpreadLayer:
    """Turns the bias into a few more columns that use the layer's codebook.

    A codebook fitted to the weights rarely contains the biases, which may be far larger. Each added column has a
    constant input: the largest remaining bias divided by the largest shared weight. In each row it has the code whose
    product is nearest to the remaining bias.
    """
    codes, inputs = file.codes, file.activations
    left = np.zeros(len(codes)) if file.bias is None else file.bias.astype(np.float64)
    codebook = file.codebook.astype(np.float64)
    top = np.abs(codebook).max()
    for _ in range(BIAS_COLUMNS if file.bias is not None and top > 0 else 0):
        constant = np.float32(np.abs(left).max() / top)
        column = np.abs(left[:, None] - codebook * constant).argmin(axis=1).astype(np.uint8)
        left = left - codebook[column] * constant
        codes, inputs = np.column_stack((codes, column)), np.append(inputs, constant)
    return SpreadLayer(
        layer=SharedLayer(
            codebook=file.codebook, weight_codes=np.ascontiguousarray(codes), bias_codes=None, relu=False
        ),
        inputs=inputs.astype(np.float32),
        left=left,
    )
