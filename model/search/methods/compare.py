"""Compares policies at the same budget and with the same fine-tuning, over several seeds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.progress import silent
from zeroskip.model.pruning.training import TrainingSettings, evaluate
from zeroskip.model.search.finetune import finetune
from zeroskip.model.search.finetune_settings import PruneAndTrainSettings
from zeroskip.model.search.methods.netadapt import NetAdaptResult
from zeroskip.model.search.methods.run_method import HAND_MADE, METHODS, run_method
from zeroskip.model.search.plan import save_plan
from zeroskip.model.search.progress import ReportProgress, SearchProgress
from zeroskip.model.search.settings import MethodSettings
from zeroskip.model.search.setup import Setup
from zeroskip.model.search.spaces.space import cost_share
from zeroskip.model.search.storage.journal import Journal
from zeroskip.model.search.workers import worker_map

POLICIES = (*HAND_MADE, *METHODS)

RESULTS = ("cost", "exact", "before", "after", "seconds")


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The network, its data, the budget, and the settings of the searches and of the fine-tuning.

    `prepare` makes the Setup for a seed. The seed decides which training samples are for validation; the test split is
    the same for all. `exact_dense` is the exact cost of the dense network (`Setup.exact_cost`), or None.
    """

    prepare: Callable[[int], Setup]
    exact_dense: float | None
    module: nn.Module
    dataset: Dataset
    budget: float
    settings: MethodSettings
    training: TrainingSettings
    folder: Path
    configuration: str
    resume: bool


@dataclass(frozen=True, eq=False)
class _Trial:
    """Searches by a policy with a seed, fine-tunes, and returns the numbers of RESULTS. Each trial has a journal of its
    own, by which an interrupted trial continues."""

    what: Comparison

    def __call__(self, trial: tuple[str, int]) -> dict[str, float]:
        policy, seed = trial
        what = self.what
        stem = what.folder / f"{policy}-{seed}"
        journal = Journal(Path(f"{stem}.journal"), f"{what.configuration} {what.training} {trial}", resume=what.resume)
        if "after" not in journal.known:
            start = time.monotonic()
            setup = what.prepare(seed)
            space, table = setup.space, setup.table
            # Without the accuracies that other searches have measured, so that the seconds are those of a full search.
            evaluator = setup.evaluator(journal)
            found = run_method(
                policy,
                setup,
                what.budget,
                settings=what.settings,
                evaluator=evaluator,
                seed=seed,
            )
            if "seconds" not in journal.known:
                journal.add("seconds", time.monotonic() - start)
            cost = cost_share(space, table, found.densities)
            plan = space.plan(found.densities, method=policy, cost=table.cost, budget=what.budget, reached=cost)
            save_plan(plan, Path(f"{stem}.json"))
            # NetAdapt has trained its network on the way.
            adapted = found.details.module if isinstance(found.details, NetAdaptResult) else None
            tuned = finetune(
                what.module,
                plan,
                what.dataset,
                settings=PruneAndTrainSettings(training=what.training, threads=1),
                seed=seed,
                adapted=adapted,
                checkpoint=Path(f"{stem}.ckpt"),
            )
            if what.exact_dense is not None:
                pruned = space.masked(found.densities) if adapted is None else adapted
                exact = setup.exact_cost(space.remove(pruned, found.densities))
                if exact is not None:
                    journal.add("exact", exact / what.exact_dense)
            journal.add("cost", cost)
            journal.add("before", tuned.accuracies["pruned"])
            journal.add("after", tuned.accuracies["finetuned"])
        return {name: journal.known[name] for name in RESULTS if name in journal.known}


def compare(
    what: Comparison, seeds: Sequence[int], *, workers: int | str = 1, progress: ReportProgress = silent
) -> dict[str, dict[str, Any]]:
    """Runs every policy with every seed.

    Returns for every policy: `cost`, the largest over the seeds by the table, as a fraction of the dense cost; `exact`,
    the largest exact one, or None; `before` and `after`, the mean accuracies before and after fine-tuning on the test
    split, with the standard deviations `std_before` and `std`; the mean `seconds` of a search; and the `trials`.
    """
    trials = [(policy, seed) for seed in seeds for policy in POLICIES]
    results: dict[str, list[dict[str, float]]] = {policy: [] for policy in POLICIES}
    with worker_map(_Trial(what), workers) as do:
        for number, ((policy, seed), result) in enumerate(zip(trials, do(trials), strict=True), 1):
            results[policy].append(result)
            best = max((one for many in results.values() for one in many), key=lambda one: one["after"])
            progress(
                SearchProgress(
                    done=number,
                    total=len(trials),
                    trying=f"{policy}, seed {seed}",
                    accuracy=result["after"],
                    best=best["after"],
                    cost=best["cost"],
                )
            )
    return {policy: _summary(many) for policy, many in results.items()}


def dense_accuracy(module: nn.Module, dataset: Dataset) -> float:
    """The dense network's accuracy on the test split."""
    return evaluate(module, torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels))


def _summary(trials: list[dict[str, float]]) -> dict[str, Any]:
    def of(name: str) -> list[float]:
        return [trial[name] for trial in trials]

    return {
        "cost": max(of("cost")),
        "exact": max(of("exact")) if all("exact" in trial for trial in trials) else None,
        "before": statistics.mean(of("before")),
        "after": statistics.mean(of("after")),
        "std": statistics.stdev(of("after")) if len(trials) > 1 else 0.0,
        "std_before": statistics.stdev(of("before")) if len(trials) > 1 else 0.0,
        "seconds": statistics.mean(of("seconds")),
        "trials": trials,
    }
