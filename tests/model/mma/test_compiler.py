"""Compilation for the tile: what the layers become, and a network that stays within its bound of torch's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.tile_networks import averaging, conv, mlp, pruned
from torch import nn

from zeroskip.model.mma.bundle import PAD
from zeroskip.model.mma.compiler import channel_order, compile_network
from zeroskip.model.mma.convert import from_raw, to_raw
from zeroskip.model.mma.format import from_codes
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import gemm, relative_bound
from zeroskip.model.mma.run_network import run
from zeroskip.model.network.fold import fold
from zeroskip.model.network.pattern import Pattern


def test_channels_come_last_and_fill_groups() -> None:
    order = channel_order((3, 1, 2), Pattern())
    assert order.tolist() == [0, 2, 4, PAD, 1, 3, 5, PAD]
    assert channel_order((6,), Pattern()).tolist() == [0, 1, 2, 3, 4, 5, PAD, PAD]
    assert channel_order((4, 1, 1), Pattern(), groups=2).tolist() == [0, 1, PAD, PAD, 2, 3, PAD, PAD]


def test_layers_run_sparse_where_that_is_possible_and_faster() -> None:
    network = compile_network(pruned(conv(), Pattern()), (1, 12, 12), TileGeometry())
    assert [layer.sparse for layer in network.layers] == [False, True, True, True]
    # Each of the convolution's two groups has 6 channels, filled up to 8.
    assert [layer.pad for layer in network.layers] == [0, 0, 4, 0]
    assert [layer.relu for layer in network.layers] == [True, True, True, False]
    unpruned = compile_network(conv().eval(), (1, 12, 12), TileGeometry())
    assert [layer.sparse for layer in unpruned.layers] == [False, False, False, False]


@pytest.mark.parametrize("pattern", ["2:4", "1:4", "4:8", "4:8 pairs", "1:2"])
def test_operands_hold_the_weights(pattern: str) -> None:
    nm = Pattern.parse(pattern)
    geometry = TileGeometry(keep=nm.keep, group=nm.group, pair=nm.pair)
    module = pruned(mlp(3), nm)
    network = compile_network(module, (30,), geometry)
    linears = [part for part in fold(module) if isinstance(part, nn.Linear)]
    for layer, operand, columns, linear in zip(network.layers, network.operands, network.columns, linears, strict=True):
        assert layer.sparse
        assert operand.codes is not None
        kept = from_codes(operand.values, operand.codes, nm)
        whole = np.zeros((layer.outputs, kept.columns), np.uint16)
        np.put_along_axis(whole, operand.where().astype(np.int64), operand.values, axis=1)
        restored = np.zeros((layer.outputs, layer.inputs), np.uint16)
        for column, value in enumerate(columns):
            if value == PAD:
                assert not whole[:, column].any()
            else:
                restored[:, value] = whole[:, column]
        np.testing.assert_array_equal(restored, to_raw(linear.weight.detach().numpy(), "fp16"))


@pytest.mark.parametrize("dtype", ["fp16", "bf16", "tf32"])
@pytest.mark.parametrize(("make", "shape"), [(mlp, (30,)), (conv, (1, 12, 12)), (averaging, (1, 8, 8))])
def test_within_the_bound_of_the_float_network(make: Any, shape: tuple[int, ...], dtype: str) -> None:
    """Each product lies within its bound of the exact one, and all else is what torch does."""
    geometry = TileGeometry(dtype=dtype, k=4 if dtype == "tf32" else 8)
    module = pruned(make(1), Pattern())
    network = compile_network(module, shape, geometry)
    inputs = np.random.default_rng(4).normal(size=(50, *shape)).astype(np.float32)

    def check(layer: int, b: NDArray[Any], c: NDArray[Any]) -> NDArray[Any]:
        operand = network.operands[layer]
        d = gemm(operand, b, c, geometry)
        whole = np.zeros((operand.rows, max(len(b), int(operand.where().max()) + 1)))
        values = from_raw(operand.values, dtype).astype(np.float64)
        np.put_along_axis(whole, operand.where().astype(np.int64), values, axis=1)
        whole = whole[:, : len(b)]
        others, addend = from_raw(b, dtype).astype(np.float64), from_raw(c, "fp32").astype(np.float64)
        exact = whole @ others + addend
        largest = np.abs(whole) @ np.abs(others) + np.abs(addend)
        bound = relative_bound(geometry.generation, dtype, "fp32", operand.values.shape[1])
        assert np.all(np.abs(from_raw(d, "fp32") - exact) <= bound * largest)
        return d

    outputs = run(network, inputs.reshape(50, -1), check).outputs
    with torch.no_grad():
        expected = module(torch.from_numpy(inputs)).numpy()
    # Weights and activations are rounded to 8 or 11 bits, layer after layer.
    unit = 2.0**-8 if dtype == "bf16" else 2.0**-11
    assert np.abs(outputs - expected).max() <= 8 * unit * np.abs(expected).max()


def test_overflow_of_activations_is_counted() -> None:
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.diag(torch.tensor([3e4, 1.0, 1.0, 1.0])))
        module[1].weight.fill_(1)
    network = compile_network(module, (4,), TileGeometry())
    result = run(network, np.float32([[3, 1, 1, 1], [1, 1, 1, 1]]))
    assert result.overflows == 1
    assert np.isinf(result.outputs[0]).all()
    np.testing.assert_array_equal(result.outputs[1], [30003, 30003])


@pytest.mark.parametrize(
    ("module", "shape", "geometry", "message"),
    [
        (nn.Linear(4, 2), (4,), TileGeometry(dtype="int8", out="int32"), "a network needs dtype fp16, bf16 or tf32"),
        (nn.Linear(4, 2), (4,), TileGeometry(out="fp16"), "and out fp32, not fp16 and fp16"),
        (nn.Linear(4, 2), (5,), TileGeometry(), "inputs must have 4 values a sample, as the network takes, not 5"),
        (conv(), (144,), TileGeometry(), "inputs must be samples x channels x height x width"),
        (conv(), (2, 12, 12), TileGeometry(), "layer 0 must have images of 1 channels, not 2, at its input"),
        (conv(), (1, 3, 3), TileGeometry(), "operation 2 of the network: kernel 3 x 3 must fit into"),
    ],
)
def test_errors(module: nn.Module, shape: tuple[int, ...], geometry: TileGeometry, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        compile_network(module, shape, geometry)


def test_weights_beyond_the_format_are_scaled() -> None:
    module = nn.Linear(4, 2)
    with torch.no_grad():
        module.weight[1, 2] = 1e5
    inputs = np.random.default_rng(0).uniform(-1, 1, (9, 4)).astype(np.float32)
    expected = module(torch.from_numpy(inputs)).detach().numpy()
    for dtype in ("fp16", "bf16"):
        outputs = run(compile_network(module, (4,), TileGeometry(dtype=dtype)), inputs).outputs
        assert np.abs(outputs - expected).max() < 2.0**-7 * 1e5
    assert compile_network(module, (4,), TileGeometry(dtype="bf16")).layers[0].weight_exponent == 0
