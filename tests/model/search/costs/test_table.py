"""Cost tables, compared with counts by hand and with the exact models of the hardware."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.searching import GEOMETRIES
from torch import nn

from zeroskip.model import cores
from zeroskip.model.eie import cycles as eie_cycles
from zeroskip.model.eie import golden
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.core import CORE as EIE
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.mma.core import CORE as MMA
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.network.fold import fold
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.search.costs.exact import exact_cost
from zeroskip.model.search.costs.table import BATCH, CostTable, cost_table
from zeroskip.model.search.layers import matrix_mask, read_layers
from zeroskip.model.search.spaces.space import LayerSpace

ARRAY, TILE = GEOMETRIES[EIE.name], GEOMETRIES[MMA.name]


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
    """Each field of the layers of one network, compared with the value computed by hand."""
    module, inputs = network(), images()
    layers = read_layers(module, inputs)
    assert [layer.name for layer in layers] == ["0", "2", "5"]
    assert [layer.positions for layer in layers] == [16, 16, 1]
    assert [layer.size for layer in layers] == [(8, 8), (4, 4), (1, 1)]
    assert [layer.bias for layer in layers] == [True, False, True]
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
    points = {"0": (0.5,), "2": (0.25,), "5": (0.1,)}
    expected = {"macs": 1728 + 96 + 64, "params": 108 + 6 + 64, "bytes": 178}
    for cost, value in expected.items():
        table = cost_table(cost, layers, "weights", geometries=GEOMETRIES)
        assert table.total(points) == pytest.approx(value)
    # Two of each group of four fp16 weights, and four bits of metadata.
    table = cost_table("bytes", layers, "2:4", geometries=GEOMETRIES)
    assert table.layer("5", (0.5,)) == pytest.approx(640 * (8 + 1) / 8)
    assert table.layer("5", (1.0,)) == 1280


@pytest.mark.parametrize("granularity", ["weights", "2:4", "channels"])
def test_bytes_do_not_depend_on_the_order_of_the_registry(monkeypatch: pytest.MonkeyPatch, granularity: str) -> None:
    layers = read_layers(network(), images())
    before = cost_table("bytes", layers, granularity, geometries=GEOMETRIES)
    monkeypatch.setattr(cores, "CORES", dict(reversed(cores.CORES.items())))
    after = cost_table("bytes", layers, granularity, geometries=GEOMETRIES)
    assert [table.values for table in after.layers.values()] == [table.values for table in before.layers.values()]


@pytest.mark.parametrize("density", [1.0, 0.3, 0.1])
def test_cycles_of_the_array_are_exact_where_they_are_computed(density: float) -> None:
    """For a single layer with its own activations: the cycles of the compiled network."""
    module, inputs = network(), images()
    table = cost_table("eie-cycles", read_layers(module, inputs), "weights", geometries=GEOMETRIES)
    first = nn.Sequential(module[0])
    Masks(first, LayerSpace(first, "weights", ["0"], torch.empty(0)).masks(first, {"0": density})).apply()
    compiled = compile_network(share_layers(fold(first)), inputs, ARRAY, fit=MEMORIES)
    layers = golden.run(compiled, quantise_inputs(compiled, inputs)[0])
    cycles = eie_cycles.run(compiled, [layer.inputs for layer in layers])
    assert table.layer("0", (density,)) == pytest.approx(float(cycles.mean()))


def test_table_is_close_to_the_whole_network() -> None:
    module, inputs = network(), images()
    table = cost_table("eie-cycles", read_layers(module, inputs), "weights", geometries=GEOMETRIES)
    exact = exact_cost("eie-cycles", module, inputs, GEOMETRIES)
    assert table.dense == pytest.approx(exact, rel=0.05)


def test_cycles_of_the_tile() -> None:
    module, inputs = network(), images()
    layers = read_layers(module, inputs)
    table = cost_table("mma-cycles", layers, "2:4", geometries=GEOMETRIES)
    assert table.layer("5", (1.0,)) == gemm_cycles(TILE, 5, BATCH, 128, dense=True) / BATCH
    assert table.layer("5", (0.5,)) == gemm_cycles(TILE, 5, BATCH, 128, dense=False) / BATCH
    space = LayerSpace(module, "2:4", ["0", "2", "5"], torch.empty(0))
    halves = space.least()
    Masks(module, space.masks(module, halves)).apply()
    half = table.total(space.points(halves))
    assert half == pytest.approx(exact_cost("mma-cycles", module, inputs, GEOMETRIES))
    assert half < table.dense


def test_errors() -> None:
    layers = read_layers(network(), images())
    with pytest.raises(ValueError, match=r"cost must be one of .*macs, params, bytes, latency, not 'joules'"):
        cost_table("joules", layers, "weights", geometries=GEOMETRIES)
    with pytest.raises(ValueError, match="mma-cycles needs the granularity nm or channels"):
        cost_table("mma-cycles", layers, "weights", geometries=GEOMETRIES)
    with pytest.raises(
        ValueError, match="latency needs the granularity channels, not 2:4: zeros save no time on a CPU"
    ):
        cost_table("latency", layers, "2:4", geometries=GEOMETRIES)


@pytest.mark.parametrize("cost", ["macs", "params", "bytes", "mma-cycles"])
def test_channels_cost_what_the_smaller_layer_does(cost: str) -> None:
    """At the points of the table: the dense cost of a layer with that number of inputs and outputs."""

    def dense(inputs: int, outputs: int) -> CostTable:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()).eval()
        layers = read_layers(nn.Sequential(module, nn.Flatten()), np.ones((2, inputs, 6, 6), np.float32))
        return cost_table(cost, layers, "channels", geometries=GEOMETRIES)

    table = dense(8, 12)
    assert table.layer("0.0", (0.5, 0.75)) == pytest.approx(dense(4, 9).dense)
    assert table.layer("0.0", (1.0, 0.25)) == pytest.approx(dense(8, 3).dense)


def test_cycles_of_channels_on_the_array() -> None:
    """If no activation is zero, it does not matter which channels stay: the exact cost of the smaller layer."""

    def dense(inputs: int, outputs: int) -> CostTable:
        module = nn.Sequential(nn.Conv2d(inputs, outputs, 3), nn.Flatten()).eval()
        layers = read_layers(module, np.ones((2, inputs, 6, 6), np.float32))
        return cost_table("eie-cycles", layers, "channels", geometries=GEOMETRIES)

    table = dense(9, 17)
    for inputs, outputs in ((1, 17), (5, 9), (9, 1)):
        assert table.layer("0", (inputs / 9, outputs / 17)) == pytest.approx(dense(inputs, outputs).dense)
    assert dense(5, 9).dense < table.dense / 2


@pytest.mark.parametrize("cost", ["eie-cycles", "mma-cycles"])
@pytest.mark.parametrize("kind", ["conv", "depthwise", "linear"])
def test_the_hardware_takes_channels_in_rounds(cost: str, kind: str) -> None:
    """Cycles jump where a PE, or a row of the tile, gets one more channel. There the table is exact."""

    def table(channels: int) -> CostTable:
        layer = {
            "conv": lambda: nn.Conv2d(3, channels, 3),
            "depthwise": lambda: nn.Conv2d(channels, channels, 3, groups=channels),
            "linear": lambda: nn.Linear(3, channels),
        }[kind]()
        shape = (3,) if kind == "linear" else (3 if kind == "conv" else channels, 6, 6)
        layers = read_layers(nn.Sequential(layer, nn.Flatten()).eval(), np.ones((2, *shape), np.float32))
        return cost_table(cost, layers, "channels", geometries=GEOMETRIES)

    whole = table(82)
    for full in range(4, 4 * 16 + 1, 4):
        for count in (full, full + 1):
            point = (count / 82,) if kind == "depthwise" else (1.0, count / 82)
            assert whole.layer("0", point) == pytest.approx(table(count).dense), count


def test_latency_rises_with_channels() -> None:
    module = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 3, groups=64), nn.Flatten()).eval()
    layers = read_layers(module, np.ones((2, 64, 16, 16), np.float32))
    table = cost_table("latency", layers, "channels", geometries=GEOMETRIES)
    assert 0 < table.layer("0", (1 / 64, 1 / 64)) <= table.layer("0", (0.5, 0.5)) <= table.layer("0", (1.0, 1.0)) < 1
    assert table.layer("0", (1 / 64, 1 / 64)) < table.layer("0", (1.0, 1.0)) / 4
    assert table.layer("1", (1 / 64,)) < table.layer("1", (1.0,))


def test_tables_are_cached_and_damaged_ones_are_an_error(tmp_path: Path) -> None:
    """One file: written, read, damaged in several ways, and restored."""
    layers = read_layers(network(), images())[:1]

    def table(array: EieGeometry = ARRAY) -> float:
        return cost_table(
            "eie-cycles", layers, "weights", geometries={**GEOMETRIES, EIE.name: array}, cache=tmp_path
        ).dense

    made = table()
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    with np.load(file) as arrays:
        values = arrays["values"]
    np.savez(file, values=values + 1)
    assert table() == made + 1, "the file is what the table is read from"
    np.savez(file, other=values)
    changed = whole.replace(values.tobytes(), (values + 1).tobytes())
    assert changed != whole
    for damaged in (file.read_bytes(), whole[:100], b"", changed):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{file.name}: must be a complete cost table, but: .*; delete it"):
            table()
        assert file.read_bytes() == damaged
    file.write_bytes(whole)
    assert table() == made
    assert table(EieGeometry(pes=8)) != made
    assert len(list(tmp_path.iterdir())) == 2
