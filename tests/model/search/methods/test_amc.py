"""AMC: plans within every budget, the same plans with any workers and after resuming, and better ones than by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.searching import GEOMETRIES, evaluator, space_of, table_of, trained
from torch import nn

from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.evaluation import Evaluator, plan_key
from zeroskip.model.search.layers import Layer, read_layers
from zeroskip.model.search.methods.amc import FINALISTS, AmcResult, Episode, amc
from zeroskip.model.search.methods.observation import FEATURES, Observation
from zeroskip.model.search.methods.policies import erk, global_magnitude, lamp, uniform
from zeroskip.model.search.methods.sensitivity import scan, solve
from zeroskip.model.search.progress import SearchProgress
from zeroskip.model.search.settings import AgentSettings, AmcSettings
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.space import LayerSpace, cost_share

SETTINGS = AmcSettings(episodes=24, warm_up=8, agent=AgentSettings(hidden=32))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in the commands: such small products are slower with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def layers() -> list[Layer]:
    module, inputs, _ = trained()
    return read_layers(module, inputs[:4].numpy().astype(np.float32))


def search(
    folder: Path,
    *,
    budget: float = 0.5,
    granularity: str = "weights",
    settings: AmcSettings = SETTINGS,
    table: CostTable | None = None,
    resume: bool = False,
    workers: int = 1,
    **options: Any,
) -> tuple[AmcResult, Evaluator]:
    measure = evaluator(folder, granularity=granularity, resume=resume, workers=workers)
    table = table or table_of("macs", granularity)
    return amc(measure, layers(), table, budget, settings=settings, seed=3, **options), measure


Trained = tuple[dict[str, float], float, float]
"""A plan, and its accuracy and its loss after the short training."""


class Spy(Evaluator):
    """Records the plans that a search tries, after its scan, and the accuracies and losses of those that it trains."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.plans: list[dict[str, float]] = []
        self.trained: list[list[Trained]] = []

    def measure(self, asked: Any, *, trained: bool = False) -> Any:
        wanted = list(asked)
        found = list(super().measure(wanted, trained=trained))
        if trained:
            self.trained.append([(plan, *measured) for plan, measured in zip(wanted, found, strict=True)])
        else:
            # The scan names one group of two.
            self.plans += [plan for plan in wanted if len(plan) == 2]
        return iter(found)


@pytest.mark.parametrize("granularity", ["weights", "channels", "2:4"])
@pytest.mark.parametrize("reward", ["loss", "error", "cost"])
@pytest.mark.parametrize("budget", [0.9, 0.6])
def test_no_plan_is_above_the_budget(tmp_path: Path, granularity: str, reward: str, budget: float) -> None:
    settings = replace(SETTINGS, reward=reward)
    result, measure = search(tmp_path, budget=budget, granularity=granularity, settings=settings)
    assert len(result.history) == 24
    assert max(episode.cost for episode in result.history) <= budget
    table = table_of("macs", granularity)
    assert result.accuracy == measure.accuracy(result.densities)
    assert cost_share(measure.space, table, result.densities) <= budget


@pytest.mark.parametrize("granularity", ["weights", "channels"])
def test_the_budget_is_used_up(tmp_path: Path, granularity: str) -> None:
    """In every plan but those of the simple rules, which follow the first, no group could keep more."""
    table = table_of("macs", granularity)
    plain = evaluator(tmp_path, granularity=granularity)
    spy = Spy(plain.space, plain.samples, plain.validation, plain.journal)
    amc(spy, layers(), table, 0.55, settings=SETTINGS, seed=2)
    for plan in spy.plans:
        if plan in spy.plans[1:5]:
            continue
        for group in plain.space.groups:
            if plan[group.name] < 1:
                more = {**plan, group.name: group.above(plan[group.name] + 1e-9)}
                assert cost_share(plain.space, table, more) > 0.55


def test_rewards(tmp_path: Path) -> None:
    for kind, table in (("macs", table_of()), ("latency", CostTable(cost="latency", layers=table_of().layers))):
        settings = replace(SETTINGS, episodes=6, warm_up=3, reward="cost")
        result, _ = search(tmp_path, settings=settings, table=table)
        for episode in result.history:
            # Seconds are rewarded in nanoseconds.
            unit = 1e9 if kind == "latency" else 1
            expected = -(1 - episode.accuracy) * math.log(1 + episode.cost * table.dense * unit)
            assert episode.reward == pytest.approx(expected)
    result, _ = search(tmp_path, settings=replace(SETTINGS, reward="error"))
    assert all(episode.reward == episode.accuracy - 1 for episode in result.history)
    result, measure = search(tmp_path)
    assert all(episode.reward == -episode.loss for episode in result.history)
    assert [episode.loss for episode in result.history[:1]] == [
        loss for _, loss in measure.measure([solve(scan(measure), measure.space, table_of(), 0.5).densities])
    ]


