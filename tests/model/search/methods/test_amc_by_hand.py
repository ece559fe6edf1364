"""The plans that AMC proposes, drawn again with another generator; and the bounds of a plan against a search of all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from support.searching import GEOMETRIES, evaluator, space_of, table_of, trained
from torch import nn

from zeroskip.model.search.costs.table import cost_table
from zeroskip.model.search.evaluation import plan_key
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.methods import amc as amc_module
from zeroskip.model.search.methods.amc import _Bounds, amc
from zeroskip.model.search.methods.ddpg import Agent
from zeroskip.model.search.methods.sensitivity import scan, solve
from zeroskip.model.search.methods.starts import starts
from zeroskip.model.search.settings import AgentSettings, AmcSettings
from zeroskip.model.search.spaces.space import LayerSpace, cost_share

SEED = 11
SETTINGS = AmcSettings(episodes=24, warm_up=8, agent=AgentSettings(hidden=8))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in the commands: such small products are slower with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def proposals(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float64]]:
    """The densities that are proposed, before they are fitted to the budget."""
    found: list[NDArray[np.float64]] = []
    apply = _Bounds.apply

    def spied(bounds: _Bounds, proposed: NDArray[np.float64]) -> dict[str, float]:
        found.append(proposed.copy())
        return apply(bounds, proposed)

    monkeypatch.setattr(_Bounds, "apply", spied)
    return found


def search(folder: Path, settings: AmcSettings = SETTINGS, budget: float = 0.5) -> Any:
    module, inputs, _ = trained()
    return amc(
        evaluator(folder), read_layers(module, inputs[:4].numpy()), table_of(), budget, settings=settings, seed=SEED
    )


def test_the_critic_chooses_among_new_plans_of_the_actor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the critic likes only large densities of the group "2"."""
    drawn: list[dict[str, float]] = []
    tried: list[tuple[list[dict[str, float]], dict[str, float], set[str]]] = []
    apply, propose = _Bounds.apply, amc_module._Search._propose

    def applied(bounds: _Bounds, proposed: NDArray[np.float64]) -> dict[str, float]:
        drawn.append(apply(bounds, proposed))
        return drawn[-1]

    def proposed(search: amc_module._Search, sigma: float) -> dict[str, float]:
        drawn.clear()
        taken = propose(search, sigma)
        tried.append((list(drawn), taken, set(search.known)))
        return taken

    monkeypatch.setattr(_Bounds, "apply", applied)
    monkeypatch.setattr(amc_module._Search, "_propose", proposed)
    monkeypatch.setattr(Agent, "value", lambda agent, states, actions: float(actions[1]))
    result = search(tmp_path, replace(SETTINGS, episodes=40))
    assert len(tried) == sum(episode.source == "agent" for episode in result.history) == 16
    chosen = 0
    for candidates, taken, known in tried:
        assert len(candidates) == amc_module.CANDIDATES
        new = [plan for plan in candidates if plan_key(plan) not in known]
        assert taken["2"] == max(plan["2"] for plan in new or candidates[-1:])
        chosen += len({plan["2"] for plan in new}) > 1
    assert chosen > 10


def test_random_plans_lie_around_the_first(tmp_path: Path, proposals: list[NDArray[np.float64]]) -> None:
    """Each at a distance of its own, by the logarithms of the densities, of which the smallest are 3 of 160 weights and
    1 of 64. Half of the actions prune more than the first plan, the others less."""
    search(tmp_path, replace(SETTINGS, episodes=40, warm_up=35))
    plain = evaluator(tmp_path)
    packed = solve(scan(plain), space_of(), table_of(), 0.5).densities
    begun = list(starts(space_of(), table_of(), 0.5, packed).values())
    first = min(zip((loss for _, loss in plain.measure(begun)), begun, strict=True), key=lambda one: one[0])[1]
    least = np.array([3 / 160, 1 / 64])
    kept = 1 - np.log(list(first.values())) / np.log(least)
    # One group is whole in the first plan; the actor must be able to prune it and to keep it.
    middle = np.clip(kept, 0.02, 0.98)
    actions = [np.interp(one, [0, at, 1], [0, 0.5, 1]) for one, at in zip(kept, middle, strict=True)]
    draws = np.random.default_rng(SEED)
    for found in proposals[:6]:
        sigma = 0.5 * draws.uniform()
        drawn = [
            action + sigma * ndtri(draws.uniform(ndtr(-action / sigma), ndtr((1 - action) / sigma)))
            for action in actions
        ]
        expected = [np.interp(one, [0, 0.5, 1], [0, at, 1]) for one, at in zip(drawn, middle, strict=True)]
        np.testing.assert_allclose(found, least ** (1 - np.array(expected)), rtol=1e-5)


