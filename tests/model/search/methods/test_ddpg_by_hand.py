"""The agent's learning against DDPG written out with autograd: the weights after it. And what AMC gives it to learn."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.searching import evaluator, space_of, table_of, trained
from torch import Tensor, nn

from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.methods.amc import amc
from zeroskip.model.search.methods.ddpg import Agent, Replay
from zeroskip.model.search.methods.observation import Observation
from zeroskip.model.search.methods.perceptron import Perceptron
from zeroskip.model.search.settings import AgentSettings, AmcSettings

SEED = 4


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in the commands: such small products are slower with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def twin(own: Perceptron) -> nn.Sequential:
    """The same network with autograd."""
    layers: list[nn.Module] = []
    for weight, bias in own.layers:
        linear = nn.Linear(*weight.shape)
        linear.weight.data.copy_(weight.T)
        linear.bias.data.copy_(bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def assert_twins(own: Perceptron, other: nn.Sequential) -> None:
    for (weight, bias), layer in zip(own.layers, other[::2], strict=True):
        torch.testing.assert_close(weight.T, layer.weight.detach(), atol=2e-6, rtol=1e-4)
        torch.testing.assert_close(bias, layer.bias.detach(), atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize(("discount", "imitation"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.8)])
def test_learning_is_ddpg(discount: float, imitation: float) -> None:
    """Seven updates, the first three of the critic alone, then of both; the baseline of the rewards moves with them.
    With imitation, the actor is held to the actions of the episodes, by the number of better transitions: of the 16
    there are 4, 8, 12 or none."""
    settings = AgentSettings(
        hidden=12,
        actor_rate=3e-3,
        critic_rate=7e-3,
        follow=0.1,
        discount=discount,
        batch=16,
        baseline=0.3,
        imitation=imitation,
        best=0.2,
    )
    better = torch.tensor([8.0, 4, 12, 0]).repeat_interleave(4)[:, None]
    held = torch.exp(-better / 16 / 0.2)
    held /= held.mean()
    agent = Agent(3, capacity=50, settings=settings, seed=SEED, start=0.4)
    random = torch.Generator().manual_seed(1)
    for reward in (-0.5, -0.2, -0.9, -0.1):
        agent.replay.add(torch.rand(4, 3, generator=random), torch.rand(4, generator=random), reward)
    replay = copy.deepcopy(agent.replay)
    actor, critic = twin(agent.actor), twin(agent.critic)
    old_actor, old_critic = copy.deepcopy(actor), copy.deepcopy(critic)
    assert_twins(agent.actor_target, old_actor)
    assert_twins(agent.critic_target, old_critic)
    by_critic = torch.optim.Adam(critic.parameters(), lr=7e-3)
    by_actor = torch.optim.Adam(actor.parameters(), lr=3e-3)
    draws = np.random.default_rng(SEED)
    average = None
    for number in range(7):
        agent.learn(actor=number >= 3)
        at = torch.from_numpy(draws.integers(16, size=16))
        states, actions, rewards = replay.states[at], replay.actions[at], replay.rewards[at]
        average = rewards.mean() if average is None else 0.7 * average + 0.3 * rewards.mean()
        with torch.no_grad():
            following = replay.following[at]
            later = old_critic(torch.cat((following, torch.sigmoid(old_actor(following))), 1))
            wanted = rewards - average + discount * replay.going[at] * later
        by_critic.zero_grad()
        nn.functional.mse_loss(critic(torch.cat((states, actions), 1)), wanted).backward()
        by_critic.step()
        if number >= 3:
            by_actor.zero_grad()
            chosen = torch.sigmoid(actor(states))
            far = (held[at] * (chosen - actions) ** 2).mean()
            (imitation * far - critic(torch.cat((states, chosen), 1)).mean()).backward()
            by_actor.step()
        if discount:
            for old, new in ((old_actor, actor), (old_critic, critic)):
                with torch.no_grad():
                    for slow, fast in zip(old.parameters(), new.parameters(), strict=True):
                        slow.copy_(0.9 * slow + 0.1 * fast)
    assert_twins(agent.actor, actor)
    assert_twins(agent.critic, critic)
    assert_twins(agent.actor_target, old_actor)
    assert_twins(agent.critic_target, old_critic)


def test_first_weights() -> None:
    """Uniform within 1/sqrt(inputs), the actor's last layer at most 3e-3, and its bias such that it answers `start`."""
    agent = Agent(4, capacity=5, settings=AgentSettings(hidden=200), seed=1, start=0.8)
    for network, features in ((agent.actor, 4), (agent.critic, 5)):
        for (weight, bias), fan in zip(network.layers, (features, 200, 200), strict=True):
            if network is agent.actor and weight.shape[1] == 1:
                assert float(weight.abs().max()) == pytest.approx(3e-3)
                assert bias.tolist() == [pytest.approx(math.log(0.8 / 0.2))]
                continue
            every = torch.cat((weight.flatten(), bias))
            assert 0.9 / math.sqrt(fan) < float(every.abs().max()) <= 1 / math.sqrt(fan)
            assert abs(float(every.mean())) < 0.2 / math.sqrt(fan)
    assert not torch.equal(agent.actor.layers[1][0], agent.critic.layers[1][0])
    assert len(agent.replay.states) == 5


