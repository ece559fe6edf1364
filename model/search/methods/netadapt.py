"""NetAdapt (Yang et al., ECCV 2018, arXiv 1804.03230): in each step, the pruning that loses the least accuracy after a
short training.

Six things differ from the paper:
- Of the proposals, the one with the least rise of the cross-entropy per saved cost is taken (`pick` "loss"): accuracies
  of a thousand images hardly tell one small step from another.
- Where a proposal saves more than the step asks, because densities come in steps, the groups that were pruned before
  get back what is left over.
- A first step that would leave most groups less than half of what they have is made smaller, and so is one that would
  cost half of the accuracy. No step saves more than an eighth of what the network still costs.
- Where the weights that are left are fitted, only the proposals that are the best after the fit are trained.
- There, if pruning the dense network to the final plan gives less loss than the steps did, its weights are the result.
- Where proposals gain accuracy, those that save more are not worth less, as by the ratio of the authors' code.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from zeroskip.model.network.weights_hash import weights_hash
from zeroskip.model.progress import silent
from zeroskip.model.pruning.criteria import l2
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.training import evaluate_with_loss
from zeroskip.model.search.clock import SECONDS, Clock, Timed
from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.evaluation import LOSS
from zeroskip.model.search.methods.policies import raised
from zeroskip.model.search.progress import ReportProgress, SearchProgress
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.settings import NetAdaptSettings
from zeroskip.model.search.short_training import train_for_batches
from zeroskip.model.search.spaces.refit import Refit
from zeroskip.model.search.spaces.space import Densities, PruningGroup, Space, cost_share, require_reachable
from zeroskip.model.search.storage.journal import Journal
from zeroskip.model.search.workers import worker_map

RUINED = 0.5
CUTS = 4
"""If the first step leaves less than the fraction RUINED of the accuracy, it is halved, at most CUTS times. If that
does not help, the size of the step is not the reason, and it stays as it was."""

GENTLE = 0.5
"""A step is gentle for a group that can meet it and keep the fraction GENTLE of its weights or channels. If the first
step is not so for groups with at least half of what all groups could save, it is halved, at most CUTS times, or stays
as it was if that does not help: a search in a few leaps empties some groups and leaves others whole."""

MOST = 0.125
"""The largest fraction of what the network still costs that a step saves: near a small budget, only one or two groups
could meet a step of the size of the first one."""

TRAINED = 3
"""The number of proposals that are trained in each iteration, where the fit shows which those are."""

FITTED = " fitted"
"""What is measured before the training has a key of its own in the journal."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One iteration: the chosen `group`, its new `density`, and then the network's `accuracy` and `cost`, a fraction of
    the dense cost."""

    group: str
    density: float
    accuracy: float
    cost: float


@dataclass(frozen=True, kw_only=True, eq=False)
class NetAdaptResult:
    """The `densities` found, the `steps` that led to them, and the network with these densities, masked and in its
    dense shape: that after the last step, or the dense one pruned at once where that is better. `dense` is the hash of
    the dense network's weights."""

    densities: dict[str, float]
    steps: tuple[Step, ...]
    module: nn.Module
    dense: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Proposal:
    """A proposal of an iteration: one `group` is pruned further, to meet the target cost. `before` are the densities,
    and `state` is the state_dict, after the iteration before: none, and that of the dense network, for the final plan
    pruned at once. It is trained unless it is to be measured before."""

    iteration: int
    group: str
    densities: dict[str, float]
    before: dict[str, float]
    state: dict[str, Tensor]
    trained: bool = True

    @property
    def key(self) -> str:
        key = json.dumps([self.iteration, self.group, sorted(self.densities.items())])
        return key if self.trained else key + FITTED