def test_neighbours_of_the_best_so_far(tmp_path: Path, proposals: list[NDArray[np.float64]]) -> None:
    """In the warm-up of 8, all plans behind the 5 of the knapsack and the rules, and then every second one, are the
    best plan before them, with other densities for one or both groups. Two plans are proposed before either is
    measured."""
    measured: list[dict[str, float]] = []
    apply = _Bounds.apply

    def kept(bounds: _Bounds, proposed: NDArray[np.float64]) -> dict[str, float]:
        measured.append(apply(bounds, proposed))
        return measured[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Bounds, "apply", kept)
        patch.setattr(amc_module, "CANDIDATES", 1)
        result = search(tmp_path)
    packed = solve(scan(evaluator(tmp_path)), space_of(), table_of(), 0.5)
    begun = starts(space_of(), table_of(), 0.5, packed.densities).values()
    plans = [list(plan.values()) for plan in (*begun, *measured)]
    rewards = [-episode.loss for episode in result.history]
    changed = []
    for number, episode in enumerate(result.history):
        if episode.source == "neighbour":
            known = number - (number - len(begun)) % 2
            best = plans[int(np.argmax(rewards[:known]))]
            changed.append(int((proposals[number - len(begun)] != np.array(best)).sum()))
    assert [episode.source for episode in result.history[5:]] == ["neighbour"] * 3 + ["agent", "neighbour"] * 8
    assert set(changed) == {1, 2}


def test_neighbours_are_a_truncated_normal_around_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its standard deviation is 0.3: the draw of each changed group is found again from its uniform number."""
    from zeroskip.model.search.methods.ddpg import Agent

    seen: list[tuple[float, float, float]] = []
    explore = Agent.explore

    def spied(agent: Agent, action: float, sigma: float) -> float:
        copied = np.random.default_rng()
        copied.bit_generator.state = agent.random.bit_generator.state
        low, high = ndtr(-action / sigma), ndtr((1 - action) / sigma)
        expected = action + sigma * ndtri(low + (high - low) * copied.random())
        seen.append((sigma, float(np.clip(expected, 0, 1)), explore(agent, action, sigma)))
        return seen[-1][2]

    monkeypatch.setattr(Agent, "explore", spied)
    search(tmp_path, replace(SETTINGS, sigma=0.1))
    assert 0.3 in {sigma for sigma, _, _ in seen}
    for _, expected, found in seen:
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize("budget", [0.351, 0.601, 0.901])
def test_bounds_are_one_power_of_all_densities(fill: bool, budget: float) -> None:
    """The plan is the one of all powers (at least 1 without `fill`) that costs most within the budget; then the groups
    with the finest steps take what is left."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 10), nn.ReLU(), nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 30)).eval()
    layers = read_layers(module, np.ones((2, 8), np.float32))
    space = LayerSpace(module, "weights", ["0", "2", "4"], torch.empty(0))
    table = cost_table("macs", layers, "weights", geometries=GEOMETRIES)
    sizes = {"0": 80, "2": 60, "4": 180}
    limits = {"0": 1.0, "2": 0.8, "4": 1.0}
    bounds = _Bounds(space=space, table=table, budget=budget, limits=limits, fill=fill)
    for proposed in np.random.default_rng(3).uniform(0.05, 0.999, (12, 3)):
        plan = bounds.apply(proposed)
        assert cost_share(space, table, plan) <= budget
        assert all(plan[name] <= limits[name] for name in limits)
        powers = np.linspace(0 if fill else 1, 40, 40_001)
        densities = np.minimum(proposed[None] ** powers[:, None], list(limits.values()))
        counts = np.maximum(np.round(densities * list(sizes.values())), [2, 1, 4])
        within = np.flatnonzero(counts.sum(1) <= budget * 320)
        # The least power within the budget; one step of several groups at once goes to the first of them.
        best = dict(zip(sizes, counts[within[0]], strict=True))
        for name in sizes:
            assert plan[name] * sizes[name] >= best[name] - 1e-6
        if fill:
            room = {name for name in sizes if plan[name] < limits[name] - 1e-9}
            assert not room or abs(cost_share(space, table, plan) * 320 - np.floor(budget * 320)) < 1e-6
            for one, other in itertools.combinations(range(3), 2):
                names = list(sizes)
                if proposed[one] < proposed[other] and limits[names[other]] == 1:
                    assert plan[names[one]] <= plan[names[other]] + 2 / min(sizes.values())
        else:
            extra = sum(plan[name] * sizes[name] - best[name] for name in sizes)
            assert extra <= 3 + 1e-6
            assert all(plan[name] <= max(proposed[at], 4 / 180) + 1 / 60 for at, name in enumerate(sizes))


@pytest.mark.parametrize(("episodes", "stages", "each"), [(5, 2, [2, 3]), (7, 3, [2, 2, 3])])
def test_stages_share_the_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, episodes: int, stages: int, each: list[int]
) -> None:
    """Later stages get one more where they do not divide evenly."""
    asked: list[int] = []
    run = amc_module._Search.run

    def spied(search: Any, count: int) -> Any:
        asked.append(count)
        return run(search, count)

    monkeypatch.setattr(amc_module._Search, "run", spied)
    result = search(tmp_path, replace(SETTINGS, episodes=episodes, warm_up=2, stages=stages))
    assert asked == each
    assert len(result.history) == episodes