def test_draws_come_from_what_is_stored() -> None:
    """A buffer that is not full yet is drawn from as far as it is filled."""
    replay = Replay(2, 100)
    replay.add(torch.ones(3, 2), torch.ones(3), 1.0)
    assert len(replay) == 3
    assert replay.going[:3, 0].tolist() == [1, 1, 0]
    assert replay.actions[:4, 0].tolist() == [1, 1, 1, 0]


class Watched:
    """What AMC asks of its agents, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.explored: list[tuple[float, float]] = []
        self.learned: list[bool] = []
        self.stored: list[tuple[Tensor, Tensor, float]] = []
        self.starts: list[float] = []
        self.sizes: list[int] = []
        first, explore, learn, add = Agent.__init__, Agent.explore, Agent.learn, Replay.add

        def begun(agent: Agent, features: int, **options: Any) -> None:
            self.starts.append(options["start"])
            self.sizes.append(options["capacity"])
            first(agent, features, **options)

        def explored(agent: Agent, action: float, sigma: float) -> float:
            self.explored.append((action, sigma))
            return explore(agent, action, sigma)

        def learned(agent: Agent, *, actor: bool = True) -> None:
            self.learned.append(actor)
            learn(agent, actor=actor)

        def stored(replay: Replay, states: Tensor, actions: Tensor, reward: float) -> None:
            self.stored.append((states, actions, reward))
            add(replay, states, actions, reward)

        monkeypatch.setattr(Agent, "__init__", begun)
        monkeypatch.setattr(Agent, "explore", explored)
        monkeypatch.setattr(Agent, "learn", learned)
        monkeypatch.setattr(Replay, "add", stored)


@pytest.mark.parametrize("stages", [1, 2])
def test_what_amc_explores_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: int) -> None:
    """After the warm-up, the actor's plans take turns with neighbours of the best, and the noise falls; every episode
    is learned from once for each group, by the actor only from its own plans and from neighbours."""
    watched = Watched(monkeypatch)
    settings = AmcSettings(episodes=24, warm_up=8, stages=stages, sigma=0.25, decay=0.9, agent=AgentSettings(hidden=8))
    module, inputs, _ = trained()
    layers = read_layers(module, inputs[:4].numpy())
    space, table = space_of(), table_of()
    measured: list[dict[str, float]] = []
    measure = evaluator(tmp_path)
    many = measure.measure

    def spied(plans: Any, *, trained: bool = False) -> Iterator[tuple[float, float]]:
        plans = list(plans)
        # The scan names one group of two.
        measured.extend([] if trained else [plan for plan in plans if len(plan) == 2])
        return many(plans, trained=trained)

    monkeypatch.setattr(measure, "measure", spied)
    result = amc(measure, layers, table, 0.5, settings=settings, seed=3)
    each, warm = 24 // stages, 8 // stages
    assert watched.sizes == [800] * stages
    # With two groups, noise and a neighbour change one or both.
    noises = [sigma for _, sigma in watched.explored]
    for stage in range(stages):
        proposed = [0.25 * 0.9 ** (number * stages) for number in range(0, each - warm, 2)]
        for sigma in proposed:
            assert any(math.isclose(sigma, noise) for noise in noises), stage
    begun = ["knapsack", "uniform", "erk", "lamp", "global"][:warm]
    random = (warm - len(begun)) // 5
    order = [
        *begun,
        *["random"] * random,
        *["neighbour"] * (warm - len(begun) - random),
        *["agent", "neighbour"] * ((each - warm) // 2),
    ]
    assert [episode.source for episode in result.history] == order * stages
    actors = [source in ("agent", "neighbour") for source in order * stages for _ in range(2)]
    assert watched.learned == actors
    neighbours = stages * order.count("neighbour")
    assert neighbours <= noises.count(0.3) <= 2 * neighbours
    assert len(watched.stored) == len(result.history) == len(measured) == 24
    see = Observation(space, layers, table)
    least = {"0": 3 / 160, "2": 1 / 64}

    def kept(plan: dict[str, float]) -> list[float]:
        return [1 - math.log(density) / math.log(least[name]) for name, density in plan.items()]

    together = zip(watched.stored, measured, result.history, strict=True)
    for number, ((states, actions, reward), plan, episode) in enumerate(together):
        # The best of the first plans of the stage.
        at = number // each * each
        best = max(range(at, at + min(warm, 5)), key=lambda one: result.history[one].reward)
        middle = np.clip(kept(measured[best]), 0.02, 0.98)
        taken = [np.interp(one, [0, half, 1], [0, 0.5, 1]) for one, half in zip(kept(plan), middle, strict=True)]
        assert actions.tolist() == pytest.approx(taken, abs=1e-5)
        torch.testing.assert_close(states, see.all(plan))
        assert reward == episode.reward == -episode.loss
        assert (episode.accuracy, episode.loss) == next(many([plan]))
    # The actor of a stage starts at its first plan.
    assert watched.starts == [0.5] * stages
