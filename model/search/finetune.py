"""Fine-tuning under a plan: pruned in rounds, each trained at a tenth of the learning rate."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from model.data.dataset import Dataset
from model.pruning import schedules
from model.pruning.stages import Progress, Run, configuration
from model.pruning.training import Course, evaluate
from model.search.plan import CHANNELS, WEIGHTS, Plan
from model.search.setup import space_for
from model.search.space import Densities

Schedule = Literal["one-shot", "iterative", "cubic"]


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """`rounds` of pruning by the schedule, each followed by `course`."""

    schedule: Schedule
    rounds: int
    course: Course
    threads: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Finetuned:
    """The network under the plan, without what could be removed; and fractions of the test set: dense, pruned at once,
    and fine-tuned. `kept` is the fraction of all weights that is left."""

    module: nn.Module
    accuracies: dict[str, float]
    kept: float


def finetune(
    module: nn.Module,
    plan: Plan,
    dataset: Dataset,
    *,
    settings: FinetuneSettings,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Finetuned:
    """Prunes a copy of `module` to the plan and trains what is left. With `checkpoint`, a run that was cut short
    continues.

    Raises ValueError where the plan is one for another network, or its pattern cannot be reached in rounds.
    """
    plan.check(module)
    torch.set_num_threads(settings.threads)
    space = space_for(module, plan.granularity, dataset)
    densities = space.densities(plan)
    steps = _densities(plan.granularity, densities, settings)
    inputs, labels = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_labels)
    run = Run(
        labels,
        seed=seed,
        total=len(steps) * settings.course.epochs,
        configuration=configuration(module, dataset, (settings, plan), seed),
        path=checkpoint,
        progress=progress,
    )
    pruned = space.masked(densities)
    tuned = copy.deepcopy(pruned if settings.schedule == "one-shot" else space.module)
    for number, step in enumerate(steps, 1):

        def choose(trained: nn.Module, step: Densities = step) -> dict[str, Tensor]:
            return space.masks(trained, step)

        run.stage(f"round {number} of {len(steps)}", tuned, inputs, settings.course, keep="tuned", choose=choose)
    test = torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels)
    small = space.remove(tuned, densities).eval()
    stages = {"dense": module, "pruned": pruned, "finetuned": small}
    return Finetuned(
        module=small,
        accuracies={name: evaluate(stage, *test) for name, stage in stages.items()},
        kept=space.kept(densities),
    )


def _densities(granularity: str, final: Densities, settings: FinetuneSettings) -> list[Densities]:
    """The densities of every unit after each round."""
    if granularity not in (WEIGHTS, CHANNELS) and settings.schedule != "one-shot":
        raise ValueError(f"schedule must be one-shot for {granularity}, which is reached at once")
    if settings.schedule == "one-shot":
        return [final]
    rounds = {
        "iterative": lambda density: schedules.iterative(density, settings.rounds),
        "cubic": lambda density: schedules.cubic(density, settings.rounds),
    }[settings.schedule]
    by_layer = {name: rounds(density) for name, density in final.items()}
    return [{name: by_layer[name][index] for name in by_layer} for index in range(settings.rounds)]
