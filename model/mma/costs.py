"""Costs of a pruned layer or network on the N:M tile, for searches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.core import CostPoints, LayerLoad
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.model.network.fold import fold
from zeroskip.model.network.pattern import Pattern

BATCH = 16
"""Images that the tile multiplies together."""

CHANNEL_POINTS = 17
"""Numbers of input and of output channels at which cycles are computed."""


def search_geometry(pattern: str, sizes: Mapping[str, int]) -> TileGeometry:
    """A tile for the pattern, with an A100's fp16 arithmetic and sums in fp32."""
    nm = Pattern.parse(pattern)
    return mode_geometry(
        generation="A100", dtype="fp16", out="fp32", keep=nm.keep, group=nm.group, pair=nm.pair, **sizes
    )


def layer_cost(load: LayerLoad, geometry: TileGeometry) -> float:
    """Cycles of an image in a batch; sparse where the weights follow the pattern and that is faster, as the compiler
    does it (zeroskip.model.mma.compiler): it fills groups of input channels up."""
    outputs, columns = load.kept.shape
    runs = load.positions * BATCH
    dense = gemm_cycles(geometry, outputs, runs, columns, dense=True)
    if not load.pattern:
        return dense / BATCH
    places = columns // (load.channels * load.groups)
    padded = -(-load.channels // geometry.group) * geometry.group * places * load.groups
    return min(dense, gemm_cycles(geometry, outputs, runs, padded, dense=False)) / BATCH


def network_cost(module: nn.Module, inputs: NDArray[np.float32], geometry: TileGeometry) -> float:
    """Cycles of an image in a batch, of the network as it is compiled. Raises ValueError if it cannot be."""
    network = compile_network(fold(module, inputs), inputs.shape[1:], geometry)
    layers = zip(network.layers, network.starts, strict=True)
    return sum(
        gemm_cycles(geometry, layer.outputs, starts * BATCH, layer.columns, dense=not layer.sparse) / BATCH
        for layer, starts in layers
    )


def cost_points(geometry: TileGeometry) -> CostPoints:
    """Where the table of cycles is computed: single zeros save the tile nothing, so there is no axis of densities."""
    return CostPoints(channels=CHANNEL_POINTS, outputs_at_once=geometry.m, densities=None)


def weight_bytes(density: float, channels: int, geometry: TileGeometry) -> float:
    """Bytes for each weight of a layer: values and codes, groups of channels filled up with zeros; dense layers
    (`density` 1) have neither codes nor padding."""
    bits = geometry.operand.bits
    if density == 1:
        return bits / 8
    filled = -(-channels // geometry.group) * geometry.group / channels
    return filled * (density * bits + geometry.pattern.code_bits / geometry.group) / 8
