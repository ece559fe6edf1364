"""Measures whole networks on both cores, from trained weights: `measure_whole.py NETWORK CORE WEIGHTS`, some minutes
each, into docs/measured/whole-NETWORK-CORE.json. What the file holds already is kept, so that a run that was cut short
continues.

Half of the weights are pruned at once, by SparseGPT; on the array any half, shared with error feedback, on the tile two
of four. The LSTM on the array keeps 11%, as NT-LSTM does (EIE, Table III): pruned by magnitude in two rounds, each with
an epoch of training.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tables import DOCS

from zeroskip.api.compile import CompileSettings, compile
from zeroskip.api.eie.compile import EieCompileSettings
from zeroskip.api.generate import GenerateSettings, generate
from zeroskip.api.inputs import data_of, network_of
from zeroskip.api.mma.compile import MmaCompileSettings
from zeroskip.api.recipe import load_recipe
from zeroskip.api.simulate import SimulateSettings, load_compiled, simulate
from zeroskip.model.core import golden_run
from zeroskip.model.cores import load_core
from zeroskip.model.data.dataset import Dataset, accuracy, perplexity
from zeroskip.model.progress import Step, silent
from zeroskip.model.pruning.recipe import PruneAndShareSettings, prune_and_share
from zeroskip.model.pruning.training import TrainingSettings

FOLDER = Path(tempfile.gettempdir()) / "zeroskip-whole"
PES = 16
PROMPT = "The value of "
KNOWN = 512
"""Training samples by which a network is pruned at once, and the formats of its values are chosen."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A network, its data, and the samples of it: those in a `part` of the test split that the golden model runs at
    once, and `shown` on the RTL, images or characters behind the prompt. The array keeps `density` of the weights."""

    network: str
    data: str
    part: int
    shown: int
    density: float = 0.5
    trained: bool = False


NETWORKS = {
    "resnet-20": Whole(
        network="zeroskip.networks:resnet_20(width=0.25,inputs=1)", data="fashion-mnist", part=500, shown=5
    ),
    "mobilenet": Whole(
        network="zeroskip.networks:mobilenet_v1(width=0.25,inputs=1,classes=10,first_stride=1)",
        data="fashion-mnist",
        part=500,
        shown=2,
    ),
    "lstm": Whole(
        network="zeroskip.networks:lstm", data="python-topics", part=22, shown=10, density=0.11, trained=True
    ),
}


def compiled(whole: Whole, core: str, weights: Path, dataset: Dataset, output: Path) -> dict[str, Any]:
    if core == "eie" and whole.trained:
        return compiled_trained(whole, weights, dataset, output)
    own: Any = MmaCompileSettings(prune=True, method="sparsegpt")
    if core == "eie":
        own = EieCompileSettings(pes=PES, density=whole.density, pruning="sparsegpt", sharing="feedback")
    settings = CompileSettings(core=core, own=own, limit=1)
    known = {"train_inputs": dataset.train_inputs[:KNOWN], "train_labels": dataset.train_labels[:KNOWN]}
    few = dataclasses.replace(dataset, **known)
    found = compile(whole.network, few, weights=weights, settings=settings, output=output, progress=told)
    measured = found.perplexity or found.accuracy
    return {**measured, "kept": found.kept, "total": found.total}


def compiled_trained(whole: Whole, weights: Path, dataset: Dataset, output: Path) -> dict[str, Any]:
    module, _ = network_of(whole.network, weights, silent)
    nothing = TrainingSettings(epochs=0, learning_rate=1e-3, weight_decay=0, batch_size=64, optimizer="adam")
    again = TrainingSettings(epochs=1, learning_rate=1e-3, weight_decay=0, batch_size=64, optimizer="adam")
    settings = PruneAndShareSettings(
        density=whole.density, rounds=2, dense=nothing, retrain=again, share=nothing, threads=1, sharing="feedback"
    )
    result = prune_and_share(
        module,
        dataset,
        settings=settings,
        seed=0,
        checkpoint=Path(f"{output}.ckpt"),
        progress=lambda one: print(one, file=sys.stderr, flush=True),
        steps=told,
    )
    core = load_core("eie")
    core_settings = load_recipe("eie").core_settings(EieCompileSettings(pes=PES))
    core.save(core.compile(result.layers, dataset.train_inputs[:KNOWN], core_settings, told), output)
    measured = result.perplexities or result.accuracies
    assert measured is not None
    return {**measured, "kept": result.kept, "total": result.total}


def golden_part(core: str, network: Any, dataset: Dataset, first: int, count: int) -> dict[str, Any]:
    """A part of the test split; the mean loss of tokens, or the fraction of images that are right."""
    inputs, labels = (one[first : first + count] for one in (dataset.test_inputs, dataset.test_labels))
    start = time.monotonic()
    outputs = golden_run(load_core(core), network, inputs).outputs
    spread = perplexity(outputs, labels)
    found = {"accuracy": accuracy(outputs, labels)} if spread is None else {"loss": math.log(spread)}
    return {"samples": len(inputs), **found, "seconds": time.monotonic() - start}


def on_the_rtl(whole: Whole, output: Path, dataset: Dataset) -> dict[str, Any]:
    if whole.data == "python-topics":
        text = generate(output, PROMPT, settings=GenerateSettings(tokens=whole.shown), progress=told)
        _, *further = text.runs
        found: dict[str, Any] = {
            "samples": len(PROMPT) + whole.shown - 1,
            "cycles": float(np.mean([run.cycles for run in further])),
            "values": text.values,
            "mismatches": text.mismatches,
            "cycle_model_equal": text.cycle_model_equal,
            "seconds": text.seconds,
        }
        return found
    result = simulate(output, dataset, settings=SimulateSettings(limit=whole.shown), progress=told)
    run = result.verification
    return {
        "samples": whole.shown,
        "cycles": float(run.cycles.mean()),
        "values": run.values,
        "mismatches": run.mismatches,
        "cycle_model_equal": run.cycle_model_equal,
        "seconds": result.seconds,
    }


def told(step: Step) -> None:
    if not step.done:
        print(step.task, file=sys.stderr, flush=True)


def measure(name: str, core: str, weights: Path) -> None:
    whole, output = NETWORKS[name], FOLDER / f"{name}-{core}.zs"
    FOLDER.mkdir(exist_ok=True)
    file = DOCS / f"measured/whole-{name}-{core}.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    dataset = data_of(whole.data, 0, silent)

    def keep(key: str, value: Any) -> None:
        results[key] = value
        file.write_text(json.dumps(results, indent=1) + "\n")

    if "compile" not in results or not output.exists():
        keep("compile", compiled(whole, core, weights, dataset, output))
    network = load_compiled(output)[1]
    if "rtl" not in results:
        keep("rtl", on_the_rtl(whole, output, dataset))
    parts = results.get("golden", [])
    while (done := sum(part["samples"] for part in parts)) < len(dataset.test_inputs):
        parts.append(golden_part(core, network, dataset, done, whole.part))
        keep("golden", parts)
        print(f"golden model: {done + whole.part} of {len(dataset.test_inputs)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
