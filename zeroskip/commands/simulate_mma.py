"""`zeroskip demo --core mma` and `zeroskip simulate` of a network for the N:M tile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray
from torch import nn

from zeroskip.commands.compile_mma import golden_accuracy, layer_rows
from zeroskip.commands.console import progress_bar, show, training_bar
from zeroskip.cosim.mma.verify import MmaVerification, verify
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.dataset import accuracy as accuracy_of
from zeroskip.model.data.named import load_samples
from zeroskip.model.data.npz import require_classes
from zeroskip.model.files import save_npz
from zeroskip.model.mma import bundle as mma_bundle
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import mode_geometry
from zeroskip.model.pruning.nm_recipe import NmSettings, prune_nm


def demo_mma(
    title: str,
    data: Dataset,
    module: nn.Module,
    settings: NmSettings,
    *,
    limit: int | None,
    output: Path,
    simulator: Simulator,
    seed: int,
    as_json: bool,
) -> None:
    """Trains, prunes to N:M, compiles and runs the network on the RTL; exit code 1 unless the run is right."""
    start = time.monotonic()
    with training_bar() as progress:
        result = prune_nm(
            module,
            data,
            settings=settings,
            seed=seed,
            checkpoint=output / "training.safetensors",
            progress=progress,
        )
    geometry = mode_geometry(generation="A100", dtype="fp16", out="fp32")
    network = compile_network(result.sparse, data.test_inputs.shape[1:], geometry)
    mma_bundle.save(network, output / "network.zs")
    inputs, labels = data.test_inputs.reshape(len(data.test_inputs), -1), data.test_labels
    accuracy = {**result.accuracies, "golden": golden_accuracy(network, inputs, labels)}
    verification = _verify(network, inputs[:limit], simulator, seed)
    if verification.images == len(inputs):
        accuracy["hardware"] = accuracy_of(verification.outputs, labels)
    kept, total = (sum(getattr(layer, name) for layer in result.layers) for name in ("kept", "total"))
    summary: dict[str, Any] = {
        "dataset": title,
        **verification.summary(),
        "accuracy": accuracy,
        "weights": {"total": total, "kept": kept, "ratio": total / kept},
        "seconds": time.monotonic() - start,
    }
    rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in accuracy.items()]
    rows += [("weights kept", f"{kept:,} of {total:,} (1 : {total / kept:.2f})")]
    rows += [*layer_rows(network)[:-1], *verification.rows()]
    show(summary, rows, title=f"{title} on the N:M tile, {summary['seconds']:.1f} s", as_json=as_json)
    if not verification.equal:
        raise typer.Exit(1)


def simulate_mma(
    path: Path,
    network: MmaNetwork,
    *,
    data: str,
    limit: int | None,
    outputs: Path | None,
    simulator: Simulator,
    seed: int,
    as_json: bool,
) -> None:
    """Runs a compiled network on the RTL; exit code 1 unless the run is right."""
    start = time.monotonic()
    values, labels = load_samples(data, "test")
    values, labels = values[:limit], None if labels is None else labels[:limit]
    require_classes(data, labels, network.outputs)
    verification = _verify(network, values.reshape(len(values), -1), simulator, seed)
    accuracy = None if labels is None else {"hardware": accuracy_of(verification.outputs, labels)}
    if outputs is not None:
        save_npz(outputs, outputs=verification.outputs, cycles=verification.cycles)
    summary = {
        "network": str(path),
        **verification.summary(),
        "accuracy": accuracy,
        "seconds": time.monotonic() - start,
    }
    rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in (accuracy or {}).items()]
    rows += verification.rows()
    show(summary, rows, title=f"{path.name} on the N:M tile, {summary['seconds']:.1f} s", as_json=as_json)
    if not verification.equal:
        raise typer.Exit(1)


def _verify(network: MmaNetwork, inputs: NDArray[np.float32], simulator: Simulator, seed: int) -> MmaVerification:
    with progress_bar() as bar:
        task = bar.add_task("RTL", total=len(inputs))
        return verify(
            network,
            np.ascontiguousarray(inputs),
            simulator=simulator,
            seed=seed,
            progress=lambda done: bar.update(task, completed=done),
        )
