"""Compares plans on the RTL that were searched for different costs and keep the same number of weights."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from zeroskip.cosim.eie.driver import DRIVER
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import verify
from zeroskip.model.data.dataset import Dataset
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.core import CORE
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.settings import EieSettings
from zeroskip.model.pruning.training import TrainingSettings
from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.evaluation import VALIDATION_SAMPLES
from zeroskip.model.search.finetune import FinetuneResult, finetune
from zeroskip.model.search.finetune_settings import PruneAndTrainSettings
from zeroskip.model.search.methods.netadapt import NetAdaptResult, netadapt
from zeroskip.model.search.plan import Plan
from zeroskip.model.search.settings import NetAdaptSettings
from zeroskip.model.search.setup import Setup
from zeroskip.model.search.spaces.space import cost_share
from zeroskip.model.search.storage.journal import Journal

COSTS = ("eie-cycles", "macs", "params")
"""The costs that are searched for; the plans of the others are compared with that of the first."""

CALIBRATION = 500
"""The number of images from which the compiler chooses the fraction bits of activations."""

FURTHER = 0.9
"""The factor by which the budget falls until a plan keeps few enough weights."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchBench:
    """The settings of the comparison.

    `setup` is for the first cost, and `budget` the fraction of its dense cost. All plans are fine-tuned with
    `training`, once for each of `seeds` seeds, and run on the first `images` images of the test split.
    """

    setup: Setup
    budget: float
    settings: NetAdaptSettings
    training: TrainingSettings
    seeds: int
    images: int
    workers: int | str


def bench_search(
    what: SearchBench, journal: Callable[[str], Journal], *, simulator: Simulator, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row for each of COSTS. The searches use NetAdapt, which compares lost accuracy with saved cost and so finds
    another plan for another cost; sensitivity analysis does not. `journal(cost)` is the journal of each search.

    Raises ValueError if the budget cannot be met.
    """
    space = what.setup.space
    tables = {COSTS[0]: what.setup.table}
    for cost in COSTS[1:]:
        tables[cost] = cost_table(cost, what.setup.layers, space.granularity, geometries=what.setup.geometries)
    kept = 1.0
    rows = []
    for cost, table in tables.items():
        progress(f"searching for {cost}")
        log = journal(cost)
        first = cost == COSTS[0]
        densities = _search(what, table, what.budget, log).densities if first else _keeping(what, table, kept, log)
        kept = space.kept(densities) if first else kept
        plan = space.plan(
            densities,
            method="netadapt",
            cost=cost,
            budget=what.budget if first else 1.0,
            reached=cost_share(space, table, densities),
        )
        tuned = []
        for seed in range(what.seeds):
            progress(f"fine-tuning for {cost}, seed {seed}")
            settings = PruneAndTrainSettings(training=what.training, threads=1)
            tuned.append(finetune(what.setup.module, plan, what.setup.dataset, settings=settings, seed=seed))
        progress(f"running {cost} on the RTL")
        rows.append(_row(what, plan, tuned, tables, densities, simulator))
    for row in rows:
        row["cycles_ratio"] = row["rtl_cycles"] / rows[0]["rtl_cycles"]
    return rows


def _search(what: SearchBench, table: CostTable, budget: float, journal: Journal) -> NetAdaptResult:
    return netadapt(
        what.setup.space,
        table,
        budget,
        settings=what.settings,
        samples=what.setup.train,
        validation=what.setup.validation.first(VALIDATION_SAMPLES),
        journal=journal,
        workers=what.workers,
        seed=0,
    )


def _keeping(what: SearchBench, table: CostTable, kept: float, journal: Journal) -> dict[str, float]:
    """Densities that keep the fraction `kept` of all weights; the last step is cut to reach it."""
    space = what.setup.space
    budget = kept
    while space.kept((found := _search(what, table, budget, journal)).densities) > kept:
        # A search with a smaller budget repeats the same steps, from the journal, and adds further ones.
        budget *= FURTHER
    before = {group.name: 1.0 for group in space.groups}
    if kept == 1:
        return before
    for step in found.steps:
        after = {**before, step.group: step.density}
        if space.kept(after) <= kept:
            break
        before = after
    group = next(group for group in space.groups if group.name == step.group)
    density = group.largest(lambda one: one <= before[group.name] and space.kept({**before, group.name: one}) <= kept)
    assert density is not None, "the whole step keeps no more than that"
    return {**before, group.name: density}


def _row(
    what: SearchBench,
    plan: Plan,
    tuned: list[FinetuneResult],
    tables: dict[str, CostTable],
    densities: dict[str, float],
    simulator: Simulator,
) -> dict[str, Any]:
    space, dataset = what.setup.space, what.setup.dataset
    after = [one.accuracies["finetuned"] for one in tuned]
    network = compiled(tuned[0].module, dataset, what.setup.geometries[CORE.name])
    inputs, _ = DRIVER.encode(network, dataset.test_inputs[: what.images], saturate=True)
    verification = verify(network, inputs, simulator=simulator)
    return {
        "cost": plan.cost,
        "kept": space.kept(densities),
        "densities": plan.densities,
        "costs": {name: cost_share(space, table, densities) for name, table in tables.items()},
        "accuracy": {
            "dense": tuned[0].accuracies["dense"],
            "before": tuned[0].accuracies["pruned"],
            "after": statistics.mean(after),
            "std": statistics.stdev(after) if len(after) > 1 else 0.0,
        },
        "rtl_cycles": float(np.mean(verification.cycles)),
        "mismatches": verification.mismatches,
        "cycle_model_equal": verification.cycle_model_equal,
    }


def compiled(module: nn.Module, dataset: Dataset, geometry: EieGeometry) -> EieNetwork:
    """The network compiled for the array with its default settings."""
    return CORE.compile(module, dataset.train_inputs[:CALIBRATION], EieSettings(geometry=geometry))
