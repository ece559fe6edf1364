"""Measures what the fit of the weights that are left gains, and the order of the channels, and writes it to
docs/measured/fit.json: `measure_fit.py DATA FOLDER`, where the folder has the weights plain.safetensors,
resnet.safetensors and lenet.safetensors. All plans are uniform, so that no search has a part in it."""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tables import DOCS

from zeroskip.api.inputs import data_of, network_of, one_thread
from zeroskip.api.search import SearchSettings, prepared
from zeroskip.model.progress import silent
from zeroskip.model.pruning.defaults import WEIGHT_DECAY
from zeroskip.model.pruning.training import TrainingSettings
from zeroskip.model.search.finetune import finetune
from zeroskip.model.search.finetune_settings import PruneAndTrainSettings
from zeroskip.model.search.methods.policies import uniform
from zeroskip.model.search.spaces.space import cost_share

FILE = DOCS / "measured/fit.json"
TUNINGS = 2
TRAINING = TrainingSettings(epochs=1, learning_rate=0.005, weight_decay=WEIGHT_DECAY, batch_size=64)
WAYS: dict[str, dict[str, Any]] = {
    "neither": {"refit": False},
    "fit": {"refit": True, "criterion": "l1"},
    "fit and order": {"refit": True},
}
"""Channels alone have an order: without it, those with the smallest sum of magnitudes go first."""


@dataclass(frozen=True, kw_only=True)
class Case:
    network: str
    weights: str
    settings: dict[str, Any]


CASES = {
    "plain-channels": Case(
        network="zeroskip.networks:plain_20(width=0.25,inputs=1)",
        weights="plain",
        settings={"granularity": "channels", "cost": "macs", "budget": 0.5},
    ),
    "resnet-channels": Case(
        network="zeroskip.networks:resnet_20(width=0.25,inputs=1)",
        weights="resnet",
        settings={"granularity": "channels", "cost": "macs", "budget": 0.5},
    ),
    "lenet-weights": Case(
        network="zeroskip.networks:lenet_5", weights="lenet", settings={"cost": "params", "budget": 0.05}
    ),
    "lenet-nm": Case(
        network="zeroskip.networks:lenet_5",
        weights="lenet",
        settings={"granularity": "nm", "cost": "params", "budget": 0.51},
    ),
    "plain-nm": Case(
        network="zeroskip.networks:plain_20(width=0.25,inputs=1)",
        weights="plain",
        settings={"granularity": "nm", "cost": "params", "budget": 0.51},
    ),
}


def measure(case: Case, data: str, folder: Path) -> dict[str, Any]:
    """The cost, and the accuracies on the test split before and after fine-tuning, each way."""
    module, _ = network_of(case.network, folder / f"{case.weights}.safetensors", silent)
    dataset = data_of(data, 0, silent, None)
    found: dict[str, Any] = {"cost": case.settings["cost"], "ways": {}}
    for name, way in WAYS.items():
        settings = SearchSettings(**case.settings, **way)
        if name == "fit and order" and settings.granularity != "channels":
            continue
        setup = prepared(module, dataset, settings, seed=0, output=None, device="cpu", progress=silent)
        densities = uniform(setup.space, setup.table, settings.budget)
        found["reached"] = cost_share(setup.space, setup.table, densities)
        plan = setup.space.plan(
            densities, method="uniform", cost=settings.cost, budget=settings.budget, reached=found["reached"]
        )
        pruned = setup.space.masked(densities)
        tuned = [
            finetune(
                module,
                plan,
                dataset,
                settings=PruneAndTrainSettings(training=TRAINING, threads=1, refit=False),
                seed=seed,
                adapted=pruned,
            )
            for seed in range(TUNINGS)
        ]
        after = [one.accuracies["finetuned"] for one in tuned]
        found["dense"] = tuned[0].accuracies["dense"]
        found["ways"][name] = {
            "before": tuned[0].accuracies["pruned"],
            "after": statistics.mean(after),
            "std": statistics.stdev(after),
        }
        print(case, name, found["ways"][name], file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    data, folder = sys.argv[1:]
    results: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    with one_thread():
        for name, case in CASES.items():
            if name not in results:
                results[name] = measure(case, data, Path(folder))
                FILE.write_text(json.dumps(results, indent=1) + "\n")
