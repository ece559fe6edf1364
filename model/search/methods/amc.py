"""AMC (He et al., ECCV 2018, arXiv 1802.03494): an agent learns the density of each pruning group of a network.

With the paper's own settings, the actor's plans were worse than the uniform plan on Plain-20. These differences make
them better:
- Each plan is fitted to the budget as a whole (`_Bounds`), not action by action.
- The reward is minus the loss. The accuracy on a thousand samples changes by chance from plan to plan, and of hundreds
  of plans the luckiest would win.
- The search begins with the knapsack of sensitivity analysis and the plans of the simple rules (`starts`). The best of
  these is called the first plan below. Random plans are drawn around it.
- An action is the logarithm of a density relative to the first plan: 0.5 for that of the first plan, 0 for the smallest
  one and 1 for the whole group. So the actor starts at the first plan, though layers of the same sizes look alike.
- The critic learns during the warm-up too. Only a fifth of these plans are random; most are neighbours of the best so
  far, with other densities for a few groups, from which the actor learns too.
- The actor is held to the densities of the best plans so far, as they were after `_Bounds` (`ddpg.Agent.learn`).
- The actor learns faster, and the critic does not look at the next step (`AgentSettings`).
- Exploration starts at a good plan, so its noise is smaller and falls more slowly (0.2 and 0.985, not 0.5 and 0.95). It
  changes a few groups in each plan, and no plan is tried twice if there are others near it.
- The critic chooses among several plans of the actor (CANDIDATES), as in Dulac-Arnold et al. (arXiv 1512.07679). For
  half of them, the actor chooses the densities of a few groups alone; the others are those of the best plan so far.
- After the warm-up every second plan is a neighbour of the best. The agent learns from these plans too.
- At the end the best plans are trained for a few batches, and the plan that is then the best wins (`FINALISTS`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeroskip.model.progress import silent
from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.evaluation import Evaluator, plan_key
from zeroskip.model.search.layers import Layer
from zeroskip.model.search.methods.ddpg import Agent
from zeroskip.model.search.methods.observation import FEATURES, Observation
from zeroskip.model.search.methods.policies import fit_to_budget, raised
from zeroskip.model.search.methods.sensitivity import scan, solve, steps_of
from zeroskip.model.search.methods.starts import starts
from zeroskip.model.search.progress import ReportProgress, SearchProgress
from zeroskip.model.search.settings import AmcSettings
from zeroskip.model.search.spaces.space import Densities, Space, cost_share, require_reachable

NANOSECONDS = 1e9
"""The reward takes seconds in this unit: its logarithm is meant for large numbers, as MACs are."""

LEAST_SIGMA = 1e-3
"""The smallest standard deviation of the exploration noise."""

NEIGHBOURS = 6
STRETCH = 0.3
"""A neighbour of the best plan has other densities for at most NEIGHBOURS groups, with the standard deviation
STRETCH."""

FINALISTS = 20
"""At the end, one plan of every FINALISTS that were tried gets a short training, and the most accurate of these wins.
The accuracy after a short training predicts the accuracy after fine-tuning better than the accuracy before."""

SPOILED = 0.05
"""If the best finalist is this much less accurate after the short training than the best before it, the training did
harm (its rate may be too high for the inputs) or failed. Then the best plan before the training wins."""

EPISODES_KEPT = 400
"""The number of episodes whose transitions the replay buffer holds. The best plans should not be forgotten."""

SPREAD = 0.5
"""The largest standard deviation of random plans around the first plan."""

RANDOM = 5
"""Of the warm-up's plans that follow the first ones, one in RANDOM is random; the others are neighbours of the best."""

TOGETHER = 2
"""The number of plans that are proposed before either is measured, so that two workers can measure them."""

EDGE = 0.02
"""The first plan's densities are taken to be at least this far from the smallest and the largest, by their logarithms:
the actor must be able to leave them both ways."""

CANDIDATES = 8
"""The number of plans that the actor draws for one plan of the agent; the critic chooses among them."""

LAST = 20
"""The number of plans of a source that show what it has learned by the end."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One plan that was tried: its `source` ("knapsack", the name of a simple rule, "random", "agent" or "neighbour"),
    its `accuracy` and its `loss` (the mean cross-entropy, in nats), its `cost` as a fraction of the dense cost, and its
    `reward`."""

    source: str
    accuracy: float
    loss: float
    cost: float
    reward: float