def test_accuracy_alone_uses_the_budget_up_and_cost_need_not(tmp_path: Path) -> None:
    filled, _ = search(tmp_path)
    assert min(episode.cost for episode in filled.history) > 0.49
    free, _ = search(tmp_path, settings=replace(SETTINGS, reward="cost"))
    assert min(episode.cost for episode in free.history) < 0.45


def test_better_than_by_rules_of_thumb(tmp_path: Path) -> None:
    budget = 0.3
    result, measure = search(tmp_path, budget=budget, settings=AmcSettings(episodes=60, warm_up=20))
    for policy, by in ((uniform, 0.05), (erk, 0.05), (lamp, 0.0)):
        assert result.accuracy >= measure.accuracy(policy(measure.space, table_of(), budget)) + by, policy.__name__


@pytest.mark.parametrize("at", [1, 17, 18, 19, 23, 26, 27, 38])
@pytest.mark.parametrize("stages", [1, 2])
def test_a_search_that_was_cut_short_goes_on(tmp_path: Path, at: int, stages: int) -> None:
    settings = replace(SETTINGS, stages=stages)
    expected, whole = search(tmp_path / "whole", settings=settings)

    def stop(state: SearchProgress) -> None:
        if state.done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", settings=settings, progress=stop)
    # Each plan of the scan has its loss in a line of its own.
    lines = (tmp_path / "cut" / "journal").read_text().splitlines()[1:]
    known = sum(" loss" not in line for line in lines)
    resumed, measure = search(tmp_path / "cut", settings=settings, resume=True)
    assert resumed == expected
    assert measure.measured == whole.measured - known
    assert measure.journal.path.read_text() == whole.journal.path.read_text()


