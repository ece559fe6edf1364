"""A single layer's bias as columns that use the codebook of its weights."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.model.eie.layer import BIAS_COLUMNS, spread_bias
from zeroskip.model.eie.layer_npz import LayerFile


def a_file(bias: np.ndarray | None, *, top: float = 0.75) -> LayerFile:
    rng = np.random.default_rng(3)
    codebook = np.append(0, np.linspace(-top, top, 15)).astype(np.float32)
    codes = (rng.integers(1, 16, (40, 7)) * (rng.random((40, 7)) < 0.5)).astype(np.uint8)
    return LayerFile(codebook=codebook, codes=codes, activations=rng.normal(size=7).astype(np.float32), bias=bias)


def test_the_layer_with_more_columns_is_the_layer_with_its_bias() -> None:
    bias = np.random.default_rng(5).normal(scale=30, size=40).astype(np.float32)
    file = a_file(bias)
    spread = spread_bias(file)
    assert spread.layer.weight_codes.shape == (40, 7 + BIAS_COLUMNS)
    assert spread.layer.bias_codes is None
    assert np.array_equal(spread.layer.weight_codes[:, :7], file.codes)
    assert np.array_equal(spread.inputs[:7], file.activations)
    codebook = file.codebook.astype(np.float64)
    product = codebook[spread.layer.weight_codes] @ spread.inputs.astype(np.float64)
    wanted = codebook[file.codes] @ file.activations.astype(np.float64) + bias
    np.testing.assert_allclose(product + spread.left, wanted, rtol=0, atol=1e-12)
    assert 0 < np.abs(spread.left).max() < 1e-3 * np.abs(bias).max()


def test_each_column_takes_the_nearest_product() -> None:
    """By hand: weights -0.75 and 0.375 are all that is negative or positive; the first column's input is 4 / 0.75."""
    codebook = np.zeros(16, np.float32)
    codebook[1:3] = -0.75, 0.375
    file = LayerFile(
        codebook=codebook,
        codes=np.ones((4, 1), np.uint8),
        activations=np.ones(1, np.float32),
        bias=np.float32([-4, 2, 0.5, -1.9]),
    )
    spread = spread_bias(file)
    assert spread.inputs[1] == np.float32(4 / 0.75)
    assert spread.layer.weight_codes[:, 1].tolist() == [1, 2, 0, 0]
    # What is left then is 0, 0, 0.5 and -1.9.
    assert spread.inputs[2] == pytest.approx(1.9 / 0.75, rel=1e-6)
    assert spread.layer.weight_codes[:, 2].tolist() == [0, 0, 2, 1]


@pytest.mark.parametrize("file", [a_file(None), a_file(np.ones(40, np.float32), top=0.0)], ids=["no bias", "zeros"])
def test_without_bias_or_weights_no_column_is_added(file: LayerFile) -> None:
    spread = spread_bias(file)
    assert np.array_equal(spread.layer.weight_codes, file.codes)
    assert np.array_equal(spread.inputs, file.activations)
    assert np.array_equal(spread.left, np.zeros(40) if file.bias is None else file.bias)
