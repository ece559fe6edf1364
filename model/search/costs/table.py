"""What a network costs under a plan: a table for each layer, filled from the models of the hardware or by timing."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeroskip.model.core import LayerLoad, SearchCosts
from zeroskip.model.cores import core_of_cost, core_of_storage, load_costs
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning.masks import keep_largest, kept_count
from zeroskip.model.pruning.nm import nm_mask, nm_share
from zeroskip.model.search.choices import CORE_COSTS, COSTS
from zeroskip.model.search.costs.cache import cached
from zeroskip.model.search.costs.latency import layer_seconds
from zeroskip.model.search.layers import Layer, matrix_mask
from zeroskip.model.search.plan import CHANNELS, WEIGHTS

BATCH = 16
"""The batch size at which the CPU is timed (latency)."""

LATENCY_POINTS = 5
"""At how many numbers of input channels, and of output channels, a layer is timed."""

ROUNDS = 16
"""A core computes some number of output channels at once, so its cycles jump where one more round of them begins. The
table has a point on both sides of each of the first ROUNDS jumps; later jumps are relatively small."""

Axes = tuple[tuple[float, ...], ...]
Point = tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTable:
    """The costs of a layer on a grid of densities, with linear interpolation between the points of the grid.

    `axes` holds the densities of the grid, in ascending order. Where weights are pruned there is one axis, the density
    of the weights. Where channels are pruned there are two, the density of the input channels and that of the output
    channels; a depthwise convolution, whose inputs and outputs are the same channels, has one.
    """

    axes: Axes
    values: tuple[Any, ...]
    """Nested tuples of floats, one level for each axis: faster to read than an array, and searches read thousands a
    second."""
    _known: dict[Point, float] = field(default_factory=dict, init=False, repr=False)
    """The costs that were read before: searches ask for few different ones."""

    def at(self, point: Point) -> float:
        known = self._known.get(point)
        if known is None:
            known = self._known[point] = self._at(point)
        return known

    def _at(self, point: Point) -> float:
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
    """The tables of one `cost` for the layers of a network."""

    cost: str
    layers: dict[str, LayerTable]
    reused: int = field(default=0, repr=False)
    """How many layers' tables were read from the cache folder. Excluded from repr, because journals identify a
    table by its repr."""

    def layer(self, name: str, point: Point) -> float:
        return self.layers[name].at(point)

    def total(self, points: Mapping[str, Point]) -> float:
        """The cost of an image: the sum over all layers. Layers that `points` does not name are dense."""
        return sum(table.at(points.get(name, (1.0,) * len(table.axes))) for name, table in self.layers.items())

    @functools.cached_property
    def dense(self) -> float:
        """The cost of the unpruned network."""
        return self.total({})


def cost_table(
    cost: str,
    layers: Sequence[Layer],
    granularity: str,
    *,
    geometries: Mapping[str, Any],
    cache: Path | None = None,
    progress: Progress = silent,
) -> CostTable:
    """The table of one of COSTS for the layers of a network.

    `geometries` holds the geometry of the core whose cycles are counted, or in whose format bytes are, by its
    name. Cycles and seconds are kept in the folder `cache`, under a hash of all that they depend on. Raises ValueError
    for an unknown cost, and for one that pruning at this granularity does not change.
    """
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}")
    if cost in CORE_COSTS and granularity == WEIGHTS and _densities(cost, geometries) is None:
        raise ValueError(f"cost {cost} needs the granularity nm or channels, not weights: single zeros save no cycles")
    if cost == "latency" and granularity != CHANNELS:
        raise ValueError(f"cost latency needs the granularity channels, not {granularity}: zeros save no time on a CPU")
    measure = _measure(cost, granularity, geometries)
    tables = {}
    computed = 0
    for number, layer in enumerate(layers):
        progress(Step(task="filling the cost table", done=number, total=len(layers), unit="layers"))
        axes = measure.axes(layer)

        def fill(layer: Layer = layer, axes: Axes = axes) -> NDArray[np.float64]:
            nonlocal computed
            computed += 1
            values = np.array([measure.cost(layer, point) for point in _points(axes)])
            grid = values.reshape([len(axis) for axis in axes])
            # More channels never cost less. Timings are noisy and cycles depend on which channels stay, so enforce it.
            for axis in range(grid.ndim):
                grid = np.maximum.accumulate(grid, axis=axis)
            return grid

        values = fill() if measure.cache_key is None else cached(cache, cost, (measure.cache_key, axes), layer, fill)
        tables[layer.name] = LayerTable(axes=axes, values=tuple(values.tolist()))
    return CostTable(cost=cost, layers=tables, reused=len(tables) - computed)


def core_geometry(cost: str, geometries: Mapping[str, Any]) -> tuple[str, SearchCosts, Any]:
    """The name of the core whose cycles `cost` counts, what it costs, and its geometry. Raises ValueError if
    `geometries` has none of it."""
    entry = core_of_cost(cost)
    assert entry is not None, cost
    return entry.name, *_with_geometry(entry.name, geometries)


def _densities(cost: str, geometries: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Those at which the core of `cost` computes cycles; None where single zeros save it nothing."""
    _, core, geometry = core_geometry(cost, geometries)
    return core.cost_points(geometry).densities


