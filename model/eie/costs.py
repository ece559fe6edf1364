"""Costs of a pruned layer or network on the EIE array, for searches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.core import CostPoints, LayerLoad
from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.format import encode
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.settings import POSITIONS
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.eie.tiles import Grid
from zeroskip.model.network.fold import fold

DENSITIES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Fractions of kept weights at which cycles are computed."""

CHANNEL_POINTS = 9
"""Numbers of input and of output channels at which cycles are computed."""


def search_geometry(pattern: str, sizes: Mapping[str, int]) -> EieGeometry:
    """The array of these sizes; it runs any pattern."""
    return EieGeometry(**sizes)


def layer_cost(load: LayerLoad, geometry: EieGeometry) -> float:
    """Cycles of an image in the layer, with the start of each tile; a bias is one more dense column."""
    codes, rows = load.kept.astype(np.uint8), load.rows
    if load.windows is not None:
        grid = Grid(windows=load.windows, channels=load.channels * load.groups)
        tile = grid.tile(len(codes), POSITIONS)
        codes, rows = grid.matrix(codes, tile), grid.rows(rows, tile)
    if load.bias:
        codes = np.column_stack((codes, np.ones(len(codes), np.uint8)))
    counts = cycles.layer_cycles(encode(codes, geometry), rows, geometry, bias=load.bias)
    return float(counts.sum()) / load.images


def network_cost(module: nn.Module, inputs: NDArray[np.float32], geometry: EieGeometry) -> float:
    """Cycles of an image from `start` to `done`, the mean over `inputs`, of the network as it is compiled: with the
    activations that its own pruned layers give. Raises ValueError if it cannot be compiled."""
    network = compile_network(
        share_layers(fold(module, inputs), inputs=inputs), inputs, geometry, fit=MEMORIES, balance_load=False
    )
    runs = golden.run(network, quantise_inputs(network, inputs, saturate=True)[0])
    counts = cycles.run(network, [layer.inputs for layer in runs])
    return float(counts.sum(axis=1).mean()) + cycles.START_TO_DONE * network.starts_per_image


def cost_points(geometry: EieGeometry) -> CostPoints:
    """Where the table of cycles is computed."""
    return CostPoints(channels=CHANNEL_POINTS, outputs_at_once=geometry.pes, densities=DENSITIES)


def weight_bytes(density: float, channels: int, geometry: EieGeometry) -> float:
    """Bytes for each weight of a layer: an entry for each that is kept, padding entries not counted."""
    return density * geometry.entry_bits / 8
