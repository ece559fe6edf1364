"""The agent: its gradients, its exploration, and what it learns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.search.methods.ddpg import Agent, Replay
from zeroskip.model.search.methods.perceptron import Perceptron
from zeroskip.model.search.settings import AgentSettings


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in the commands: such small products are slower with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def agent(**options: Any) -> Agent:
    settings = AgentSettings(**{"hidden": 64, "critic_rate": 1e-2, **options})
    return Agent(2, capacity=64, settings=settings, seed=4, start=0.3)


def twin(own: Perceptron) -> nn.Sequential:
    """The same network with autograd."""
    layers: list[nn.Module] = []
    for weight, bias in own.layers:
        linear = nn.Linear(*weight.shape)
        linear.weight.data.copy_(weight.T)
        linear.bias.data.copy_(bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_gradients_are_those_of_autograd() -> None:
    generator = torch.Generator().manual_seed(1)
    own = Perceptron(5, 20, rate=1e-3, generator=generator)
    inputs, slope = torch.randn(9, 5, generator=generator), torch.randn(9, 1, generator=generator)
    expected = twin(own)
    given = inputs.clone().requires_grad_(True)
    torch.testing.assert_close(own(inputs), expected(given))
    expected(given).backward(slope)
    torch.testing.assert_close(own.at_inputs(slope), given.grad)
    torch.optim.Adam(expected.parameters(), 1e-3).step()
    own.learn(slope)
    for (weight, bias), layer in zip(own.layers, expected[::2], strict=True):
        assert isinstance(layer, nn.Linear)
        torch.testing.assert_close(weight.T, layer.weight.detach())
        torch.testing.assert_close(bias, layer.bias.detach())


@pytest.mark.parametrize(("action", "sigma"), [(0.0, 0.5), (0.3, 0.5), (1.0, 0.1), (0.9, 1e-3)])
def test_exploration_is_a_truncated_normal(action: float, sigma: float) -> None:
    some = agent()
    drawn = np.array([some.explore(action, sigma) for _ in range(4000)])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    normal = np.random.default_rng(0).normal(action, sigma, 40_000)
    expected = normal[(normal >= 0) & (normal <= 1)]
    quantiles = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(np.quantile(drawn, quantiles), np.quantile(expected, quantiles), atol=0.08 * sigma)


def test_the_replay_forgets_what_is_oldest() -> None:
    replay = Replay(1, 5)
    for number in range(3):
        replay.add(torch.full((2, 1), number) + torch.tensor([[0.0], [0.5]]), torch.zeros(2), float(number))
    assert len(replay) == 5
    assert replay.states[:, 0].tolist() == [2.5, 0.5, 1.0, 1.5, 2.0]
    assert replay.rewards[:, 0].tolist() == [2, 0, 1, 1, 2]
    last = replay.going[:, 0] == 0
    assert replay.states[last, 0].tolist() == [2.5, 0.5, 1.5]
    assert torch.equal(replay.following[~last], replay.states[~last] + 0.5)


def test_it_starts_where_it_is_told() -> None:
    some = agent()
    for state in torch.rand(10, 2):
        assert some.act(state) == pytest.approx(0.3, abs=0.02)
    with pytest.raises(ValueError, match="start must be above 0 and below 1, not 1"):
        Agent(2, capacity=64, settings=AgentSettings(), seed=0, start=1.0)


@pytest.mark.parametrize("discount", [0.0, 1.0])
def test_it_learns_what_is_rewarded(discount: float) -> None:
    """Each episode has two steps; the best actions are 0.8 and 0.1."""
    some = agent(discount=discount, follow=0.05)
    states = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    for number in range(200):
        sigma = max(0.5 * 0.98**number, 0.05)
        actions = [some.explore(some.act(state), sigma) for state in states]
        some.replay.add(states, torch.tensor(actions), -abs(actions[0] - 0.8) - abs(actions[1] - 0.1))
        for _ in range(8):
            some.learn()
    assert some.act(states[0]) == pytest.approx(0.8, abs=0.12)
    assert some.act(states[1]) == pytest.approx(0.1, abs=0.12)


@pytest.mark.parametrize(("imitation", "saturates"), [(0.0, True), (1.0, False)])
def test_it_stays_near_actions_that_were_taken(imitation: float, saturates: bool) -> None:
    """All actions are from 0.2 to 0.4, and the larger ones are better: beyond them the critic knows nothing."""
    some = agent(imitation=imitation)
    random = np.random.default_rng(0)
    for action in random.uniform(0.2, 0.4, 30).tolist():
        some.replay.add(torch.eye(2), torch.tensor([action, action]), action)
    for _ in range(600):
        some.learn()
    assert (some.act(torch.eye(2)[0]) > 0.95) == saturates
    if not saturates:
        assert 0.35 < some.act(torch.eye(2)[0]) < 0.6


def test_nothing_but_the_seed_matters() -> None:
    def learned() -> torch.Tensor:
        some = agent(discount=1.0)
        some.replay.add(torch.eye(2), torch.tensor([0.1, 0.9]), 1.0)
        for _ in range(5):
            some.learn()
        return torch.cat((some.actor.values, some.critic_target.values))

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = learned()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(learned(), first)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hidden", 0, "hidden must be at least 1, not 0"),
        ("batch", 0, "batch must be at least 1, not 0"),
        ("actor_rate", 0.0, "actor_rate must be above 0 and finite, not 0"),
        ("critic_rate", 0.0, "critic_rate must be above 0 and finite, not 0"),
        ("baseline", 1.01, "baseline must be between 0 and 1, not 1.01"),
        ("baseline", -0.01, "baseline must be between 0 and 1, not -0.01"),
        ("follow", 1.5, "follow must be between 0 and 1, not 1.5"),
        ("imitation", -0.1, "imitation must be at least 0 and finite, not -0.1"),
        ("best", 0.0, "best must be above 0 and finite, not 0.0"),
        ("discount", -1.0, "discount must be between 0 and 1, not -1"),
    ],
)
def test_settings(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AgentSettings(**{field: value})


def test_settings_at_their_limits() -> None:
    AgentSettings(hidden=1, batch=1, follow=0.0, discount=1.0, baseline=1.0)
    AgentSettings(follow=1.0, discount=0.0, baseline=0.0)