@dataclass(frozen=True, kw_only=True)
class AmcResult:
    """The `densities` of the groups in the best plan, its `source`, its `accuracy` before any training, and the
    `history` of all episodes."""

    densities: dict[str, float]
    source: str
    accuracy: float
    history: tuple[Episode, ...]

    def learning(self) -> dict[str, dict[str, float]]:
        """For each source: the number of `plans`, their mean `accuracy`, that of the `last` LAST of them, and how many
        after the warm-up, in which the agent has no part, had a higher reward than all plans before
        (`improvements`)."""
        best, warm = -math.inf, True
        found: dict[str, list[tuple[float, bool]]] = {}
        for episode in self.history:
            warm = warm and episode.source != "agent"
            better = episode.reward > best and not warm
            found.setdefault(episode.source, []).append((episode.accuracy, better))
            best = max(best, episode.reward)
        return {
            source: {
                "plans": len(plans),
                "accuracy": statistics.mean(accuracy for accuracy, _ in plans),
                "last": statistics.mean(accuracy for accuracy, _ in plans[-LAST:]),
                "improvements": sum(better for _, better in plans),
            }
            for source, plans in found.items()
        }


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
    """Searches for the most accurate plan (after a short training) that costs at most `budget` of the dense network.

    `layers` are all layers of the network. The same seed gives the same plan for any number of workers. To continue a
    search that was interrupted, run it again with its journal. Raises ValueError, with the smallest cost that can be
    reached, where the budget cannot be met.
    """
    space = evaluator.space
    require_reachable(space, table, budget, space.least())
    history: list[Episode] = []
    limits = dict.fromkeys(space.least(), 1.0)
    done = scanned = sum(len(steps_of(group, space.granularity)) for group in space.groups)
    total = scanned + settings.episodes + settings.episodes // FINALISTS
    curves = scan(evaluator, progress=lambda step: progress(replace(step, total=total)))

    def report(trying: str, accuracy: float, best: float, cost: float) -> None:
        nonlocal done
        done += 1
        progress(SearchProgress(done=done, total=total, trying=trying, accuracy=accuracy, best=best, cost=cost))

    for stage in range(settings.stages):
        bounds = _Bounds(
            space=space,
            table=table,
            budget=budget ** ((stage + 1) / settings.stages),
            limits=limits,
            fill=settings.reward != "cost",
        )
        packed = solve(curves, space, table, bounds.budget)
        begun = {
            source: {group.name: group.nearest(min(plan[group.name], limits[group.name])) for group in space.groups}
            for source, plan in starts(space, table, bounds.budget, packed.densities).items()
        }
        search = _Search(evaluator, layers, bounds, settings, seed + stage, begun)
        # Where the episodes do not divide evenly, later stages get one more.
        until = settings.episodes * (stage + 1) // settings.stages
        for episode in search.run(until - len(history)):
            history.append(episode)
            _, best = search.best
            report(f"episode {len(history)}", episode.accuracy, best.accuracy, best.cost)
        limits, best = search.final(report)
    return AmcResult(densities=limits, source=best.source, accuracy=best.accuracy, history=tuple(history))


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    """The bounds of a plan: `budget`, a fraction of the dense cost, and the largest density of each group (`limits`).

    The paper bounds one action after the other, assuming that all later groups are pruned as far as possible. Then the
    first groups of a random plan use up the budget, and the agent learns little from such plans. Here a whole plan is
    proposed, and all its densities are raised to one power. If only accuracy is rewarded (`fill`), the power is the one
    that uses up the budget, as a larger network is never worse. If cost is rewarded too, the power is at least 1, so
    that a plan may stay below the budget. A power keeps densities at most 1 and in their order. (A common factor did
    not work: the actor stayed at the uniform plan.) If coarse steps leave some of the budget unused, the groups with
    the finest steps take it. The cost table is monotone, so the plan never exceeds the budget.
    """

    space: Space
    table: CostTable
    budget: float
    limits: Densities
    fill: bool

    def apply(self, proposed: NDArray[np.float64]) -> dict[str, float]:
        """The densities by group of the plan within the bounds that is nearest to the proposed densities (groups,)."""
        names = [group.name for group in self.space.groups]

        def wanted(share: float) -> dict[str, float]:
            power = 1 / max(share, 1e-9) - self.fill
            return dict(zip(names, (proposed**power).tolist(), strict=True))

        plan = fit_to_budget(self.space, self.table, self.budget, wanted, self.limits)
        if self.fill:
            plan = raised(sorted(self.space.groups, key=lambda group: -group.total), plan, self._fits)
        return plan

    def _fits(self, plan: Densities, name: str) -> bool:
        """Whether the plan is within the budget, and the group `name` within its limit."""
        return plan[name] <= self.limits[name] and cost_share(self.space, self.table, plan) <= self.budget


