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
from model.pruning.masks import Masks
from model.pruning.stages import Progress, Run, configuration
from model.pruning.training import Course, evaluate
from model.search.plan import WEIGHTS, Plan, masks_of

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
    """The network under the plan, and fractions of the test set: dense, pruned at once, and fine-tuned."""

    module: nn.Module
    accuracies: dict[str, float]


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
    steps = _densities(plan, settings)
    inputs, labels = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_labels)
    torch.set_num_threads(settings.threads)
    run = Run(
        labels,
        seed=seed,
        total=len(steps) * settings.course.epochs,
        configuration=configuration(module, dataset, (settings, plan), seed),
        path=checkpoint,
        progress=progress,
    )
    tuned = copy.deepcopy(module)
    for number, densities in enumerate(steps, 1):

        def choose(trained: nn.Module, densities: dict[str, float] = densities) -> dict[str, Tensor]:
            return masks_of(trained, densities, plan.granularity)

        run.stage(f"round {number} of {len(steps)}", tuned, inputs, settings.course, keep="tuned", choose=choose)
    pruned = copy.deepcopy(module)
    Masks(pruned, plan.masks(module)).apply()
    test = torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels)
    stages = {"dense": module, "pruned": pruned, "finetuned": tuned.eval()}
    return Finetuned(module=tuned, accuracies={name: evaluate(stage, *test) for name, stage in stages.items()})


def _densities(plan: Plan, settings: FinetuneSettings) -> list[dict[str, float]]:
    """The densities of every layer after each round."""
    if plan.granularity != WEIGHTS and settings.schedule != "one-shot":
        raise ValueError(f"schedule must be one-shot for {plan.granularity}, which is reached at once")
    if settings.schedule == "one-shot":
        return [plan.densities]
    rounds = {
        "iterative": lambda density: schedules.iterative(density, settings.rounds),
        "cubic": lambda density: schedules.cubic(density, settings.rounds),
    }[settings.schedule]
    by_layer = {name: rounds(density) for name, density in plan.densities.items()}
    return [{name: by_layer[name][index] for name in by_layer} for index in range(settings.rounds)]
