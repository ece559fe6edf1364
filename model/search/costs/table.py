"""What a network costs under a plan: a table for each layer, filled from the models of the hardware or by timing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.model.eie import cycles as eie_cycles
from zeroskip.model.eie.format import encode
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.pattern import Pattern
from zeroskip.model.pruning.masks import keep_largest, kept_count
from zeroskip.model.pruning.nm import nm_mask, nm_share
from zeroskip.model.search.costs.cache import cached
from zeroskip.model.search.costs.latency import layer_seconds
from zeroskip.model.search.costs.layers import Layer, matrix_mask
from zeroskip.model.search.spaces.plan import CHANNELS, WEIGHTS

COSTS = ("macs", "params", "bytes", "eie-cycles", "mma-cycles", "latency")
"""Multiplications with weights that are kept; those weights; what they take in memory; cycles of an image; and seconds
of an image on this machine's CPU, by one thread."""

BATCH = 16
"""Images that the tile multiplies at once (mma-cycles), and the CPU (latency)."""

EIE_DENSITIES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Where eie-cycles of single weights are computed; between them they are interpolated."""

GRID = {"eie-cycles": 9, "mma-cycles": 17, "latency": 5}
"""At how many numbers of channels a cost is taken, of inputs and of outputs each."""

ROUNDS = 16
"""Of output channels also at both sides of where the array's PEs, or the tile's rows, take up another round of them:
so many rounds, as a leap shows the less the more there are."""

Axes = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTable:
    """Costs of a layer where densities along its `axes`, rising, meet; between them they are interpolated linearly.

    There is one axis, the density of the weights; or, of channels, that of the inputs and that of the outputs, which
    are one where the convolution is depthwise.
    """

    axes: Axes
    values: tuple[Any, ...]
    """Plain numbers, an axis within the other: searches ask for thousands a second."""

    def at(self, point: Sequence[float]) -> float:
        if len(self.axes) == 1:
            return _between(self.axes[0], self.values, point[0])
        first, second = self.axes
        return _between(first, [_between(second, row, point[1]) for row in self.values], point[0])


def _between(axis: tuple[float, ...], values: Sequence[float], density: float) -> float:
    right = min(max(bisect_right(axis, density), 1), len(axis) - 1)
    share = min(max((density - axis[right - 1]) / (axis[right] - axis[right - 1]), 0.0), 1.0)
    return float(values[right - 1] + share * (values[right] - values[right - 1]))


@dataclass(frozen=True, kw_only=True, eq=False)
class CostTable:
    """Tables of `cost` for the layers of a network."""

    cost: str
    layers: dict[str, LayerTable]

    def layer(self, name: str, point: Sequence[float]) -> float:
        return self.layers[name].at(point)

    def total(self, points: Mapping[str, Sequence[float]]) -> float:
        """The cost of an image, the sum over the layers; those that are not named are dense."""
        return sum(table.at(points.get(name, (1.0,) * len(table.axes))) for name, table in self.layers.items())

    @property
    def dense(self) -> float:
        """The cost where nothing is pruned."""
        return self.total({})


def cost_table(
    cost: str,
    layers: Sequence[Layer],
    granularity: str,
    *,
    array: EieGeometry,
    tile: TileGeometry,
    cache: Path | None = None,
) -> CostTable:
    """The table of one of COSTS for a network's layers.

    Cycles and times are kept in the folder `cache` under a hash of all that they depend on. Raises ValueError for a
    cost that is not known, or that does not change with the granularity.
    """
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}")
    if cost == "mma-cycles" and granularity == WEIGHTS:
        raise ValueError("cost mma-cycles needs the granularity nm or channels: single zeros save the tile nothing")
    if cost == "latency" and granularity != CHANNELS:
        raise ValueError(f"cost latency needs the granularity channels: zeros save a CPU nothing, {granularity} or not")
    if granularity == CHANNELS:
        count = _channel_count(cost, array, tile)
    else:
        count = _weight_count(cost, granularity, array, tile)
    key = (cost, granularity, array if cost in ("eie-cycles", "bytes") else None, tile if "mma" in cost else None)
    tables = {}
    for layer in layers:
        axes = _axes(cost, layer, granularity, {"eie-cycles": array.pes, "mma-cycles": tile.m}.get(cost))

        def fill(layer: Layer = layer, axes: Axes = axes) -> NDArray[np.float64]:
            values = np.array([count(layer, point) for point in _points(axes)])
            grid = values.reshape([len(axis) for axis in axes])
            # More channels never cost less: what is timed is not exact, and cycles depend on which channels stay.
            for axis in range(grid.ndim):
                grid = np.maximum.accumulate(grid, axis=axis)
            return grid

        counted = cost in GRID
        values = cached(cache, (key, layer, axes), fill) if counted else fill()
        tables[layer.name] = LayerTable(axes=axes, values=tuple(values.tolist()))
    return CostTable(cost=cost, layers=tables)


def _points(axes: Axes) -> list[tuple[float, ...]]:
    return [
        tuple(map(float, point)) for point in np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    ]


def _axes(cost: str, layer: Layer, granularity: str, parallel: int | None) -> Axes:
    """`parallel` is how many output channels the hardware computes at once."""
    if granularity == CHANNELS:
        inputs, outputs = layer.channels
        points = GRID.get(cost)
        if layer.groups > 1:
            return (_grid(outputs, points, parallel),)
        return (_grid(inputs, points), _grid(outputs, points, parallel))
    if granularity == WEIGHTS:
        return (EIE_DENSITIES,) if cost == "eie-cycles" else ((0.0, 1.0),)
    pattern = Pattern.parse(granularity)
    return ((pattern.keep / pattern.group, 1.0),)


def _grid(size: int, points: int | None, parallel: int | None = None) -> tuple[float, ...]:
    """Densities of so many numbers of channels, from one to all; of costs that are products the two ends suffice."""
    if points is None or size == 1:
        return (0.0, 1.0)
    counts = set(np.linspace(1, size, points).round().astype(int).tolist())
    if parallel is not None:
        # Between the last channel of a round and the first of the next one the cost leaps.
        rounds = range(parallel, min(size, ROUNDS * parallel + 1), parallel)
        counts |= {edge for full in rounds for edge in (full, full + 1)}
    return tuple(count / size for count in sorted(counts))


def _weight_count(
    cost: str, granularity: str, array: EieGeometry, tile: TileGeometry
) -> Callable[[Layer, tuple[float, ...]], float]:
    """The cost of a layer of which single weights, or those of an N:M pattern, are kept, by magnitude."""

    def left(layer: Layer, density: float) -> float:
        """The fraction of the weights that is there."""
        return density if granularity == WEIGHTS or density == 1 else nm_share(layer.weight, Pattern.parse(granularity))

    counts: dict[str, Callable[[Layer, float], float]] = {
        "macs": lambda layer, density: layer.macs * left(layer, density),
        "params": lambda layer, density: layer.weights * left(layer, density),
        "bytes": lambda layer, density: layer.weights * _bytes(density, layer, granularity, array, tile),
        "eie-cycles": lambda layer, density: _sparse_array_cycles(layer, density, granularity, array),
        "mma-cycles": lambda layer, density: _sparse_tile_cycles(layer, density, tile),
    }
    return lambda layer, point: counts[cost](layer, point[0])


def _channel_count(cost: str, array: EieGeometry, tile: TileGeometry) -> Callable[[Layer, tuple[float, ...]], float]:
    """The cost of a layer with a part of its inputs' channels, and of its outputs'; dense, in the tile's format."""
    counts: dict[str, Callable[[Layer, tuple[float, ...]], float]] = {
        "macs": lambda layer, point: layer.macs * float(np.prod(point)),
        "params": lambda layer, point: layer.weights * float(np.prod(point)),
        "bytes": lambda layer, point: layer.weights * float(np.prod(point)) * tile.operand.bits / 8,
        "eie-cycles": lambda layer, point: _dense_array_cycles(layer, point, array),
        "mma-cycles": lambda layer, point: _dense_tile_cycles(layer, point, tile),
        "latency": lambda layer, point: layer_seconds(layer, _channels(layer, point), BATCH),
    }
    return counts[cost]


