"""`zeroskip compile --core mma`: prune to N:M, compile for the N:M tile."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.commands.console import training_bar
from zeroskip.model.data.dataset import accuracy as accuracy_of
from zeroskip.model.data.named import load_data, load_samples
from zeroskip.model.mma import bundle as mma_bundle
from zeroskip.model.mma import network as golden
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.stages import shapes
from zeroskip.model.pruning.nm_recipe import NmSettings, prune_nm


def compile_mma(
    module: nn.Module,
    *,
    data: str,
    output: Path,
    prune: NmSettings | None,
    checkpoint: Path,
    geometry: TileGeometry,
    seed: int,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Writes the compiled network; gives what the command prints as JSON, and the same for people."""
    accuracy: dict[str, float] = {}
    if prune is None:
        test = load_samples(data, "test")
    else:
        with training_bar() as progress:
            result = prune_nm(
                module,
                load_data(data, seed),
                settings=prune,
                seed=seed,
                checkpoint=checkpoint,
                progress=progress,
            )
        module, accuracy, test = result.sparse, result.accuracies, result.test
    network = compile_network(module, test[0].shape[1:], geometry)
    if test[1] is not None:
        accuracy = {**accuracy, "golden": golden_accuracy(network, test[0], test[1])}
    mma_bundle.save(network, output)
    summary = {
        "geometry": dataclasses.asdict(geometry),
        "layers": [dataclasses.asdict(layer) for layer in network.layers],
        "accuracy": accuracy or None,
    }
    rows = [("layers", " - ".join(shapes(network.stages, network.layers)))]
    rows += [(f"accuracy, {step}", f"{value:.2%}") for step, value in accuracy.items()]
    rows += layer_rows(network)
    return summary, rows


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
