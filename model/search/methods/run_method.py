"""Runs a search method, or a hand-made policy, by its name."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.model.progress import silent
from zeroskip.model.search.evaluation import VALIDATION_SAMPLES, Evaluator
from zeroskip.model.search.methods.amc import AmcResult, amc
from zeroskip.model.search.methods.knapsack import Packed
from zeroskip.model.search.methods.netadapt import NetAdaptResult, netadapt
from zeroskip.model.search.methods.policies import RULES
from zeroskip.model.search.methods.sensitivity import SensitivityScan, scan, solve
from zeroskip.model.search.methods.starts import starts
from zeroskip.model.search.progress import ReportProgress
from zeroskip.model.search.settings import MethodSettings
from zeroskip.model.search.setup import Setup

METHODS = ("sensitivity", "netadapt", "amc")


@dataclass(frozen=True, kw_only=True, eq=False)
class MethodResult:
    """The `densities` found, by the name of the pruning group, and the `details` of the method that found them; None
    for a simple rule. `packed` is the plan of a knapsack, where the method has one. `source` says where the densities
    come from, one of `starts` or of AMC's episodes, where the method chooses among plans."""

    densities: dict[str, float]
    details: SensitivityScan | NetAdaptResult | AmcResult | None = None
    packed: Packed | None = None
    source: str | None = None


def run_method(
    method: str,
    setup: Setup,
    budget: float,
    *,
    settings: MethodSettings,
    evaluator: Evaluator,
    seed: int,
    progress: ReportProgress = silent,
) -> MethodResult:
    """Searches by one of METHODS, or applies one of the simple RULES.

    All measured accuracies go to the evaluator's journal, and their seconds to its clock, if it has one. Raises
    ValueError, with the smallest cost that can be reached, where the budget cannot be met.
    """
    space, table = setup.space, setup.table
    if method in RULES:
        rule, _ = RULES[method]
        return MethodResult(densities=rule(space, table, budget))
    if method == "sensitivity":
        curves = scan(evaluator, progress=progress)
        packed = solve(curves, space, table, budget)
        begun = starts(space, table, budget, packed.densities)
        losses = dict(zip(begun, (loss for _, loss in evaluator.measure(begun.values())), strict=True))
        # Of equal ones the first counts, which is the knapsack's.
        source = min(losses, key=lambda one: losses[one])
        return MethodResult(densities=begun[source], details=curves, packed=packed, source=source)
    if method == "netadapt":
        adapted = netadapt(
            space,
            table,
            budget,
            settings=settings.netadapt,
            samples=setup.train,
            validation=setup.validation.first(VALIDATION_SAMPLES),
            journal=evaluator.journal,
            workers=evaluator.workers,
            seed=seed,
            clock=evaluator.clock,
            progress=progress,
        )
        return MethodResult(densities=adapted.densities, details=adapted)
    result = amc(evaluator, setup.layers, table, budget, settings=settings.amc, seed=seed, progress=progress)
    return MethodResult(densities=result.densities, details=result, source=result.source)