def _bytes(density: float, layer: Layer, granularity: str, array: EieGeometry, tile: TileGeometry) -> float:
    """Bytes a weight: an entry of the EIE each, or the tile's values and codes, groups filled up with zeros; dense in
    the tile's format."""
    if granularity == WEIGHTS:
        return density * array.entry_bits / 8
    pattern, bits = Pattern.parse(granularity), tile.operand.bits
    if density == 1:
        return bits / 8
    channels = layer.weight.shape[1]
    filled = -(-channels // pattern.group) * pattern.group / channels
    return filled * (density * bits + pattern.code_bits / pattern.group) / 8


def _sparse_tile_cycles(layer: Layer, density: float, tile: TileGeometry) -> float:
    """Cycles of an image in a batch. Sparse layers fill groups of input channels up (zeroskip.model.mma.compiler)."""
    outputs, runs = len(layer.weight), layer.positions * BATCH
    dense = gemm_cycles(tile, outputs, runs, layer.rows.shape[1], dense=True)
    if density == 1:
        return dense / BATCH
    channels, places = layer.weight.shape[1], layer.weight[0, 0].numel()
    padded = -(-channels // tile.group) * tile.group * places * layer.groups
    return min(dense, gemm_cycles(tile, outputs, runs, padded, dense=False)) / BATCH


def _sparse_array_cycles(layer: Layer, density: float, granularity: str, array: EieGeometry) -> float:
    mask = torch.ones_like(layer.weight, dtype=torch.bool)
    if density < 1 and granularity == WEIGHTS:
        mask = keep_largest(layer.weight.abs(), kept_count(layer.weights, density))
    elif density < 1:
        mask = nm_mask(layer.weight, Pattern.parse(granularity))
    return _array_cycles(layer, matrix_mask(mask, layer.groups), layer.rows, array)


def _array_cycles(layer: Layer, mask: NDArray[np.bool_], rows: NDArray[np.bool_], array: EieGeometry) -> float:
    """Cycles of an image in the layer, with the start of each position."""
    codes = mask.astype(np.uint8)
    if layer.bias:
        codes = np.column_stack((codes, np.ones(len(codes), np.uint8)))
    cycles = eie_cycles.layer_cycles(encode(codes, array), rows, array, bias=layer.bias)
    return float(cycles.sum()) / layer.images


def _channels(layer: Layer, point: tuple[float, ...]) -> tuple[int, int]:
    """How many inputs and outputs are left."""
    inputs, outputs = (
        max(1, round(share * size)) for share, size in zip((point[0], point[-1]), layer.channels, strict=True)
    )
    # The channels of a convolution with groups are never removed, unless each is a group of its own.
    return (inputs, outputs) if layer.groups == 1 or layer.depthwise else layer.channels


def _dense_array_cycles(layer: Layer, point: tuple[float, ...], array: EieGeometry) -> float:
    inputs, outputs = _channels(layer, point)
    places = layer.weight[0, 0].numel()
    groups = outputs if layer.depthwise else layer.groups
    mask = matrix_mask(torch.ones(outputs, inputs // groups * places, dtype=torch.bool), groups)
    channels = layer.channels[0]
    # Any could stay: those taken are spread evenly, so that they meet activations as dense as all do on average.
    some = np.arange(inputs) * channels // inputs
    rows = layer.rows.reshape(len(layer.rows), channels, places)[:, some].reshape(len(layer.rows), -1)
    return _array_cycles(layer, mask, rows, array)


def _dense_tile_cycles(layer: Layer, point: tuple[float, ...], tile: TileGeometry) -> float:
    inputs, outputs = _channels(layer, point)
    places = layer.weight[0, 0].numel()
    return gemm_cycles(tile, outputs, layer.positions * BATCH, inputs * places, dense=True) / BATCH
