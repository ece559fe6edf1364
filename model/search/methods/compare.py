"""Compares searches, simple rules and other libraries' pruners: the same exact cost, the same fine-tuning, several
seeds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.device import CPU, moved
from zeroskip.model.progress import silent
from zeroskip.model.pruning.training import TrainingSettings, evaluate
from zeroskip.model.search.clock import Clock
from zeroskip.model.search.finetune import finetune
from zeroskip.model.search.finetune_settings import PruneAndTrainSettings
from zeroskip.model.search.methods.exact_budget import ExactBudget, Sized
from zeroskip.model.search.methods.netadapt import NetAdaptResult
from zeroskip.model.search.methods.policies import RULES, rules_for
from zeroskip.model.search.methods.run_method import METHODS, run_method
from zeroskip.model.search.methods.sensitivity import scan, solve
from zeroskip.model.search.methods.torch_pruning import PRUNERS, prune_by
from zeroskip.model.search.plan import CHANNELS, LayerPlan, Plan, save_plan, weight_shapes
from zeroskip.model.search.progress import ReportProgress, SearchProgress
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.settings import MethodSettings
from zeroskip.model.search.setup import Setup
from zeroskip.model.search.spaces.space import cost_share
from zeroskip.model.search.storage.journal import Journal
from zeroskip.model.search.workers import worker_map

FITTED = "+fit"
"""A rule or a pruner whose name ends in this gets the fit of the weights, which belongs to our searches."""

Result = dict[str, Any]
Trial = tuple[str, int, float]
"""A policy, a seed of the search, and a budget."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The network, its data, the settings of the searches and of the fine-tuning, of which each plan gets `tunings`.

    `prepare` makes the Setup for a seed. The seed decides which training samples are for validation; the test split is
    the same for all. `raw` makes that in which pruned weights are not fitted; it is None where those of `prepare` are
    not either. `exact_dense` is the exact cost of the dense network (`Setup.exact_cost`), or None. With `peers`, the
    pruners of Torch-Pruning are compared too. `folder` gets a journal for each trial, and the plans. Networks run on
    the `device` (zeroskip.model.device), that of the Setups.
    """

    prepare: Callable[[int], Setup]
    raw: Callable[[int], Setup] | None
    exact_dense: float | None
    module: nn.Module
    dataset: Dataset
    settings: MethodSettings
    training: TrainingSettings
    tunings: int
    peers: bool
    folder: Path
    configuration: str
    resume: bool
    device: str = CPU


@dataclass(frozen=True, eq=False)
class _Run:
    """Finds the plan of a policy by a seed at a budget, fine-tunes it several times, and returns the results by the
    name of what is compared: a rule's plan is, without and with the fit. Each trial has a journal, by which an
    interrupted trial continues."""

    what: Comparison

    def __call__(self, trial: Trial) -> dict[str, Result]:
        policy, seed, budget = trial
        what = self.what
        stem = what.folder / f"{policy}-{budget:g}-{seed}"
        journal = Journal(Path(f"{stem}.journal"), f"{what.configuration} {what.training} {trial}", resume=what.resume)
        names = names_of(policy, fitted=what.raw is not None)
        if any(_after(name, what.tunings - 1) not in journal.known for name in names):
            exact = ExactBudget(setup=what.prepare(seed), dense=what.exact_dense, budget=budget)
            one = _Tuning(what, exact, journal, stem)
            if policy in METHODS:
                self._search(one, policy, seed)
            elif policy in RULES:
                self._rule(one, policy, seed)
            else:
                self._peer(one, policy, seed)
        return {name: _result(name, seed, journal.known, what.tunings) for name in names}

    def _search(self, one: _Tuning, method: str, seed: int) -> None:
        exact, journal = one.exact, one.journal
        setup, limit = exact.setup, exact.budget
        if exact.dense is not None:
            # By the knapsack, which is quick, see which limit of the table meets the exact budget.
            curves = scan(setup.evaluator(journal, kept=setup.accuracies, clock=Clock()))
            _, limit = exact.nearest(lambda limit: solve(curves, setup.space, setup.table, limit).densities)
        clock = Clock()
        evaluator = setup.evaluator(journal, kept=setup.accuracies, clock=clock)
        start = time.process_time()
        found = run_method(method, setup, limit, settings=self.what.settings, evaluator=evaluator, seed=seed)
        rest = time.process_time() - start - clock.now
        adapted = found.details.module if isinstance(found.details, NetAdaptResult) else None
        plan = exact.adjusted(found.densities, adapted)
        one.note(method, seconds=rest + clock.evaluating, overhead=rest / (rest + clock.evaluating))
        one.plan(method, plan, refit=self.what.raw is not None, adapted=adapted and plan.network)

    def _rule(self, one: _Tuning, name: str, seed: int) -> None:
        rule, _ = RULES[name]
        space, table = one.exact.setup.space, one.exact.setup.table
        start = time.process_time()
        rule(space, table, one.exact.budget)
        seconds = time.process_time() - start
        ways = {name: one.exact}
        if self.what.raw is not None:
            ways = {name: replace(one.exact, setup=self.what.raw(seed)), name + FITTED: one.exact}
        for way, exact in ways.items():
            # The fit changes activations, and so the exact cost.
            plan, _ = exact.nearest(lambda limit: rule(space, table, limit))
            one.note(way, seconds=seconds)
            one.plan(way, plan, refit=way != name)

    def _peer(self, one: _Tuning, name: str, seed: int) -> None:
        exact = one.exact
        start = time.process_time()
        plan = prune_by(name, exact.setup.space, exact.setup.train, exact.of, exact.budget)
        seconds = time.process_time() - start
        one.note(name, seconds=seconds)
        one.network(name, plan)
        if self.what.raw is not None:
            one.note(name + FITTED, seconds=seconds)
            one.plan(name + FITTED, exact.adjusted(plan.densities), refit=True)


@dataclass(frozen=True, eq=False)
class _Tuning:
    """The fine-tunings of the plans of a trial, whose numbers go to its journal; `stem` begins the names of its
    files."""

    what: Comparison
    exact: ExactBudget
    journal: Journal
    stem: Path

    def plan(self, name: str, plan: Sized, *, refit: bool, adapted: nn.Module | None = None) -> None:
        """Fine-tunes a plan from the dense weights, or from an `adapted` network."""
        setup, budget = self.exact.setup, self.exact.budget
        share = cost_share(setup.space, setup.table, plan.densities)
        saved = setup.space.plan(plan.densities, method=name, cost=setup.table.cost, budget=budget, reached=share)
        save_plan(saved, Path(f"{self.stem}{FITTED if name.endswith(FITTED) else ''}.json"))
        self._tune(name, plan, share, self.what.module, saved, refit=refit, adapted=adapted)

    def network(self, name: str, plan: Sized) -> None:
        """Fine-tunes a network whose channels are removed already."""
        setup = self.exact.setup
        share = cost_share(setup.space, setup.table, plan.densities)
        layers = [LayerPlan(name=layer, shape=shape, density=1) for layer, shape in weight_shapes(plan.network).items()]
        whole = Plan(
            granularity=CHANNELS,
            layers=tuple(layers),
            method=name,
            cost=setup.table.cost,
            budget=self.exact.budget,
            reached=1,
        )
        self._tune(name, plan, share, plan.network, whole, refit=False, adapted=None)

    def note(self, name: str, **numbers: float) -> None:
        """Keeps numbers, unless the interrupted trial has them."""
        for what, number in numbers.items():
            if f"{name} {what}" not in self.journal.known:
                self.journal.add(f"{name} {what}", number)

    def _tune(
        self, name: str, found: Sized, share: float, module: nn.Module, plan: Plan, *, refit: bool, adapted: Any
    ) -> None:
        self.note(name, cost=share)
        if self.exact.dense is not None:
            self.note(name, exact=found.cost)
        settings = PruneAndTrainSettings(training=self.what.training, threads=1, refit=refit)
        for number in range(self.what.tunings):
            if _after(name, number) not in self.journal.known:
                tuned = finetune(
                    module,
                    plan,
                    self.what.dataset,
                    settings=settings,
                    # The same order of the samples for all.
                    seed=number,
                    adapted=adapted,
                    checkpoint=Path(f"{self.stem}.ckpt"),
                    device=self.what.device,
                )
                self.note(name, before=tuned.accuracies["pruned"])
                self.journal.add(_after(name, number), tuned.accuracies["finetuned"])


def policies_for(granularity: str, *, peers: bool) -> tuple[str, ...]:
    """What is compared at a granularity: simple rules, the pruners of Torch-Pruning if wanted, and the searches."""
    return (*rules_for(granularity), *(PRUNERS if peers else ()), *METHODS)


def names_of(policy: str, *, fitted: bool) -> tuple[str, ...]:
    """The names under which a policy is compared; `fitted` says whether searches fit the weights that are left."""
    return (policy, policy + FITTED) if fitted and policy not in METHODS else (policy,)


def _after(name: str, number: int) -> str:
    return f"{name} after {number}"


def _result(name: str, seed: int, known: dict[str, float], tunings: int) -> Result:
    numbers = ("cost", "exact", "before", "seconds", "overhead")
    found: Result = {what: known[f"{name} {what}"] for what in numbers if f"{name} {what}" in known}
    return {"seed": seed, **found, "after": [known[_after(name, number)] for number in range(tunings)]}


def compare(
    what: Comparison,
    granularity: str,
    budgets: Sequence[float],
    seeds: Sequence[int],
    *,
    workers: int | str = 1,
    progress: ReportProgress = silent,
) -> dict[float, dict[str, dict[str, Any]]]:
    """Runs every policy at every budget, searches with every seed: the others give the same plan with each.

    Returns for every budget, for every name: `cost`, the largest by the table, as a fraction of the dense cost;
    `exact`, the largest exact one, or None; `before` and `after`, the mean accuracies before and after fine-tuning on
    the test split, with the standard deviations `std_before` and `std`; the mean CPU `seconds` of a search, and the
    share of them that is not evaluation, `overhead`, or None for what is no search; and the `trials`.
    """
    policies = policies_for(granularity, peers=what.peers)
    trials: list[Trial] = [
        (policy, seed, budget)
        for budget in budgets
        for seed in seeds
        for policy in policies
        if policy in METHODS or seed == seeds[0]
    ]
    results: dict[float, dict[str, list[Result]]] = {
        budget: {name: [] for policy in policies for name in names_of(policy, fitted=what.raw is not None)}
        for budget in budgets
    }
    with worker_map(_Run(what), workers) as do:
        for number, ((policy, seed, budget), found) in enumerate(zip(trials, do(trials), strict=True), 1):
            for name, result in found.items():
                results[budget][name].append(result)
            progress(
                SearchProgress(
                    done=number,
                    total=len(trials),
                    trying=f"{policy} at {budget:g}, seed {seed}",
                    accuracy=statistics.mean(result["after"][-1] for result in found.values()),
                )
            )
    return {budget: {name: _summary(many) for name, many in by_name.items()} for budget, by_name in results.items()}


def dense_accuracy(module: nn.Module, dataset: Dataset, device: str = CPU) -> float:
    """The dense network's accuracy on the test split."""
    test = Samples(inputs=torch.from_numpy(dataset.test_inputs), labels=torch.from_numpy(dataset.test_labels)).to(
        device
    )
    return evaluate(moved(module, device), test.inputs, test.labels)


def _summary(trials: list[Result]) -> dict[str, Any]:
    def of(name: str) -> list[float]:
        return [trial[name] for trial in trials]

    before, after = of("before"), [accuracy for trial in trials for accuracy in trial["after"]]
    return {
        "cost": max(of("cost")),
        "exact": max(of("exact")) if all("exact" in trial for trial in trials) else None,
        "before": statistics.mean(before),
        "after": statistics.mean(after),
        "std": _deviation(after),
        "std_before": _deviation(before),
        "seconds": statistics.mean(of("seconds")),
        "overhead": statistics.mean(of("overhead")) if all("overhead" in trial for trial in trials) else None,
        "trials": trials,
    }


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