@dataclass(frozen=True, eq=False)
class _Try:
    """Tries a proposal: gives back by L2 norm, prunes in the order of the space, if it has one, or by L2 norm, trains
    for a few batches and measures. Returns the accuracy, the loss and the trained state_dict. `fits` has the fit to the
    network with which an iteration begins, by its number."""

    space: Space
    samples: Samples
    validation: Samples
    settings: NetAdaptSettings
    seed: int
    fits: dict[int, Refit] = field(default_factory=dict)

    def _fit(self, iteration: int, network: nn.Module) -> Refit:
        if iteration not in self.fits:
            self.fits.clear()
            self.fits[iteration] = self.space.fit_to(network)
        return self.fits[iteration]

    def __call__(self, proposal: _Proposal) -> tuple[float, float, dict[str, Tensor]]:
        network = copy.deepcopy(self.space.module)
        network.load_state_dict(proposal.state)
        same = all(density <= proposal.before.get(name, 1.0) for name, density in proposal.densities.items())
        network = self.space.restored(network, proposal.before, proposal.densities, l2)
        fit = partial(self._fit, proposal.iteration, network) if same else None
        network = self.space.pruned(network, proposal.densities, None if self.space.ordered else l2, fit)
        with Masks(network, self.space.masks(network, proposal.densities, l2)):
            if proposal.trained:
                # All proposals of an iteration are trained on the same samples.
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
        return *evaluate_with_loss(small, self.validation.inputs, self.validation.labels), network.state_dict()


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
    clock: Clock | None = None,
    progress: ReportProgress = silent,
) -> NetAdaptResult:
    """Prunes the space's network until it costs at most `budget` of the dense cost (algorithm 1 of the paper, without
    the long fine-tuning).

    Proposals are trained on `samples` and measured on `validation`. The accuracy of each goes to the journal; with a
    journal that has them, only the chosen proposals are trained again. With a `clock`, their seconds go to the journal
    and the clock. Raises ValueError, with the smallest cost that
    can be reached, where the budget cannot be met.
    """
    require_reachable(space, table, budget, space.least())
    attempt = Timed(_Try(space, samples, validation, settings, seed))
    densities: dict[str, float] = {group.name: 1.0 for group in space.groups}
    state = space.module.state_dict()
    cost = 1.0
    accuracy, loss = evaluate_with_loss(space.module, validation.inputs, validation.labels)
    steps: list[Step] = []
    with worker_map(attempt, workers) as do:

        def measure(proposals: list[_Proposal]) -> dict[str, dict[str, Tensor]]:
            """Adds the proposals to the journal. Returns, by key, the state_dicts of those that it did not have."""
            states: dict[str, dict[str, Tensor]] = {}
            new = [proposal for proposal in proposals if proposal.key not in journal.known]
            measured: Iterator[Any] = do(new)
            for proposal in proposals:
                if proposal.key not in journal.known:
                    seconds, value, its_loss, states[proposal.key] = next(measured)
                    if clock is not None:
                        clock.now += seconds
                        journal.add(proposal.key + SECONDS, seconds)
                    journal.add(proposal.key + LOSS, its_loss)
                    journal.add(proposal.key, value)
                if clock is not None:
                    clock.spent[proposal.key] = journal.known[proposal.key + SECONDS]
                shown = f"iteration {len(steps) + 1}: {proposal.group} at {proposal.densities[proposal.group]:.1%}"
                if not proposal.trained:
                    shown = f"{shown}, before training" if proposal.before else "the dense network, pruned at once"
                share = (1 - cost) / (1 - budget)
                progress(
                    SearchProgress(
                        done=round(100 * share),
                        total=100,
                        trying=shown,
                        accuracy=journal.known[proposal.key],
                        best=accuracy,
                        cost=cost,
                    )
                )
            return states

        def merit(one: _Proposal) -> float:
            saved = cost - cost_share(space, table, one.densities)
            if settings.pick == "accuracy":
                return journal.known[one.key]
            if settings.pick == "ratio":
                return _merit(accuracy - journal.known[one.key], saved)
            return _merit(journal.known[one.key + LOSS] - loss, saved)

        def tried(reduction: float) -> tuple[_Proposal, dict[str, Tensor] | None]:
            """The best proposal that saves the `reduction`, and its trained state_dict unless only the journal knows
            of it."""
            proposals = [
                _Proposal(iteration=len(steps), group=name, densities=plan, before=densities, state=state)
                for name, plan in _plans(space, table, densities, max(budget, cost - min(reduction, MOST * cost)))
            ]
            if space.refit and settings.iterations > 0 and len(proposals) > TRAINED:
                fitted = [replace(proposal, trained=False) for proposal in proposals]
                measure(fitted)
                best = sorted(range(len(fitted)), key=lambda at: -merit(fitted[at]))[:TRAINED]
                proposals = [proposals[at] for at in sorted(best)]
            states = measure(proposals)
            chosen = max(proposals, key=merit)
            return chosen, states.get(chosen.key)

        def ruins(one: _Proposal) -> bool:
            return journal.known[one.key] < RUINED * accuracy

        reduction, decay = _first_step(space, table, budget, settings)
        while cost > budget:
            chosen, trained = tried(reduction)
            if not steps and ruins(chosen):
                for cut in range(1, CUTS + 1):
                    smaller, known = tried(reduction / 2**cut)
                    if not ruins(smaller):
                        chosen, trained = smaller, known
                        reduction, decay = settings.cut(reduction / 2**cut, budget)
                        break
            if trained is None:
                again, _, _, trained = attempt(chosen)
                if clock is not None:
                    clock.now += again
            state = trained
            densities, accuracy, loss = chosen.densities, journal.known[chosen.key], journal.known[chosen.key + LOSS]
            cost = cost_share(space, table, densities)
            steps.append(Step(group=chosen.group, density=densities[chosen.group], accuracy=accuracy, cost=cost))
            reduction *= decay
        if space.refit and steps:
            # Each fit is to the network of the step before, and over many steps these errors may add up.
            at_once = _Proposal(
                iteration=len(steps),
                group=steps[-1].group,
                densities=densities,
                before={},
                state=space.module.state_dict(),
                trained=False,
            )
            found = measure([at_once])
            if journal.known[at_once.key + LOSS] < loss:
                state = found[at_once.key] if at_once.key in found else attempt(at_once)[3]
    module = copy.deepcopy(space.module)
    module.load_state_dict(state)
    return NetAdaptResult(densities=densities, steps=tuple(steps), module=module, dense=weights_hash(space.module))


