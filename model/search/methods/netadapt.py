"""NetAdapt (Yang et al., ECCV 2018, arXiv 1804.03230): step by step, whatever hurts least after a little training."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from zeroskip.model.pruning.criteria import l2
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.training import evaluate
from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.methods.short_training import train_for_batches
from zeroskip.model.search.progress import ReportProgress, SearchProgress, silent
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.spaces.space import Densities, PruningGroup, Space, cost_share, require_reachable
from zeroskip.model.search.storage.journal import Journal
from zeroskip.model.search.workers import spread

ITERATIONS = 30
"""In how many steps the budget is reached where nothing else is said; the paper's searches take 20 to 28."""


@dataclass(frozen=True, kw_only=True)
class NetAdaptSettings:
    """How far each step goes, and how its proposals are tried (sections 3.2 and 3.3).

    The first step takes `step` of the dense cost, each that follows `decay` of the one before; where `step` is None it
    is such that ITERATIONS steps reach the budget. A proposal is trained for `iterations` of `batch_size` samples at
    `learning_rate`. `pick` is "accuracy", the paper's rule, or "ratio", that of the authors' code: least accuracy lost
    for the cost that is saved.
    """

    step: float | None = None
    decay: float = 0.96
    pick: Literal["accuracy", "ratio"] = "ratio"
    iterations: int = 10
    learning_rate: float = 0.01
    batch_size: int = 128

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step <= 1:
            raise ValueError(f"step must be above 0 and at most 1, a fraction of the dense cost, not {self.step}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, not {self.decay}")
        if self.pick not in ("accuracy", "ratio"):
            raise ValueError(f"pick must be 'accuracy' or 'ratio', not {self.pick!r}")
        if self.iterations < 0:
            raise ValueError(f"iterations must be at least 0, not {self.iterations}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0 and finite, not {self.learning_rate}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")

    def first_step(self, budget: float) -> float:
        """The fraction of the dense cost that the first step takes. Raises ValueError where all steps together would
        never reach the budget."""
        whole = 1 - budget
        if self.step is None:
            shares = ITERATIONS if self.decay == 1 else (1 - self.decay**ITERATIONS) / (1 - self.decay)
            return whole / shares
        least = whole * (1 - self.decay)
        if self.step <= least:
            raise ValueError(
                f"step must be above {least:.4f}, as steps that shrink by {self.decay} would never reach the budget "
                f"{budget}, not {self.step}"
            )
        return self.step


@dataclass(frozen=True, kw_only=True)
class Step:
    """What an iteration chose: a group and its new density; the network's accuracy and fraction of the dense cost."""

    group: str
    density: float
    accuracy: float
    cost: float


@dataclass(frozen=True, kw_only=True, eq=False)
class NetAdaptResult:
    """The densities found, the `steps` to them, and the network as they left it, masked and in its dense shape."""

    densities: dict[str, float]
    steps: tuple[Step, ...]
    module: nn.Module


@dataclass(frozen=True, kw_only=True, eq=False)
class _Proposal:
    """A group brought to a density that meets the step's target, from the network that the step before chose."""

    iteration: int
    group: str
    densities: dict[str, float]
    state: dict[str, Tensor]

    @property
    def key(self) -> str:
        return json.dumps([self.iteration, self.group, sorted(self.densities.items())])


@dataclass(frozen=True, eq=False)
class _Try:
    """Prunes by L2 norm, trains a little, and measures; gives the accuracy and the state that the network came to."""

    space: Space
    samples: Samples
    validation: Samples
    settings: NetAdaptSettings
    seed: int

    def __call__(self, proposal: _Proposal) -> tuple[float, dict[str, Tensor]]:
        network = copy.deepcopy(self.space.module)
        network.load_state_dict(proposal.state)
        network = self.space.pruned(network, proposal.densities, l2)
        with Masks(network, self.space.masks(network, proposal.densities, l2)):
            # All proposals of an iteration meet the same samples.
            train_for_batches(
                network,
                self.samples,
                iterations=self.settings.iterations,
                learning_rate=self.settings.learning_rate,
                batch_size=self.settings.batch_size,
                constant=True,
                seed=self.seed,
                number=proposal.iteration,
            )
        small = self.space.remove(network, proposal.densities)
        return evaluate(small, self.validation.inputs, self.validation.labels), network.state_dict()


