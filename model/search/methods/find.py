"""Every way to a plan, by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from zeroskip.model.loading import save_weights
from zeroskip.model.search.evaluation import LOOK, Evaluator
from zeroskip.model.search.methods.amc import AmcSettings, amc
from zeroskip.model.search.methods.netadapt import NetAdaptSettings, netadapt
from zeroskip.model.search.methods.policies import deep, shallow, uniform
from zeroskip.model.search.methods.sensitivity import scan, solve
from zeroskip.model.search.setup import Setup
from zeroskip.model.search.views.number_files import save_csv, save_json
from zeroskip.model.search.views.pictures import of_scan, of_search, save_picture
from zeroskip.model.search.views.progress import Progress, silent

HAND_MADE = {"uniform": uniform, "shallow": shallow, "deep": deep}
METHODS = ("sensitivity", "netadapt", "amc")


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """The settings of each method that has some."""

    amc: AmcSettings = field(default_factory=AmcSettings)
    netadapt: NetAdaptSettings = field(default_factory=NetAdaptSettings)


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """The densities of the units. `save(stem)` writes what tells how they were found, and weights that were trained
    meanwhile, as files `stem`.*, and gives their paths."""

    densities: dict[str, float]
    save: Callable[[Path], list[Path]] = lambda _: []


def find(
    method: str,
    setup: Setup,
    budget: float,
    *,
    settings: SearchSettings,
    evaluator: Evaluator,
    seed: int,
    progress: Progress = silent,
) -> Found:
    """Searches by one of METHODS, or takes one of the HAND_MADE policies. What is measured goes to the evaluator's
    journal. Raises ValueError, with the smallest cost that can be reached, where the budget cannot be met."""
    space, table = setup.space, setup.table
    if method in HAND_MADE:
        return Found(densities=HAND_MADE[method](space, table, budget))
    if method == "sensitivity":
        curves = scan(evaluator, progress=progress)
        points = [(name, *point) for name, curve in curves.curves.items() for point in curve]
        return Found(
            densities=solve(curves, space, table, budget),
            save=lambda stem: [
                save_csv(stem.with_suffix(".curves.csv"), ("unit", "density", "accuracy"), points),
                save_json(stem.with_suffix(".curves.json"), dataclasses.asdict(curves)),
                save_picture(of_scan(curves), stem.with_suffix(".curves.png")),
            ],
        )
    if method == "netadapt":
        adapted = netadapt(
            space,
            table,
            budget,
            settings=settings.netadapt,
            samples=setup.train,
            validation=setup.validation.first(LOOK),
            journal=evaluator.journal,
            workers=evaluator.workers,
            seed=seed,
            progress=progress,
        )
        steps = adapted.steps
        rows = [(at, step.unit, step.density, step.accuracy, step.cost) for at, step in enumerate(steps, 1)]
        return Found(
            densities=adapted.densities,
            save=lambda stem: [
                save_csv(
                    stem.with_suffix(".iterations.csv"), ("iteration", "unit", "density", "accuracy", "cost"), rows
                ),
                save_picture(
                    of_search([step.accuracy for step in steps], [step.cost for step in steps], "iteration"),
                    stem.with_suffix(".iterations.png"),
                ),
                _saved(adapted.module, adapted_weights(stem)),
            ],
        )
    result = amc(evaluator, setup.layers, table, budget, settings=settings.amc, seed=seed, progress=progress)
    history = result.history
    return Found(
        densities=result.densities,
        save=lambda stem: [
            save_csv(
                stem.with_suffix(".episodes.csv"),
                ("episode", "accuracy", "cost", "reward"),
                [(at, one.accuracy, one.cost, one.reward) for at, one in enumerate(history, 1)],
            ),
            save_picture(
                of_search([one.accuracy for one in history], [one.cost for one in history], "episode"),
                stem.with_suffix(".episodes.png"),
            ),
        ],
    )


def adapted_weights(stem: Path) -> Path:
    """Where `save` of NetAdapt's result writes the weights that it ended with."""
    return stem.with_suffix(".adapted.safetensors")


def _saved(module: nn.Module, path: Path) -> Path:
    """Weights from which the long fine-tuning may go on: masked, in the dense network's shape."""
    save_weights(module, path, removed=False)
    return path
