"""`zeroskip compile --core eie`: prune, share weights, compile for the EIE array."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from torch import nn

from zeroskip.commands.console import errors, training_bar
from zeroskip.model.data.named import load_data, load_samples
from zeroskip.model.eie import bundle
from zeroskip.model.eie.compiler import compile_network, golden_accuracy, lost_weights
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.model.eie.storage import storage
from zeroskip.model.network.stages import shapes
from zeroskip.model.pruning.presets import user_settings
from zeroskip.model.pruning.recipe import prune_and_share, share

CALIBRATION = 5_000
"""Samples at most that say how large values get."""


def compile_eie(
    module: nn.Module,
    *,
    data: str,
    output: Path,
    density: float | None,
    epochs: int,
    learning_rate: float,
    checkpoint: Path,
    geometry: EieGeometry,
    fit: list[str],
    balance_load: bool,
    seed: int,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Writes the compiled network; gives what the command prints as JSON, and the same for people.

    `fit` names the memories of `geometry` that are made as large as the network needs.
    """
    inputs, _ = load_samples(data, "train")
    if density is None:
        test_inputs, test_labels = load_samples(data, "test")
        result = share(module, test_inputs=test_inputs, test_labels=test_labels)
    else:
        with training_bar() as progress:
            result = prune_and_share(
                module,
                load_data(data, seed),
                settings=user_settings(density=density, epochs=epochs, learning_rate=learning_rate),
                seed=seed,
                checkpoint=checkpoint,
                progress=progress,
            )
    compiled = compile_network(result.layers, inputs[:CALIBRATION], geometry, fit=fit, balance_load=balance_load)
    accuracy = result.accuracies
    if accuracy is not None and result.test is not None:
        accuracy = {**accuracy, "golden": golden_accuracy(compiled, *result.test)}
    if lost := lost_weights(compiled):
        errors.print(
            f"warning: {lost:,} weights are rounded to zero: {VALUE_BITS} bits do not hold them beside the largest of "
            "their layer",
            style="yellow",
        )
    bundle.save(compiled, output)

    stored = storage(compiled)
    summary: dict[str, Any] = {
        "geometry": dataclasses.asdict(compiled.geometry),
        "layers": [[layer.inputs, layer.outputs] for layer in compiled.layers],
        "accuracy": accuracy,
        "weights": {
            "total": result.total,
            "kept": result.kept,
            "ratio": result.total / max(result.kept, 1),
            "rounded_to_zero": lost,
        },
        "bits": {"dense": stored.dense, "image": stored.image, "ratio": stored.ratio},
    }
    rows = [("layers", " - ".join(shapes(compiled.stages, compiled.layers)))]
    rows += [(f"accuracy, {step}", f"{value:.2%}") for step, value in (accuracy or {}).items()]
    rows += [
        ("weights kept", f"{result.kept:,} of {result.total:,}"),
        ("bits, dense and image", f"{stored.dense:,} and {stored.image:,} (1 : {stored.ratio:.1f})"),
        ("PEs", str(compiled.geometry.pes)),
    ]
    return summary, rows
