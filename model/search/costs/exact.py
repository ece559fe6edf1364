"""The cost of a whole pruned network by the exact models, against which the sum of a table is held."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.eie import compiler as eie_compiler
from zeroskip.model.eie import cycles as eie_cycles
from zeroskip.model.eie import golden as golden
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.mma import compiler as mma_compiler
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.fold import fold
from zeroskip.model.search.costs.latency import median_seconds
from zeroskip.model.search.costs.table import BATCH


def exact_cost(
    cost: str, pruned: nn.Module, inputs: NDArray[np.float32], array: EieGeometry, tile: TileGeometry
) -> float | None:
    """Cycles of an image in the whole network, as it is compiled, or its seconds; None for other costs, whose tables
    are exact, and for cycles of networks that the compiler does not take."""
    if cost == "latency":
        batch = torch.from_numpy(np.resize(inputs, (BATCH, *inputs.shape[1:])))
        return median_seconds(pruned.eval(), batch) / BATCH
    if cost not in ("eie-cycles", "mma-cycles"):
        return None
    try:
        fold(pruned)
    except ValueError:
        return None
    if cost == "eie-cycles":
        return exact_eie_cycles(pruned, inputs, array)
    return exact_mma_cycles(pruned, inputs, tile)


def exact_eie_cycles(module: nn.Module, inputs: NDArray[np.float32], array: EieGeometry) -> float:
    """Cycles of an image from `start` to `done`, the mean over `inputs`, of the network as it is compiled: with the
    activations that its own pruned layers give."""
    network = eie_compiler.compile_network(share_layers(fold(module)), inputs, array, fit=MEMORIES, balance_load=False)
    runs = golden.run(network, eie_compiler.quantise_inputs(network, inputs, saturate=True)[0])
    cycles = eie_cycles.run(network, [layer.inputs for layer in runs])
    return float(cycles.sum(axis=1).mean()) + eie_cycles.START_TO_DONE * network.starts_per_image


def exact_mma_cycles(module: nn.Module, inputs: NDArray[np.float32], tile: TileGeometry) -> float:
    """Cycles of an image in a batch, of the network as it is compiled."""
    network = mma_compiler.compile_network(module, inputs.shape[1:], tile)
    layers = zip(network.layers, network.starts, strict=True)
    return sum(
        gemm_cycles(tile, layer.outputs, starts * BATCH, layer.columns, dense=not layer.sparse) / BATCH
        for layer, starts in layers
    )