def _with_geometry(name: str, geometries: Mapping[str, Any]) -> tuple[SearchCosts, Any]:
    if name not in geometries:
        raise ValueError(f"geometries must have that of the core {name!r}, but has {', '.join(geometries) or 'none'}")
    return load_costs(name), geometries[name]


def _points(axes: Axes) -> list[Point]:
    return [
        tuple(map(float, point)) for point in np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    ]


def _weight_axes(granularity: str, densities: tuple[float, ...] = (0.0, 1.0)) -> Axes:
    """One axis: `densities` where single weights are pruned, else the pattern's density and 1."""
    if granularity == WEIGHTS:
        return (densities,)
    pattern = Pattern.parse(granularity)
    return ((pattern.keep / pattern.group, 1.0),)


def _channel_axes(layer: Layer, points: int | None = None, at_once: int | None = None) -> Axes:
    """An axis of input and one of output channels; layers with groups have that of the outputs alone. `at_once` is how
    many output channels the hardware computes at once."""
    inputs, outputs = layer.channels
    if layer.groups > 1:
        return (_grid(outputs, points, at_once),)
    return (_grid(inputs, points), _grid(outputs, points, at_once))


def _grid(size: int, points: int | None, at_once: int | None = None) -> tuple[float, ...]:
    """Densities for `points` numbers of channels, from 1 to `size`. Without `points` the cost is proportional to the
    channels, so the two ends suffice."""
    if points is None or size == 1:
        return (0.0, 1.0)
    counts = set(np.linspace(1, size, points).round().astype(int).tolist())
    if at_once is not None:
        # The cost jumps between the last channel of a round and the first channel of the next.
        rounds = range(at_once, min(size, ROUNDS * at_once + 1), at_once)
        counts |= {edge for full in rounds for edge in (full, full + 1)}
    return tuple(count / size for count in sorted(counts))


class _Measure(Protocol):
    """How one cost is computed: the grid for a layer, and the cost of the layer at a point of the grid."""

    cache_key: Any
    """What the values depend on beside the layer and the axes; None where they are too cheap to be kept on disk."""

    def axes(self, layer: Layer) -> Axes: ...
    def cost(self, layer: Layer, point: Point) -> float: ...


def _measure(cost: str, granularity: str, geometries: Mapping[str, Any]) -> _Measure:
    if cost == "latency":
        return _Latency()
    if cost in CORE_COSTS:
        name, core, geometry = core_geometry(cost, geometries)
        if granularity == CHANNELS:
            return _ChannelCycles(name, core, geometry)
        return _WeightCycles(name, core, geometry, granularity)
    if granularity == CHANNELS:
        return _ChannelSize(cost, geometries)
    return _WeightSize(cost, granularity, geometries)


def _storage_core(granularity: str, geometries: Mapping[str, Any]) -> tuple[SearchCosts, Any]:
    """The core in whose format weights are stored (cost bytes), as the registry says. A granularity that is neither
    WEIGHTS nor CHANNELS is an N:M pattern."""
    kind = granularity if granularity in (WEIGHTS, CHANNELS) else "nm"
    return _with_geometry(core_of_storage(kind).name, geometries)


class _WeightSize:
    """MACs, parameters or bytes of a layer where single weights, or an N:M pattern of them, are kept by magnitude."""

    cache_key = None

    def __init__(self, cost: str, granularity: str, geometries: Mapping[str, Any]) -> None:
        self.quantity, self.granularity = cost, granularity
        if cost == "bytes":
            self.core, self.geometry = _storage_core(granularity, geometries)

    def axes(self, layer: Layer) -> Axes:
        return _weight_axes(self.granularity)

    def cost(self, layer: Layer, point: Point) -> float:
        (density,) = point
        if self.quantity == "bytes":
            channels = layer.weight.shape[1]
            return layer.weights * self.core.weight_bytes(density, channels, self.geometry)
        return (layer.macs if self.quantity == "macs" else layer.weights) * self._share(layer, density)

    def _share(self, layer: Layer, density: float) -> float:
        """The fraction of the weights that is kept."""
        if self.granularity == WEIGHTS or density == 1:
            return density
        return nm_share(layer.weight, Pattern.parse(self.granularity))


