"""What fine-tuning can be told: when weights go, which, what training lessens meanwhile, and how long it trains."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from zeroskip.model.pruning import criteria, schedules
from zeroskip.model.pruning.criteria import Criterion, Random
from zeroskip.model.pruning.distil import Distil
from zeroskip.model.pruning.regularise import L1, L2, GroupLasso, Growing
from zeroskip.model.pruning.taylor import Taylor
from zeroskip.model.pruning.training import Penalty, TrainingSettings
from zeroskip.model.search.choices import CriterionName, PenaltyName, ScheduleName
from zeroskip.model.search.spaces.space import Densities

TAYLOR_SAMPLES = 2_000
"""Training samples at most by which a Taylor criterion scores."""

GROWING_STEPS = 5
"""Steps after which a growing penalty takes its next size, as in the code of Wang et al. (ICLR 2021)."""

_PENALTIES = {"l1": L1, "l2": L2, "group-lasso": GroupLasso}


@dataclass(frozen=True, kw_only=True)
class Regularisation:
    """A penalty of zeroskip.model.pruning.regularise, by name. `strength` is its factor; that of a growing
    one rises from 0 to `strength` while a stage lasts."""

    name: PenaltyName
    strength: float

    def __post_init__(self) -> None:
        if not 0 < self.strength < math.inf:
            raise ValueError(f"strength must be above 0 and finite, not {self.strength}")

    @property
    def constant(self) -> Penalty | None:
        """What is penalised all the time; None of a growing one."""
        return None if self.name == "growing" else _PENALTIES[self.name](self.strength)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """`train` makes the dense network, where there is such a course; then `rounds` of pruning by the schedule, each
    followed by `training`, and a `final` training.

    Regularisation and distillation, with the dense network as teacher, begin where that is done. `threads` is one of
    the settings because sums that are split among threads round differently.
    """

    training: TrainingSettings
    threads: int
    schedule: ScheduleName = "one-shot"
    rounds: int = 1
    train: TrainingSettings | None = None
    final: TrainingSettings | None = None
    criterion: CriterionName = "l1"
    regularisation: Regularisation | None = None
    distil: Distil | None = None

    def steps(self, final: Densities) -> list[Densities]:
        """The densities of every group after each round."""
        if self.schedule == "one-shot":
            return [final]
        falling = {"iterative": schedules.iterative, "cubic": schedules.cubic}[self.schedule]
        by_group = {name: falling(density, self.rounds) for name, density in final.items()}
        return [{name: by_group[name][index] for name in by_group} for index in range(self.rounds)]

    def scores(self, inputs: Tensor, labels: Tensor, seed: int) -> Criterion:
        """The criterion; `inputs` (n, ...) and `labels` (n,) are training samples."""
        if self.criterion == "taylor":
            return Taylor(inputs=inputs[:TAYLOR_SAMPLES], labels=labels[:TAYLOR_SAMPLES])
        if self.criterion == "random":
            return Random(seed)
        return {"l1": criteria.l1, "l2": criteria.l2}[self.criterion]

    def growing(self, samples: int) -> Growing | None:
        """What penalises weights before they are pruned, where that is asked for."""
        if self.regularisation is None or self.regularisation.name != "growing":
            return None
        sizes = self.training.epochs * math.ceil(samples / self.training.batch_size) / GROWING_STEPS
        strength = self.regularisation.strength
        return Growing(growth=strength / max(1, sizes), every=GROWING_STEPS, ceiling=strength)
