"""The settings of fine-tuning: the schedule, the criterion, the loss, and the training of each round."""

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
"""The largest number of training samples that the Taylor criterion uses."""

GROWING_STEPS = 5
"""Number of steps after which a growing penalty grows, as in the code of Wang et al. (ICLR 2021)."""

_PENALTIES = {"l1": L1, "l2": L2, "group-lasso": GroupLasso}


@dataclass(frozen=True, kw_only=True)
class Regularisation:
    """A penalty of zeroskip.model.pruning.regularise, by name. `strength` is its factor. The factor of the growing
    penalty rises from 0 to `strength` during a training."""

    name: PenaltyName
    strength: float

    def __post_init__(self) -> None:
        if not 0 < self.strength < math.inf:
            raise ValueError(f"strength must be above 0 and finite, not {self.strength}")

    @property
    def constant(self) -> Penalty | None:
        """The penalty that holds in all trainings; None for the growing penalty."""
        return None if self.name == "growing" else _PENALTIES[self.name](self.strength)


@dataclass(frozen=True, kw_only=True)
class PruneAndTrainSettings:
    """First the dense training `train`, if any; then `rounds` of pruning by the schedule, each followed by `training`;
    then the training `final`, if any. With `refit`, pruning at once fits the weights that are left before the training.

    Regularisation and distillation (with the dense network as teacher) start after the dense training. The number of
    `threads` is a setting because it changes how sums are rounded.
    """

    training: TrainingSettings
    threads: int
    schedule: ScheduleName = "one-shot"
    rounds: int = 1
    train: TrainingSettings | None = None
    final: TrainingSettings | None = None
    criterion: CriterionName = "auto"
    refit: bool = True
    regularisation: Regularisation | None = None
    distil: Distil | None = None

    @property
    def at_once(self) -> bool:
        """Whether everything is pruned at once, and before any training."""
        growing = self.regularisation is not None and self.regularisation.name == "growing"
        return self.schedule == "one-shot" and self.train is None and not growing

    def steps(self, final: Densities) -> list[Densities]:
        """The densities of all groups after each round; `final` are those after the last."""
        if self.schedule == "one-shot":
            return [final]
        falling = {"iterative": schedules.iterative, "cubic": schedules.cubic}[self.schedule]
        by_group = {name: falling(density, self.rounds) for name, density in final.items()}
        return [{name: by_group[name][index] for name in by_group} for index in range(self.rounds)]

    def scores(self, inputs: Tensor, labels: Tensor, seed: int) -> Criterion | None:
        """The criterion that ranks weights, None for that of the space. `inputs` (n, ...) and `labels` (n,) are
        training samples."""
        if self.criterion == "auto":
            return None
        if self.criterion == "taylor":
            return Taylor(inputs=inputs[:TAYLOR_SAMPLES], labels=labels[:TAYLOR_SAMPLES])
        if self.criterion == "random":
            return Random(seed)
        return {"l1": criteria.l1, "l2": criteria.l2}[self.criterion]

    def growing(self, samples: int) -> Growing | None:
        """The penalty on the weights that the next round prunes, or None; there are `samples` training samples."""
        if self.regularisation is None or self.regularisation.name != "growing":
            return None
        sizes = self.training.epochs * math.ceil(samples / self.training.batch_size) / GROWING_STEPS
        strength = self.regularisation.strength
        return Growing(growth=strength / max(1, sizes), every=GROWING_STEPS, ceiling=strength)