def netadapt(
    space: Space,
    table: CostTable,
    budget: float,
    *,
    settings: NetAdaptSettings,
    samples: Samples,
    validation: Samples,
    journal: Journal,
    workers: int | str = 1,
    seed: int,
    progress: ReportProgress = silent,
) -> NetAdaptResult:
    """Prunes the space's network until it costs `budget` of what it did (algorithm 1), without the long fine-tuning.

    Proposals are trained on `samples` and measured on `validation`. Each goes to the journal; with
    one that has them, only those chosen are trained again. Raises ValueError, with the smallest cost that can be
    reached, where the budget cannot be met.
    """
    require_reachable(space, table, budget, space.least())
    attempt = _Try(space, samples, validation, settings, seed)
    densities: dict[str, float] = {group.name: 1.0 for group in space.groups}
    state = space.module.state_dict()
    cost, accuracy = 1.0, evaluate(space.module, validation.inputs, validation.labels)
    reduction = settings.first_step(budget)
    steps: list[Step] = []
    with spread(attempt, workers) as do:
        while cost > budget:
            target = max(budget, cost - reduction)
            proposals = [
                _Proposal(iteration=len(steps), group=name, densities={**densities, name: density}, state=state)
                for name, density in _densities(space, table, densities, target)
            ]
            states: dict[str, dict[str, Tensor]] = {}
            new = [proposal for proposal in proposals if proposal.key not in journal.known]
            measured: Iterator[Any] = do(new)
            for proposal in proposals:
                if proposal.key not in journal.known:
                    value, states[proposal.key] = next(measured)
                    journal.add(proposal.key, value)
                shown = f"{proposal.group} at {proposal.densities[proposal.group]:.1%}"
                share = (1 - cost) / (1 - budget)
                progress(
                    SearchProgress(
                        done=round(1000 * share),
                        total=1000,
                        trying=f"iteration {len(steps) + 1}: {shown}",
                        accuracy=journal.known[proposal.key],
                        best=accuracy,
                        cost=cost,
                    )
                )
            costs = {proposal.key: cost_share(space, table, proposal.densities) for proposal in proposals}
            chosen = max(
                proposals, key=lambda one: _merit(settings, journal.known[one.key], accuracy, cost - costs[one.key])
            )
            state = states[chosen.key] if chosen.key in states else attempt(chosen)[1]
            densities, cost, accuracy = chosen.densities, costs[chosen.key], journal.known[chosen.key]
            steps.append(Step(group=chosen.group, density=densities[chosen.group], accuracy=accuracy, cost=cost))
            reduction *= settings.decay
    module = copy.deepcopy(space.module)
    module.load_state_dict(state)
    return NetAdaptResult(densities=densities, steps=tuple(steps), module=module)


def _densities(space: Space, table: CostTable, densities: Densities, target: float) -> list[tuple[str, float]]:
    """For each group the largest density that alone brings the cost down to the target. Where there is none for any,
    as the steps of all are too small, each that can goes as far as it may."""
    meeting, falling = [], []
    for group in space.groups:
        density = _largest(space, table, densities, group, target)
        if density is not None:
            meeting.append((group.name, density))
        elif group.least < densities[group.name]:
            falling.append((group.name, group.least))
    return meeting or falling


def _largest(space: Space, table: CostTable, densities: Densities, group: PruningGroup, target: float) -> float | None:
    def fits(density: float) -> bool:
        return (
            density < densities[group.name] and cost_share(space, table, {**densities, group.name: density}) <= target
        )

    return group.largest(fits)


def _merit(settings: NetAdaptSettings, accuracy: float, before: float, saved: float) -> float:
    """What the best proposal has most of."""
    if settings.pick == "accuracy":
        return accuracy
    # The small numbers are those of the authors' code; they rank proposals that lose or save nothing.
    return -(before - accuracy + 1e-6) / (saved + 1e-5)