def _first_step(space: Space, table: CostTable, budget: float, settings: NetAdaptSettings) -> tuple[float, float]:
    """What the first step saves (GENTLE), and the factor from each step to the next."""
    whole, asked = dict.fromkeys(space.least(), 1.0), min(settings.first_step(budget), MOST)
    savings = [1 - cost_share(space, table, {**whole, group.name: group.least}) for group in space.groups]
    for cut in range(CUTS + 1):
        step = asked / 2**cut
        found = [_largest(space, table, whole, group, max(budget, 1 - step)) for group in space.groups]
        gentle = (saving for saving, kept in zip(savings, found, strict=True) if kept is not None and kept >= GENTLE)
        if 2 * sum(gentle) >= sum(savings):
            return settings.cut(step, budget) if cut else (asked, settings.decay)
    return asked, settings.decay


def _plans(space: Space, table: CostTable, densities: Densities, target: float) -> list[tuple[str, dict[str, float]]]:
    """For each group the plan in which it alone is pruned further: to the largest density that meets the target cost.
    What it saves beyond the target goes back to the groups that were pruned before, first to those with the smallest
    densities. If no group alone can meet the target, each group that can be pruned further gets its smallest
    density."""
    meeting, falling = [], []
    for group in space.groups:
        density = _largest(space, table, densities, group, target)
        if density is not None:
            others = [other for other in space.groups if other is not group and densities[other.name] < 1]
            plan = raised(
                sorted(others, key=lambda other: densities[other.name]),
                {**densities, group.name: density},
                lambda plan, _: cost_share(space, table, plan) <= target,
            )
            meeting.append((group.name, plan))
        elif group.least < densities[group.name]:
            falling.append((group.name, {**densities, group.name: group.least}))
    return meeting or falling


def _largest(space: Space, table: CostTable, densities: Densities, group: PruningGroup, target: float) -> float | None:
    def fits(density: float) -> bool:
        return (
            density < densities[group.name] and cost_share(space, table, {**densities, group.name: density}) <= target
        )

    return group.largest(fits)


def _merit(lost: float, saved: float) -> float:
    """The value by which proposals are compared, from what a proposal loses and the cost that it saves; the largest
    wins."""
    if lost < 0:
        # Any gain is better than any loss, and a larger saving better than a smaller one.
        return -lost * saved
    # The authors' code has these small constants; they rank proposals that lose nothing or save no cost.
    return -(lost + 1e-6) / (saved + 1e-5)
