"""Costs of layers: counted by hand, or exactly what the models of the hardware say of the whole network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from model.compiler.eie import MEMORIES, compile_network, quantise_inputs
from model.cycles import eie as eie_cycles
from model.cycles.mma import gemm_cycles
from model.formats.geometry import EieGeometry
from model.formats.tile import TileGeometry
from model.golden import eie as golden
from model.pruning.masks import Masks
from model.pruning.sharing import share_layers
from model.search.cost import BATCH, cost_table
from model.search.exact import exact_eie_cycles, exact_mma_cycles
from model.search.layers import matrix_mask, read_layers
from model.search.plan import masks_of

ARRAY, TILE = EieGeometry(pes=4), TileGeometry()


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Conv2d(6, 8, 1, groups=2, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 5),
    ).eval()


def images(count: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(2).normal(size=(count, 4, 8, 8)).astype(np.float32)


def test_layers() -> None:
    module, inputs = network(), images()
    layers = read_layers(module, inputs)
    assert [layer.name for layer in layers] == ["0", "2", "5"]
    assert [layer.positions for layer in layers] == [16, 16, 1]
    assert [layer.macs for layer in layers] == [16 * 216, 16 * 24, 640]
    assert [layer.rows.shape for layer in layers] == [(48, 36), (48, 6), (3, 128)]
    with torch.no_grad():
        flat = module[:5](torch.from_numpy(inputs))
    np.testing.assert_array_equal(layers[2].rows, flat.numpy() != 0)


def test_matrix_of_a_convolution_in_groups() -> None:
    mask = torch.rand(8, 3, 1, 1) < 0.5
    matrix = matrix_mask(mask, 2)
    np.testing.assert_array_equal(matrix[:4, :3], mask[:4, :, 0, 0])
    np.testing.assert_array_equal(matrix[4:, 3:], mask[4:, :, 0, 0])
    assert not matrix[:4, 3:].any()
    assert not matrix[4:, :3].any()


def test_counts() -> None:
    layers = read_layers(network(), images())
    densities = {"0": 0.5, "2": 0.25, "5": 0.1}
    expected = {"macs": 1728 + 96 + 64, "params": 108 + 6 + 64, "bytes": 178}
    for cost, value in expected.items():
        table = cost_table(cost, layers, "weights", array=ARRAY, tile=TILE)
        assert table.total(densities) == pytest.approx(value)
    # Of each group of four fp16 weights two, and four bits of metadata.
    table = cost_table("bytes", layers, "2:4", array=ARRAY, tile=TILE)
    assert table.layer("5", 0.5) == pytest.approx(640 * (8 + 1) / 8)
    assert table.layer("5", 1.0) == 1280


@pytest.mark.parametrize("density", [1.0, 0.3, 0.1])
def test_cycles_of_the_array_are_exact_where_they_are_computed(density: float) -> None:
    """Of a layer alone, with the activations that it met: the cycles of the compiled network."""
    module, inputs = network(), images()
    table = cost_table("eie-cycles", read_layers(module, inputs), "weights", array=ARRAY, tile=TILE)
    first = nn.Sequential(module[0])
    Masks(first, masks_of(first, {"0": density}, "weights")).apply()
    compiled = compile_network(share_layers(first), inputs, ARRAY, fit=MEMORIES)
    layers = golden.run(compiled, quantise_inputs(compiled, inputs)[0])
    cycles = eie_cycles.run(compiled, [layer.inputs for layer in layers])
    assert table.layer("0", density) == pytest.approx(float(cycles.mean()))


def test_table_is_close_to_the_whole_network() -> None:
    module, inputs = network(), images()
    table = cost_table("eie-cycles", read_layers(module, inputs), "weights", array=ARRAY, tile=TILE)
    exact = exact_eie_cycles(module, inputs, ARRAY)
    assert table.dense == pytest.approx(exact, rel=0.05)


def test_cycles_of_the_tile() -> None:
    module, inputs = network(), images()
    layers = read_layers(module, inputs)
    table = cost_table("mma-cycles", layers, "2:4", array=ARRAY, tile=TILE)
    assert table.layer("5", 1.0) == gemm_cycles(TILE, 5, BATCH, 128, dense=True) / BATCH
    assert table.layer("5", 0.5) == gemm_cycles(TILE, 5, BATCH, 128, dense=False) / BATCH
    Masks(module, masks_of(module, dict.fromkeys(("0", "2", "5"), 0.5), "2:4")).apply()
    half = table.total(dict.fromkeys(("0", "2", "5"), 0.5))
    assert half == pytest.approx(exact_mma_cycles(module, inputs, TILE))
    assert half < table.dense


def test_errors() -> None:
    layers = read_layers(network(), images())
    with pytest.raises(ValueError, match=re.escape("cost must be one of macs, params, bytes")):
        cost_table("joules", layers, "weights", array=ARRAY, tile=TILE)
    with pytest.raises(ValueError, match="mma-cycles needs the granularity of an N:M pattern"):
        cost_table("mma-cycles", layers, "weights", array=ARRAY, tile=TILE)


def test_tables_are_cached_and_damaged_ones_made_anew(tmp_path: Path) -> None:
    layers = read_layers(network(), images())

    def table() -> object:
        return cost_table("eie-cycles", layers, "weights", array=ARRAY, tile=TILE, cache=tmp_path)

    made = table()
    (file,) = tmp_path.iterdir()
    stored = json.loads(file.read_text())
    stored["values"]["0"][-1] += 1
    file.write_text(json.dumps(stored))
    assert table() != made, "the file is what the table is read from"
    file.write_text(file.read_text()[:100])
    assert table() == made
    other = cost_table("eie-cycles", layers, "weights", array=EieGeometry(pes=8), tile=TILE, cache=tmp_path)
    assert other != made
