"""The settings of the search methods. Imports nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from zeroskip.model.field_types import require_types

REWARDS = ("loss", "error", "cost")
"""The rewards of AMC: -loss, the mean cross-entropy, since the accuracy on a thousand samples changes by chance from
plan to plan; and those of the paper: R_err = -error, and -error * log(cost), which is R_FLOPs for the cost macs,
R_Param for params, and the analogous reward of latency for cycles and seconds."""

ITERATIONS = 30
"""The default number of NetAdapt's steps to the budget; the paper's searches take 20 to 28."""


def require_budget(budget: float) -> None:
    """Raises ValueError unless the budget is a fraction of the dense cost."""
    if not 0 < budget <= 1:
        raise ValueError(f"budget must be above 0 and at most 1, a fraction of the dense cost, not {budget}")


@dataclass(frozen=True, kw_only=True)
class AgentSettings:
    """The hyperparameters of AMC's DDPG agent.

    Actor and critic have two hidden layers of `hidden` units and are trained by Adam. Each update moves their target
    networks by the fraction `follow` towards them. `discount` weights the value of the next step. A moving average is
    subtracted from the rewards; each batch renews the fraction `baseline` of it. The actor is held to the actions of
    the best episodes, about the fraction `best` of them, with the strength `imitation`, which the paper has not.

    Two values differ from the AMC paper. Its discount is 1; here it is 0, because all steps of an episode have the
    reward of the whole episode and the next step tells the critic nothing new. Its actor learns at 1e-4; here it learns
    faster, because there is one update for each pruning group, which is few for a network of few groups.
    """

    hidden: int = 300
    actor_rate: float = 1e-3
    critic_rate: float = 1e-3
    follow: float = 0.01
    discount: float = 0.0
    batch: int = 64
    baseline: float = 0.5
    imitation: float = 1.0
    best: float = 0.05

    def __post_init__(self) -> None:
        require_types(self)
        for name in ("hidden", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("actor_rate", "critic_rate", "best"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, not {getattr(self, name)}")
        if not 0 <= self.imitation < math.inf:
            raise ValueError(f"imitation must be at least 0 and finite, not {self.imitation}")
        for name in ("follow", "discount", "baseline"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class AmcSettings:
    """AMC tries `episodes` plans. The first `warm_up` are simple rules' plans, random ones, and neighbours of the best.

    After these, every second plan is the actor's, with noise. The standard deviation of the noise starts at `sigma` and
    is multiplied by `decay` after each episode. `reward` is one of REWARDS.

    With `stages` above 1, for very small budgets, the budget falls geometrically over that many searches. They share
    the episodes, the noise falls faster, and no search keeps more of a group than the best plan of the search before.
    """

    episodes: int = 400
    warm_up: int = 100
    reward: str = "loss"
    stages: int = 1
    sigma: float = 0.2
    decay: float = 0.985
    agent: AgentSettings = field(default_factory=AgentSettings)

    def __post_init__(self) -> None:
        require_types(self)
        if self.stages < 1:
            raise ValueError(f"stages must be at least 1, not {self.stages}")
        if self.episodes < self.stages:
            raise ValueError(f"episodes must be at least one a stage, {self.stages}, not {self.episodes}")
        if not 1 <= self.warm_up <= self.episodes:
            raise ValueError(f"warm_up must be from 1 to the {self.episodes} episodes, not {self.warm_up}")
        if self.reward not in REWARDS:
            raise ValueError(f"reward must be one of {', '.join(REWARDS)}, not {self.reward!r}")
        if not 0 < self.sigma <= 1:
            raise ValueError(f"sigma must be above 0 and at most 1, not {self.sigma}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, not {self.decay}")


@dataclass(frozen=True, kw_only=True)
class NetAdaptSettings:
    """The size of NetAdapt's steps, and how its proposals are tried (NetAdapt paper, sections 3.2 and 3.3).

    The first step saves the fraction `step` of the dense cost, and each further step `decay` times the step before; if
    `step` is None, ITERATIONS steps reach the budget. The search makes steps smaller that are too large for the network
    (zeroskip.model.search.methods.netadapt). Each proposal is trained for `iterations` batches of `batch_size`
    samples at `learning_rate`. `pick` chooses among the proposals: "accuracy" takes the most accurate one, as in the
    paper, "ratio" the one that loses the least accuracy per saved cost, as in the authors' code, and "loss" the one
    whose cross-entropy rises the least per saved cost.
    """

    step: float | None = None
    decay: float = 0.96
    pick: Literal["loss", "ratio", "accuracy"] = "loss"
    iterations: int = 10
    learning_rate: float = 0.003
    batch_size: int = 128

    def __post_init__(self) -> None:
        require_types(self)
        if self.step is not None and not 0 < self.step <= 1:
            raise ValueError(f"step must be above 0 and at most 1, a fraction of the dense cost, not {self.step}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, not {self.decay}")
        if self.pick not in ("loss", "ratio", "accuracy"):
            raise ValueError(f"pick must be one of loss, ratio, accuracy, not {self.pick!r}")
        if self.iterations < 0:
            raise ValueError(f"iterations must be at least 0, not {self.iterations}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0 and finite, not {self.learning_rate}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")

    def first_step(self, budget: float) -> float:
        """The fraction of the dense cost that the first step takes. Raises ValueError if all steps together would
        never reach the budget."""
        if self.step is None:
            return self._default(budget)
        least = (1 - budget) * (1 - self.decay)
        if self.step <= least:
            raise ValueError(
                f"step must be above {least:.4f}, as steps that shrink by {self.decay} would never reach the budget "
                f"{budget}, not {self.step}"
            )
        return self.step

    def cut(self, step: float, budget: float) -> tuple[float, float]:
        """The first step, if it is made smaller than `first_step`, and the factor from each step to the next: 1 where
        more than ITERATIONS steps would be needed otherwise, or would never reach the budget."""
        return step, self.decay if step >= self._default(budget) else 1.0

    def _default(self, budget: float) -> float:
        shares = ITERATIONS if self.decay == 1 else (1 - self.decay**ITERATIONS) / (1 - self.decay)
        return (1 - budget) / shares


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """The settings of the search methods that have any."""

    amc: AmcSettings = field(default_factory=AmcSettings)
    netadapt: NetAdaptSettings = field(default_factory=NetAdaptSettings)
