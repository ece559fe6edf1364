"""AMC (He et al., ECCV 2018, arXiv 1802.03494): an agent learns how much of each group of a network stays.

What differs from the paper, with whose own settings the actor ended below the uniform plan on Plain-20:
- Plans are brought to the budget whole (`_Bounds`).
- Random plans are drawn around the uniform one, which is the first of them.
- The actor starts at the mean density of the uniform plan, and the critic learns during the warm-up too.
- It learns faster, and the critic does not look at the next step (`AgentSettings`).
- Exploration begins narrower and narrows more slowly (0.2 and 0.985 for 0.5 and 0.95), as it begins at a good plan.
- After the warm-up every second plan is a neighbour of the best one, with other densities for a few groups. The agent
  learns from these too.
- In the end the best plans are trained for a few batches, and the best after that is taken (`FINALISTS`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.evaluation import Evaluator, key_of
from zeroskip.model.search.layers import Layer
from zeroskip.model.search.methods.ddpg import Agent
from zeroskip.model.search.methods.observation import FEATURES, Observation
from zeroskip.model.search.methods.policies import fitted
from zeroskip.model.search.progress import ReportProgress, SearchProgress, silent
from zeroskip.model.search.settings import AmcSettings
from zeroskip.model.search.spaces.space import Densities, Space, cost_share, require_reachable

NANOSECONDS = 1e9
"""Seconds are rewarded in these: the logarithm of a cost is meant to be one of large numbers, like those of macs."""

LEAST_SIGMA = 1e-3
"""Exploration does not fall below this."""

NEIGHBOURS = 6
STRETCH = 0.3
"""Of the best plan so many groups at most, at once, are given other densities, with this standard deviation."""

FINALISTS = 20
"""Of so many plans one is trained briefly in the end, and the one that does best then is taken. What fine-tuning will
give, the accuracy after a little of it tells better than the one before."""

SPOILED = 0.05
"""Where brief training leaves even the best of them so far below the best before it, it has only done harm, as on
inputs for which its rate is too high, or failed: then the best before it is taken."""

EPISODES_KEPT = 100
"""The replay holds the transitions of so many."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """What a plan achieved: its `accuracy`, its `cost`, a fraction of the dense one, and the `reward` for both."""

    accuracy: float
    cost: float
    reward: float


@dataclass(frozen=True, kw_only=True)
class AmcResult:
    """The `densities` of the groups in the best plan, its `accuracy` as the search measured it, and all episodes."""

    densities: dict[str, float]
    accuracy: float
    history: tuple[Episode, ...]


def amc(
    evaluator: Evaluator,
    layers: Sequence[Layer],
    table: CostTable,
    budget: float,
    *,
    settings: AmcSettings,
    seed: int,
    progress: ReportProgress = silent,
) -> AmcResult:
    """Searches for the plan within `budget` of the dense cost that keeps the most accuracy, after brief training.

    `layers` are the network's. The same seed gives the same plan, however many workers measure; a search that was cut
    short is run again with its journal. Raises ValueError, with the smallest cost that can be reached, where the budget
    cannot be met.
    """
    require_reachable(evaluator.space, table, budget, evaluator.space.least())
    history: list[Episode] = []
    limits = dict.fromkeys(evaluator.space.least(), 1.0)
    accuracy = 0.0
    done = 0

    def tell(trying: str, accuracy: float, best: float, cost: float) -> None:
        nonlocal done
        done += 1
        total = settings.episodes + settings.episodes // FINALISTS
        progress(SearchProgress(done=done, total=total, trying=trying, accuracy=accuracy, best=best, cost=cost))

    for stage in range(settings.stages):
        bounds = _Bounds(
            space=evaluator.space,
            table=table,
            budget=budget ** ((stage + 1) / settings.stages),
            limits=limits,
            fill=settings.reward == "error",
        )
        search = _Search(evaluator, layers, bounds, settings, seed + stage)
        # Earlier stages share what does not divide.
        until = settings.episodes * (stage + 1) // settings.stages
        for episode in search.run(until - len(history)):
            history.append(episode)
            _, best = search.best
            tell(f"episode {len(history)}", episode.accuracy, best.accuracy, best.cost)
        limits, accuracy = search.final(tell)
    return AmcResult(densities=limits, accuracy=accuracy, history=tuple(history))


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    """What plans must keep to: `budget` of the dense cost, and no group above its `limits`.

    The paper bounds one action after the other, as if all later groups were to be pruned as far as can be: the first
    groups of a random plan leave nothing to the last, and such plans are worth nothing to learn from. Here a plan is
    proposed whole. All its densities are then raised to one power: the one that uses the budget up where accuracy
    alone is rewarded, as more is never worse; where cost is rewarded too it is at least 1, so that plans may stay
    below. No density passes 1 and their order remains (multiplied instead, they left the actor at the uniform plan).
    What coarse steps leave of the budget then goes to the groups with the finest. As the cost table is monotone, the
    budget holds exactly.
    """

    space: Space
    table: CostTable
    budget: float
    limits: Densities
    fill: bool

    def apply(self, proposed: NDArray[np.float64]) -> dict[str, float]:
        """The plan nearest to what was proposed, a density for each group."""
        names = [group.name for group in self.space.groups]

        def wanted(share: float) -> dict[str, float]:
            power = 1 / max(share, 1e-9) - self.fill
            return dict(zip(names, (proposed**power).tolist(), strict=True))

        plan = fitted(self.space, self.table, self.budget, wanted, self.limits)
        if self.fill:
            for group in sorted(self.space.groups, key=lambda group: -group.total):
                plan[group.name] = group.largest(functools.partial(self._fits, plan, group.name)) or plan[group.name]
        return plan

    def _fits(self, plan: Densities, name: str, density: float) -> bool:
        """Whether the plan keeps to the bounds with another density for a group."""
        return (
            density <= self.limits[name] and cost_share(self.space, self.table, {**plan, name: density}) <= self.budget
        )


class _Search:
    """One agent, from its first random plan to its last."""

    def __init__(
        self, evaluator: Evaluator, layers: Sequence[Layer], bounds: _Bounds, settings: AmcSettings, seed: int
    ) -> None:
        self.evaluator, self.bounds, self.settings = evaluator, bounds, settings
        self.space, self.table = bounds.space, bounds.table
        self.observation = Observation(self.space, layers, self.table)
        names = [group.name for group in self.space.groups]
        self.uniform = fitted(
            self.space, self.table, bounds.budget, lambda share: dict.fromkeys(names, share), bounds.limits
        )
        self.even = np.array(list(self.uniform.values()))
        self.tried: list[tuple[dict[str, float], Episode]] = []
        self.agent = Agent(
            FEATURES,
            capacity=EPISODES_KEPT * len(self.space.groups),
            settings=settings.agent,
            seed=seed,
            start=float(np.clip(self.even.mean(), 0.05, 0.95)),
        )

    def run(self, episodes: int) -> Iterator[Episode]:
        """So many episodes, and what each achieved."""
        warm_up = max(1, self.settings.warm_up * episodes // self.settings.episodes)
        plans = [self.uniform, *(self.bounds.apply(self._random()) for _ in range(warm_up - 1))]
        # None of these depends on another: workers can share them.
        for densities, accuracy in zip(plans, self.evaluator.accuracies(plans), strict=True):
            yield self._learn(densities, accuracy, actor=False)
        settings = self.settings
        for number in range(episodes - warm_up):
            sigma = max(settings.sigma * settings.decay ** (number * settings.stages), LEAST_SIGMA)
            densities = self.bounds.apply(self._neighbour() if number % 2 else self._propose(sigma))
            yield self._learn(densities, self.evaluator.accuracy(densities), actor=True)

    def final(self, tell: Callable[[str, float, float, float], None]) -> tuple[dict[str, float], float]:
        """Of the best plans the one that is best after brief training (but see SPOILED), and its accuracy before."""
        plans = {key_of(densities): (densities, episode) for densities, episode in self.tried}
        count = max(1, len(self.tried) // FINALISTS)
        finalists = sorted(plans.values(), key=lambda one: -one[1].reward)[:count]
        if len(finalists) == 1:
            return finalists[0][0], finalists[0][1].accuracy
        trained: list[float] = []
        best = 0
        for accuracy in self.evaluator.accuracies((densities for densities, _ in finalists), trained=True):
            trained.append(accuracy)
            # The first of equals is the one that the search liked best.
            best = max(range(len(trained)), key=lambda at: self._reward(trained[at], finalists[at][1].cost))
            trying = f"finalist {len(trained)} of {len(finalists)}, trained briefly"
            tell(trying, accuracy, trained[best], finalists[best][1].cost)
        if max(trained) < max(episode.accuracy for _, episode in finalists) - SPOILED:
            best = 0
        densities, episode = finalists[best]
        return densities, episode.accuracy

    @property
    def best(self) -> tuple[dict[str, float], Episode]:
        """The plan of the highest reward so far, and its episode."""
        return max(self.tried, key=lambda one: one[1].reward)

    def _random(self) -> NDArray[np.float64]:
        """A random part of the way from the uniform plan to a random one.

        Where there are many groups, plans that are random throughout are all equally bad.
        """
        random = self.agent.random
        part = random.uniform()
        return self.even + part * (random.uniform(size=len(self.even)) - self.even)

    def _neighbour(self) -> NDArray[np.float64]:
        """The best plan, with other densities for a few groups."""
        best, _ = self.best
        groups = [group.name for group in self.space.groups]
        count = int(self.agent.random.integers(1, min(NEIGHBOURS, len(groups)) + 1))
        chosen = {groups[at] for at in self.agent.random.choice(len(groups), count, replace=False)}
        return np.array([self.agent.explore(best[name], STRETCH) if name in chosen else best[name] for name in groups])

    def _propose(self, sigma: float) -> NDArray[np.float64]:
        """The actor's densities with noise, group by group, each knowing those before."""
        proposed: dict[str, float] = {}
        for t, group in enumerate(self.space.groups):
            proposed[group.name] = self.agent.explore(self.agent.act(self.observation.of(t, proposed)), sigma)
        return np.array(list(proposed.values()))

    def _learn(self, densities: dict[str, float], accuracy: float, *, actor: bool) -> Episode:
        """Stores the episode, as the plan was and not as it was proposed, and learns once for each group.

        In the warm-up only the critic does: an actor that followed its first guesses would soon say only 0 or 1.
        """
        cost = cost_share(self.space, self.table, densities)
        reward = self._reward(accuracy, cost)
        actions = torch.tensor([densities[group.name] for group in self.space.groups])
        self.agent.replay.add(self.observation.all(densities), actions, reward)
        for _ in self.space.groups:
            self.agent.learn(actor=actor)
        episode = Episode(accuracy=accuracy, cost=cost, reward=reward)
        self.tried.append((densities, episode))
        return episode

    def _reward(self, accuracy: float, cost: float) -> float:
        """Of a plan that costs a fraction of the dense network."""
        if self.settings.reward == "error":
            return accuracy - 1
        whole = cost * self.table.dense * (NANOSECONDS if self.table.cost == "latency" else 1)
        return (accuracy - 1) * math.log1p(whole)