class _ChannelSize:
    """MACs, parameters or bytes of a layer with fewer channels; the weights that are left are dense."""

    cache_key = None

    def __init__(self, cost: str, geometries: Mapping[str, Any]) -> None:
        self.quantity = cost
        if cost == "bytes":
            self.core, self.geometry = _storage_core(CHANNELS, geometries)

    def axes(self, layer: Layer) -> Axes:
        return _channel_axes(layer)

    def cost(self, layer: Layer, point: Point) -> float:
        share = float(np.prod(point))
        if self.quantity == "macs":
            return layer.macs * share
        if self.quantity == "params":
            return layer.weights * share
        return layer.weights * share * self.core.weight_bytes(1.0, layer.weight.shape[1], self.geometry)


class _WeightCycles:
    """Cycles of a layer on a core where single weights, or an N:M pattern of them, are kept by magnitude."""

    def __init__(self, name: str, core: SearchCosts, geometry: Any, granularity: str) -> None:
        self.core, self.geometry, self.granularity = core, geometry, granularity
        self.densities = core.cost_points(geometry).densities
        self.cache_key = (name, granularity, geometry)

    def axes(self, layer: Layer) -> Axes:
        return _weight_axes(self.granularity, (0.0, 1.0) if self.densities is None else self.densities)

    def cost(self, layer: Layer, point: Point) -> float:
        (density,) = point
        load = LayerLoad(
            kept=matrix_mask(self._mask(layer.weight, density), layer.groups),
            rows=layer.rows,
            bias=layer.bias,
            images=layer.images,
            positions=layer.positions,
            channels=layer.weight.shape[1],
            groups=layer.groups,
            windows=layer.windows,
            pattern=density < 1 and self.granularity != WEIGHTS,
        )
        return self.core.layer_cost(load, self.geometry)

    def _mask(self, weight: Tensor, density: float) -> Tensor:
        if density == 1:
            return torch.ones_like(weight, dtype=torch.bool)
        if self.granularity == WEIGHTS:
            return keep_largest(weight.abs(), kept_count(weight.numel(), density))
        return nm_mask(weight, Pattern.parse(self.granularity))


class _ChannelCycles:
    """Cycles of a layer on a core with fewer channels; the weights that are left are dense."""

    def __init__(self, name: str, core: SearchCosts, geometry: Any) -> None:
        self.core, self.geometry = core, geometry
        self.points = core.cost_points(geometry)
        self.cache_key = (name, CHANNELS, geometry)

    def axes(self, layer: Layer) -> Axes:
        return _channel_axes(layer, self.points.channels, self.points.outputs_at_once)

    def cost(self, layer: Layer, point: Point) -> float:
        inputs, outputs = _channels(layer, point)
        places = layer.weight[0, 0].numel()
        groups = outputs if layer.depthwise else layer.groups
        kept = torch.ones(outputs, inputs // groups * places, dtype=torch.bool)
        channels = layer.channels[0]
        # Which channels stay is not known yet. Take them evenly spread, so that their activations are as dense as those
        # of all channels on average.
        chosen = np.arange(inputs) * channels // inputs
        rows = layer.rows.reshape(len(layer.rows), channels, places)[:, chosen].reshape(len(layer.rows), -1)
        load = LayerLoad(
            kept=matrix_mask(kept, groups),
            rows=rows,
            bias=layer.bias,
            images=layer.images,
            positions=layer.positions,
            channels=inputs // groups,
            groups=groups,
            windows=layer.windows,
            pattern=False,
        )
        return self.core.layer_cost(load, self.geometry)


class _Latency:
    """Seconds of a layer with fewer channels on this machine's CPU."""

    cache_key = CHANNELS

    def axes(self, layer: Layer) -> Axes:
        return _channel_axes(layer, LATENCY_POINTS)

    def cost(self, layer: Layer, point: Point) -> float:
        return layer_seconds(layer, _channels(layer, point), BATCH)


def _channels(layer: Layer, point: Point) -> tuple[int, int]:
    """The numbers of input and output channels that are left."""
    inputs, outputs = (
        max(1, round(share * size)) for share, size in zip((point[0], point[-1]), layer.channels, strict=True)
    )
    # Convolutions with groups lose no channels, except depthwise ones, where each channel is a group.
    return (inputs, outputs) if layer.groups == 1 or layer.depthwise else layer.channels