def test_workers_and_other_random_numbers_change_nothing(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    alone, first = search(tmp_path / "1")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    together, second = search(tmp_path / "2", workers=2)
    assert alone == together
    assert first.journal.path.read_text() == second.journal.path.read_text()


def test_progress_and_history_agree(tmp_path: Path) -> None:
    """All fields of the progress of one search."""
    states: list[SearchProgress] = []
    result, _ = search(tmp_path, settings=replace(SETTINGS, episodes=60), progress=states.append)
    assert [state.done for state in states] == list(range(1, 82))
    assert {state.total for state in states} == {81}
    episodes, finalists = states[18:78], states[78:]
    assert episodes[-1].trying == "episode 60"
    assert [state.accuracy for state in episodes] == [episode.accuracy for episode in result.history]
    assert finalists[-1].trying == "finalist 3 of 3, after a short training"
    assert finalists[-1].best == max(state.accuracy for state in finalists)


@pytest.mark.parametrize("stages", [1, 2])
def test_the_first_plan_is_the_knapsack(tmp_path: Path, stages: int) -> None:
    """In each stage, as far as its limits allow, before the plans of the simple rules."""
    plain = evaluator(tmp_path)
    spy = Spy(plain.space, plain.samples, plain.validation, plain.journal)
    amc(spy, layers(), table_of(), 0.3, settings=replace(SETTINGS, episodes=80, warm_up=16, stages=stages), seed=1)
    packed = [solve(scan(plain), plain.space, table_of(), 0.3 ** ((stage + 1) / stages)) for stage in range(stages)]
    assert spy.plans[0] == packed[0].densities
    rules = [rule(plain.space, table_of(), 0.3 ** (1 / stages)) for rule in (uniform, erk, lamp, global_magnitude)]
    assert spy.plans[1:5] == rules
    if stages == 2:
        best = min(spy.trained[0], key=lambda one: one[2])[0]
        assert spy.plans[40] == {name: min(density, best[name]) for name, density in packed[1].densities.items()}


def test_stages_only_ever_prune_further(tmp_path: Path) -> None:
    """The budget falls as 0.5, 0.25, 0.125; no plan of a stage keeps more of a group than the best plan before."""
    plain = evaluator(tmp_path)
    spy = Spy(plain.space, plain.samples, plain.validation, plain.journal)
    table = table_of()
    settings = replace(SETTINGS, episodes=120, warm_up=30, stages=3)
    result = amc(spy, layers(), table, 0.125, settings=settings, seed=1)
    best: dict[str, float] = {}
    for stage in range(3):
        some = slice(40 * stage, 40 * stage + 40)
        assert all(episode.cost <= 0.5 ** (stage + 1) for episode in result.history[some])
        assert all(plan[name] <= density for plan in spy.plans[some] for name, density in best.items())
        best = min(spy.trained[stage], key=lambda one: one[2])[0]
    assert result.densities == best


def test_the_best_after_a_short_training(tmp_path: Path) -> None:
    plain = evaluator(tmp_path)
    spy = Spy(plain.space, plain.samples, plain.validation, plain.journal)
    result = amc(spy, layers(), table_of(), 0.3, settings=replace(SETTINGS, episodes=120), seed=3)
    before = {plan_key(plan): episode.reward for plan, episode in zip(spy.plans, result.history, strict=True)}
    finalists = [plan_key(plan) for plan, _, _ in spy.trained[0]]
    assert finalists == sorted(before, key=lambda key: -before[key])[: 120 // FINALISTS]
    plan, accuracy, _ = min(spy.trained[0], key=lambda one: one[2])
    assert result.densities == plan
    assert result.source == next(
        episode.source for tried, episode in zip(spy.plans, result.history, strict=True) if tried == plan
    )
    assert result.accuracy == plain.accuracy(plan)
    assert accuracy > result.accuracy


@pytest.mark.parametrize("reward", ["loss", "error", "cost"])
def test_the_highest_reward_after_a_short_training(tmp_path: Path, reward: str) -> None:
    """With a reward for cost too, the most accurate plan is not always the best."""
    plain = evaluator(tmp_path)
    spy = Spy(plain.space, plain.samples, plain.validation, plain.journal)
    table = table_of()
    settings = replace(SETTINGS, episodes=60, reward=reward)
    result = amc(spy, layers(), table, 0.4, settings=settings, seed=3)

    def worth(one: Trained) -> float:
        plan, accuracy, loss = one
        if reward == "loss":
            return -loss
        cost = table.total(plain.space.points(plan))
        return accuracy - 1 if reward == "error" else (accuracy - 1) * math.log1p(cost)

    assert result.densities == max(spy.trained[0], key=worth)[0]


class Spoiling(Spy):
    """Training harms all finalists, the last one least."""

    harm = 0.0

    def measure(self, asked: Any, *, trained: bool = False) -> Any:
        plans = list(asked)
        if not trained:
            return super().measure(plans)
        best = max(self.accuracy(plan) for plan in plans)
        return iter([(0.0, 9.0)] * (len(plans) - 1) + [(best - self.harm, 1.0)])


@pytest.mark.parametrize(("harm", "spoiled"), [(0.04, False), (0.06, True)])
def test_training_that_does_only_harm(tmp_path: Path, harm: float, spoiled: bool) -> None:
    plain = evaluator(tmp_path)
    spoiling = Spoiling(plain.space, plain.samples, plain.validation, plain.journal)
    spoiling.harm = harm
    result = amc(spoiling, layers(), table_of(), 0.3, settings=replace(SETTINGS, episodes=60), seed=3)
    best = max(result.history, key=lambda episode: episode.reward)
    assert (result.accuracy == best.accuracy) == spoiled


def test_observations() -> None:
    table = table_of()
    seen = Observation(space_of(), layers(), table).all({"0": 0.25, "2": 1.0})
    assert seen.shape == (2, FEATURES)
    #           t  n  c  h  w  s  k  cost  reduced          rest       before
    first = [0, 1, 0, 0, 0, 0, 0, 1, 0.0, 64 / 224, 1.0]
    second = [1, 0, 1, 0, 0, 0, 0, 0, 120 / 224, 0.0, 0.25]
    torch.testing.assert_close(seen, torch.tensor([first, second]))


def test_observations_of_convolutions() -> None:
    """n, c, h, w, the stride and the kernel, each from 0 to 1 over the groups; costs as fractions of the dense one."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 10, 1), nn.ReLU(), nn.Flatten(), nn.Linear(90, 4)
    ).eval()
    found = read_layers(module, np.ones((2, 2, 8, 7), np.float32))
    table = cost_table("macs", found, "weights", geometries=GEOMETRIES)
    space = LayerSpace(module, "weights", ["0", "2", "5"], torch.empty(0))
    seen = Observation(space, found, table).all({"0": 0.5, "2": 0.1, "5": 1.0}).numpy()
    macs = np.array([9 * 108, 9 * 60, 360])
    raw = np.array(
        [  # t  n   c  h  w  s  k  cost
            [0, 6, 2, 8, 7, 2, 3, macs[0]],
            [1, 10, 6, 3, 3, 1, 1, macs[1]],
            [2, 4, 90, 1, 1, 0, 1, macs[2]],
        ],
        float,
    )
    scaled = (raw - raw.min(0)) / (raw.max(0) - raw.min(0))
    np.testing.assert_allclose(seen[:, :8], scaled, atol=1e-6)
    whole = macs.sum()
    saved = [0, macs[0] * 0.5 / whole, (macs[0] * 0.5 + macs[1] * 0.9) / whole]
    np.testing.assert_allclose(seen[:, 8], saved, atol=1e-6)
    np.testing.assert_allclose(seen[:, 9], [macs[1:].sum() / whole, macs[2] / whole, 0], atol=1e-6)
    np.testing.assert_allclose(seen[:, 10], [1.0, 0.5, 0.1], atol=1e-6)


def test_what_each_source_found() -> None:
    """25 random plans, of which every other one is better than all before, and one of the agent."""
    rewards = [(-1) ** number * number for number in range(25)]
    history = [
        Episode(source="random", accuracy=number, loss=0.1, cost=0.5, reward=rewards[number]) for number in range(25)
    ]
    history.append(Episode(source="agent", accuracy=0.5, loss=0.1, cost=0.5, reward=24.5))
    history.append(Episode(source="neighbour", accuracy=0.6, loss=0.1, cost=0.5, reward=24.4))
    learning = AmcResult(densities={}, source="agent", accuracy=0.5, history=tuple(history)).learning()
    assert learning == {
        "random": {"plans": 25, "accuracy": 12.0, "last": 14.5, "improvements": 0},
        "agent": {"plans": 1, "accuracy": 0.5, "last": 0.5, "improvements": 1},
        "neighbour": {"plans": 1, "accuracy": 0.6, "last": 0.6, "improvements": 0},
    }


class Branches(nn.Module):
    """Two layers with the same inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = nn.Linear(4, 8), nn.Linear(8, 6), nn.Linear(8, 6)
        self.head = nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        return self.head(torch.cat((self.left(x), self.right(x)), 1).relu())  # type: ignore[no-any-return]


def test_the_density_before_is_that_of_the_inputs() -> None:
    """Where channels are removed: of the layer that makes them, not of the one that runs before."""
    torch.manual_seed(0)
    module, inputs = Branches().eval(), torch.randn(32, 4)
    names = ["stem", "left", "right", "head"]
    found = read_layers(module, inputs[:2].numpy())
    table = cost_table("macs", found, "channels", geometries=GEOMETRIES)
    seen = Observation(ChannelSpace(module, names, inputs), found, table).all({"stem": 0.5, "left": 2 / 3, "right": 1})
    assert seen[:, 10].tolist() == [1.0, 0.5, 0.5]


def test_budgets_that_cannot_be_met(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"budget 0\.01 of the dense macs cannot be met: the smallest cost"):
        search(tmp_path, budget=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "episodes must be at least one a stage, 1, not 0"),
        ({"warm_up": 500}, "warm_up must be from 1 to the 400 episodes, not 500"),
        ({"reward": "speed"}, "reward must be one of loss, error, cost, not 'speed'"),
        ({"stages": 0}, "stages must be at least 1, not 0"),
        ({"warm_up": 0}, "warm_up must be from 1 to the 400 episodes, not 0"),
        ({"warm_up": 401}, "warm_up must be from 1 to the 400 episodes, not 401"),
        ({"episodes": 2, "stages": 3}, "episodes must be at least one a stage, 3, not 2"),
        ({"sigma": 0.0}, "sigma must be above 0 and at most 1, not 0"),
        ({"sigma": 1.01}, "sigma must be above 0 and at most 1, not 1.01"),
        ({"decay": 0.0}, "decay must be above 0 and at most 1, not 0"),
        ({"decay": 1.5}, "decay must be above 0 and at most 1, not 1.5"),
    ],
)
def test_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AmcSettings(**options)


def test_settings_at_their_limits() -> None:
    AmcSettings(episodes=3, warm_up=3, stages=3, sigma=1.0, decay=1.0)
    AmcSettings(episodes=1, warm_up=1)
