"""What a network costs at the densities of its layers: tables by layer, filled from the models of the hardware."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.cycles import eie as eie_cycles
from model.cycles.mma import gemm_cycles
from model.files import replacing
from model.formats.eie import encode
from model.formats.geometry import EieGeometry
from model.formats.pattern import Pattern
from model.formats.tile import TileGeometry
from model.search.layers import Layer, matrix_mask
from model.search.plan import WEIGHTS, choices, mask_of

COSTS = ("macs", "params", "bytes", "eie-cycles", "mma-cycles")
"""Multiplications with weights that are kept; those weights; what they take in memory; and cycles, of an image."""

BATCH = 16
"""Images that the tile multiplies at once (mma-cycles)."""

EIE_DENSITIES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.04, 0.03, 0.02, 0.01, 0.005)
"""Where eie-cycles of single weights are computed; between them they are interpolated."""


@dataclass(frozen=True, kw_only=True)
class CostTable:
    """Costs of each layer at some densities, which rise; between them they are interpolated linearly."""

    cost: str
    densities: dict[str, tuple[float, ...]]
    values: dict[str, tuple[float, ...]]

    def layer(self, name: str, density: float) -> float:
        return float(np.interp(density, self.densities[name], self.values[name]))

    def total(self, densities: Mapping[str, float]) -> float:
        """The cost of an image, the sum over the layers."""
        return sum(self.layer(name, density) for name, density in densities.items())

    @property
    def dense(self) -> float:
        """The cost where nothing is pruned."""
        return self.total(dict.fromkeys(self.densities, 1.0))


def cost_table(
    cost: str,
    layers: Sequence[Layer],
    granularity: str,
    *,
    array: EieGeometry,
    tile: TileGeometry,
    cache: Path | None = None,
) -> CostTable:
    """The table of one of COSTS for a network's layers, pruned by magnitude.

    Tables of cycles are kept in the folder `cache` under a hash of all that they depend on. Raises ValueError for a
    cost that is not known, or that does not change with the granularity.
    """
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}")
    if cost == "mma-cycles" and granularity == WEIGHTS:
        raise ValueError("cost mma-cycles needs the granularity of an N:M pattern: single zeros save the tile nothing")
    if cost == "eie-cycles":
        densities = EIE_DENSITIES if granularity == WEIGHTS else choices(granularity)
        return _cached(cache, cost, layers, (granularity, array), lambda: _eie(layers, granularity, densities, array))
    count: Callable[[Layer, float], float] = {
        "macs": lambda layer, density: layer.macs * density,
        "params": lambda layer, density: layer.weights * density,
        "bytes": lambda layer, density: layer.weights * _bytes(density, granularity, array, tile),
        "mma-cycles": lambda layer, density: _tile_cycles(layer, density, tile),
    }[cost]
    densities = (1.0, 1e-9) if granularity == WEIGHTS else choices(granularity)
    return _table(cost, layers, densities, count)


def _table(
    cost: str, layers: Sequence[Layer], densities: Sequence[float], count: Callable[[Layer, float], float]
) -> CostTable:
    rising = tuple(sorted(densities))
    return CostTable(
        cost=cost,
        densities={layer.name: rising for layer in layers},
        values={layer.name: tuple(count(layer, density) for density in rising) for layer in layers},
    )


def _bytes(density: float, granularity: str, array: EieGeometry, tile: TileGeometry) -> float:
    """Bytes a weight: an entry of the EIE each, or the tile's values and codes; dense in the tile's format."""
    if granularity == WEIGHTS:
        return density * array.entry_bits / 8
    pattern, bits = Pattern.parse(granularity), tile.operand.bits
    return (density * bits + (0 if density == 1 else pattern.code_bits / pattern.group)) / 8


def _tile_cycles(layer: Layer, density: float, tile: TileGeometry) -> float:
    """Cycles of an image in a batch. Sparse layers fill groups of input channels up (model.compiler.mma)."""
    outputs, runs = len(layer.weight), layer.positions * BATCH
    inputs = layer.rows.shape[1]
    dense = gemm_cycles(tile, outputs, runs, inputs, dense=True)
    if density == 1:
        return dense / BATCH
    channels, places = layer.weight.shape[1], layer.weight[0, 0].numel()
    padded = -(-channels // tile.group) * tile.group * places * layer.groups
    return min(dense, gemm_cycles(tile, outputs, runs, padded, dense=False)) / BATCH


def _eie(layers: Sequence[Layer], granularity: str, densities: Sequence[float], array: EieGeometry) -> CostTable:
    return _table(
        "eie-cycles", layers, densities, lambda layer, density: _array_cycles(layer, density, granularity, array)
    )


def _array_cycles(layer: Layer, density: float, granularity: str, array: EieGeometry) -> float:
    """Cycles of an image in the layer, with the start of each position."""
    mask = torch.ones_like(layer.weight, dtype=torch.bool)
    if density < 1:
        mask = mask_of(layer.weight, density, granularity)
    codes = matrix_mask(mask, layer.groups).astype(np.uint8)
    if layer.bias:
        codes = np.column_stack((codes, np.ones(len(codes), np.uint8)))
    cycles = eie_cycles.layer_cycles(encode(codes, array), layer.rows, array, bias=layer.bias)
    return float(cycles.sum()) / layer.images


def _cached(
    folder: Path | None, cost: str, layers: Sequence[Layer], key: Any, make: Callable[[], CostTable]
) -> CostTable:
    if folder is None:
        return make()
    digest = hashlib.sha256(repr((cost, key)).encode())
    for layer in layers:
        digest.update(repr((layer.name, layer.groups, layer.bias, layer.positions, layer.images)).encode())
        for array in (layer.weight.numpy(), layer.rows):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    path = folder / f"{cost}-{digest.hexdigest()[:24]}.json"
    try:
        stored = json.loads(path.read_text())
        values = {name: tuple(map(float, numbers)) for name, numbers in stored["values"].items()}
        densities = {name: tuple(map(float, numbers)) for name, numbers in stored["densities"].items()}
        if set(values) == set(densities) == {layer.name for layer in layers}:
            return CostTable(cost=cost, densities=densities, values=values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Missing or damaged: it is made again, and what is wrong with it does not matter.
        path.unlink(missing_ok=True)
    table = make()
    with replacing(path) as part:
        part.write_text(json.dumps({"densities": table.densities, "values": table.values}))
    return table
