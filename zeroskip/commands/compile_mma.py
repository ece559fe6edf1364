"""`zeroskip compile --core mma`: prune to N:M, compile for the N:M tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.data.dataset import accuracy as accuracy_of
from zeroskip.model.mma import network as golden
from zeroskip.model.mma.bundle import MmaNetwork


def golden_accuracy(network: MmaNetwork, inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Fraction of the images that the golden model puts into their class."""
    outputs = golden.run(network, inputs.reshape(len(inputs), -1)).outputs
    return accuracy_of(outputs, labels)


def layer_rows(network: MmaNetwork) -> list[tuple[str, str]]:
    """How each layer runs, for people."""
    geometry = network.geometry
    rows = []
    for index, layer in enumerate(network.layers):
        how = str(geometry.pattern) if layer.sparse else "dense"
        padded = f", {layer.pad} columns of padding" if layer.pad else ""
        rows.append((f"layer {index}", f"{layer.outputs} x {layer.columns}, {how}{padded}"))
    return [*rows, ("tile", f"{geometry.m} x {geometry.n} x {geometry.k}, {geometry.dtype}, {geometry.generation}")]