class _Search:
    """The search of one stage, with an agent of its own, from the best of the plans `begun`, by their sources."""

    def __init__(
        self,
        evaluator: Evaluator,
        layers: Sequence[Layer],
        bounds: _Bounds,
        settings: AmcSettings,
        seed: int,
        begun: Mapping[str, dict[str, float]],
    ) -> None:
        self.evaluator, self.bounds, self.settings, self.begun = evaluator, bounds, settings, begun
        self.space, self.table = bounds.space, bounds.table
        self.observation = Observation(self.space, layers, self.table)
        self.least = np.array([group.least for group in self.space.groups])
        self.tried: list[tuple[dict[str, float], Episode]] = []
        self.known: set[str] = set()
        self.agent = Agent(
            FEATURES,
            capacity=EPISODES_KEPT * len(self.space.groups),
            settings=settings.agent,
            seed=seed,
            start=0.5,
        )

    def run(self, episodes: int) -> Iterator[Episode]:
        """Runs that many episodes, and yields each."""
        warm_up = max(1, self.settings.warm_up * episodes // self.settings.episodes)
        begun = dict(list(self.begun.items())[:warm_up])
        # These plans do not depend on each other, so workers can measure them at the same time.
        measured = list(self.evaluator.measure(begun.values()))
        rewards = [self._reward(*one, self._cost(plan)) for one, plan in zip(measured, begun.values(), strict=True)]
        self.first = list(begun.values())[int(np.argmax(rewards))]
        self.middle = np.clip(self._kept(self.first), EDGE, 1 - EDGE)
        drawn = [self.bounds.apply(self._random()) for _ in range((warm_up - len(begun)) // RANDOM)]
        for (source, densities), one in zip(begun.items(), measured, strict=True):
            yield self._learn(source, densities, one)
        for densities, one in zip(drawn, self.evaluator.measure(drawn), strict=True):
            yield self._learn("random", densities, one)
        near = warm_up - len(self.tried)
        sources = ["neighbour"] * near + [("agent", "neighbour")[at % 2] for at in range(episodes - warm_up)]
        for at in range(0, len(sources), TOGETHER):
            numbered = enumerate(sources[at : at + TOGETHER], at - near)
            proposed = [(source, self._plan(source, max(number, 0))) for number, source in numbered]
            results = self.evaluator.measure(densities for _, densities in proposed)
            for (source, densities), one in zip(proposed, results, strict=True):
                yield self._learn(source, densities, one)

    def _plan(self, source: str, number: int) -> dict[str, float]:
        """A plan from that source, `number` plans after the warm-up."""
        if source == "neighbour":
            return self.bounds.apply(self._neighbour())
        settings = self.settings
        return self._propose(max(settings.sigma * settings.decay ** (number * settings.stages), LEAST_SIGMA))

    def final(self, report: Callable[[str, float, float, float], None]) -> tuple[dict[str, float], Episode]:
        """The plan that is the best after a short training (but see SPOILED), and its episode before the training."""
        plans: dict[str, tuple[dict[str, float], Episode]] = {}
        for densities, episode in self.tried:
            plans.setdefault(plan_key(densities), (densities, episode))
        count = max(1, len(self.tried) // FINALISTS)
        finalists = sorted(plans.values(), key=lambda one: -one[1].reward)[:count]
        if len(finalists) == 1:
            return finalists[0]
        trained: list[float] = []
        rewards: list[float] = []
        best = 0
        for accuracy, loss in self.evaluator.measure((densities for densities, _ in finalists), trained=True):
            trained.append(accuracy)
            rewards.append(self._reward(accuracy, loss, finalists[len(rewards)][1].cost))
            # Of equal rewards the first counts, which had the highest reward before the training.
            best = int(np.argmax(rewards))
            trying = f"finalist {len(trained)} of {len(finalists)}, after a short training"
            report(trying, accuracy, trained[best], finalists[best][1].cost)
        if max(trained) < max(episode.accuracy for _, episode in finalists) - SPOILED:
            best = 0
        return finalists[best]

    @property
    def best(self) -> tuple[dict[str, float], Episode]:
        """The plan with the highest reward so far, and its episode."""
        return max(self.tried, key=lambda one: one[1].reward)

    def _random(self) -> NDArray[np.float64]:
        """A plan at a random distance from the first one. With many groups, fully random plans are all equally bad."""
        sigma = max(SPREAD * self.agent.random.uniform(), LEAST_SIGMA)
        return self._densities([self.agent.explore(action, sigma) for action in self._actions(self.first).tolist()])

    def _neighbour(self) -> NDArray[np.float64]:
        """The best plan so far, with other densities for a few groups."""
        best, _ = self.best
        groups = [group.name for group in self.space.groups]
        chosen = {groups[at] for at in self._few()}
        return np.array([self.agent.explore(best[name], STRETCH) if name in chosen else best[name] for name in groups])

    def _few(self) -> NDArray[np.int64]:
        """At most NEIGHBOURS of the groups, by number."""
        groups = len(self.space.groups)
        count = int(self.agent.random.integers(1, min(NEIGHBOURS, groups) + 1))
        return self.agent.random.choice(groups, count, replace=False)

    def _propose(self, sigma: float) -> dict[str, float]:
        """The agent's plan: of CANDIDATES new plans of the actor, the one that the critic values most."""
        best = self._actions(self.best[0]).tolist()
        drawn = [
            self._candidate(min(sigma * (1 + at / CANDIDATES), 1.0), best if at % 2 else None)
            for at in range(CANDIDATES)
        ]
        new = {plan_key(plan): plan for plan in drawn if plan_key(plan) not in self.known}
        return max(new.values(), key=self._value, default=drawn[-1])

    def _candidate(self, sigma: float, best: Sequence[float] | None) -> dict[str, float]:
        """A plan of the actor, with noise for a few groups; or the `best` actions (groups,), with those of the actor,
        and noise, for a few groups."""
        chosen = set(self._few().tolist())
        proposed: dict[str, float] = {}
        actions: list[float] = []
        for t, group in enumerate(self.space.groups):
            if best is not None and t not in chosen:
                action = best[t]
            else:
                action = self.agent.act(self.observation.of(t, proposed))
            if t in chosen:
                action = self.agent.explore(action, sigma)
            actions.append(action)
            proposed[group.name] = float(self._densities([*actions, *[0.5] * (len(self.least) - t - 1)])[t])
        return self.bounds.apply(np.array(list(proposed.values())))

    def _value(self, densities: dict[str, float]) -> float:
        """The mean of the critic's values of the actions that lead to these densities."""
        return self.agent.value(self.observation.all(densities), self._actions(densities))

    def _actions(self, densities: Densities) -> Tensor:
        """The actions (groups,) that lead to these densities: 0.5 to that of the first plan."""
        kept, middle = self._kept(densities), self.middle
        below, above = 0.5 * kept / middle, 0.5 + 0.5 * (kept - middle) / (1 - middle)
        return torch.from_numpy(np.where(kept < middle, below, above)).float().clamp(0, 1)

    def _densities(self, actions: Sequence[float]) -> NDArray[np.float64]:
        """The densities (groups,) to which the actions lead."""
        taken, middle = np.array(actions), self.middle
        kept = np.where(taken < 0.5, 2 * taken * middle, middle + (2 * taken - 1) * (1 - middle))
        return np.asarray(self.least ** (1 - kept))

    def _kept(self, densities: Densities) -> NDArray[np.float64]:
        """The logarithms of the densities (groups,), from 0 for the smallest to 1; 1 where nothing can be pruned."""
        found = np.array([densities[group.name] for group in self.space.groups])
        return np.where(self.least < 1, 1 - np.log(found) / np.log(np.minimum(self.least, 0.999)), 1.0)

    def _learn(self, source: str, densities: dict[str, float], measured: tuple[float, float]) -> Episode:
        """Stores the episode with the densities that were measured, not those proposed, and makes one update for each
        group. During the first and random plans only the critic learns: an actor that learned from an untrained critic
        would soon answer only 0 or 1."""
        (accuracy, loss), cost = measured, self._cost(densities)
        reward = self._reward(accuracy, loss, cost)
        self.agent.replay.add(self.observation.all(densities), self._actions(densities), reward)
        for _ in self.space.groups:
            self.agent.learn(actor=source in ("agent", "neighbour"))
        episode = Episode(source=source, accuracy=accuracy, loss=loss, cost=cost, reward=reward)
        self.tried.append((densities, episode))
        self.known.add(plan_key(densities))
        return episode

    def _cost(self, densities: Densities) -> float:
        """The cost of a plan, as a fraction of the dense cost."""
        return cost_share(self.space, self.table, densities)

    def _reward(self, accuracy: float, loss: float, cost: float) -> float:
        """The reward of a plan; `cost` is its fraction of the dense cost."""
        if self.settings.reward == "loss":
            return -loss
        if self.settings.reward == "error":
            return accuracy - 1
        whole = cost * self.table.dense * (NANOSECONDS if self.table.cost == "latency" else 1)
        return (accuracy - 1) * math.log1p(whole)
