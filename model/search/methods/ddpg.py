"""DDPG (Lillicrap et al., ICLR 2016) as AMC uses it: an agent whose action in each step is one number from 0 to 1.

The actor also imitates the best episodes (self-imitation, Oh et al., ICML 2018): the critic knows only actions that
were taken, and nothing else would keep the actor near them. Without it the actor soon answers only 0 or 1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from zeroskip.model.search.methods.perceptron import Perceptron
from zeroskip.model.search.settings import AgentSettings


class Replay:
    """A buffer of the last `capacity` transitions: the state (features,), the action, its reward, and the next state
    (`going` is 0 if the episode ends there)."""

    def __init__(self, features: int, capacity: int) -> None:
        self.states = torch.zeros(capacity, features)
        self.actions = torch.zeros(capacity, 1)
        self.rewards = torch.zeros(capacity, 1)
        self.following = torch.zeros(capacity, features)
        self.going = torch.zeros(capacity, 1)
        self.stored = 0
        self._weights = torch.ones(0, 1)

    def __len__(self) -> int:
        return min(self.stored, len(self.states))

    def add(self, states: Tensor, actions: Tensor, reward: float) -> None:
        """Adds an episode: `states` (steps, features) and `actions` (steps,). Each step has the reward of the whole."""
        steps = len(states)
        at = torch.arange(self.stored, self.stored + steps) % len(self.states)
        self.states[at] = states
        self.actions[at] = actions[:, None]
        self.rewards[at] = reward
        self.following[at[:-1]] = states[1:]
        self.going[at] = 1.0
        self.going[at[-1]] = 0.0
        self.stored += steps
        self._weights = torch.ones(0, 1)

    def weights(self, best: float) -> Tensor:
        """The weight (transitions, 1) with which each transition is imitated, 1 in the mean: it falls by the factor e
        for each fraction `best` of the transitions that have a higher reward."""
        if len(self._weights) != len(self):
            rewards = self.rewards[: len(self), 0]
            higher = torch.searchsorted(rewards.neg().sort().values, rewards.neg())
            weights = torch.exp(-higher / (best * len(self)))
            self._weights = (weights / weights.mean())[:, None]
        return self._weights


class Agent:
    """The actor, the critic and the replay buffer that they learn from. All random numbers come from `seed`; torch's
    global generator is not used.

    The untrained actor's action is about `start` in every state.
    """

    def __init__(self, features: int, *, capacity: int, settings: AgentSettings, seed: int, start: float = 0.5) -> None:
        if not 0 < start < 1:
            raise ValueError(f"start must be above 0 and below 1, not {start}")
        self.settings = settings
        self.random = np.random.default_rng(seed)
        self.replay = Replay(features, capacity)
        generator = torch.Generator().manual_seed(seed)

        def network(inputs: int, rate: float) -> Perceptron:
            return Perceptron(inputs, settings.hidden, rate=rate, generator=generator)

        # AMC's fc(state) + fc(action) is one layer whose input is the state and the action together.
        self.actor, self.critic = network(features, settings.actor_rate), network(features + 1, settings.critic_rate)
        self.actor_target, self.critic_target = network(features, 1.0), network(features + 1, 1.0)
        weight, bias = self.actor.layers[-1]
        weight.mul_(3e-3 / weight.abs().max())
        bias.fill_(math.log(start / (1 - start)))
        self.actor_target.values.copy_(self.actor.values)
        self.critic_target.values.copy_(self.critic.values)
        self._average: float | None = None

    def act(self, state: Tensor) -> float:
        """The actor's action in a state (features,)."""
        return float(self.actor(state[None]).sigmoid_())

    def value(self, states: Tensor, actions: Tensor) -> float:
        """The mean of the critic's values of `actions` (steps,) in `states` (steps, features)."""
        return float(self.critic(torch.cat((states, actions[:, None]), 1)).mean())

    def explore(self, action: float, sigma: float) -> float:
        """A random action near the given one: from a normal distribution around it, truncated to 0 to 1."""
        low, high = ndtr(-action / sigma), ndtr((1 - action) / sigma)
        return float(np.clip(action + sigma * ndtri(self.random.uniform(low, high)), 0, 1))

    def learn(self, *, actor: bool = True) -> None:
        """One update of the critic, and with `actor` one of the actor, from a batch drawn with replacement. The actor
        minimises -Q(state, its action) + imitation * weight * (its action - the action taken)^2."""
        settings, replay = self.settings, self.replay
        at = torch.from_numpy(self.random.integers(len(replay), size=settings.batch))
        states, actions, rewards = replay.states[at], replay.actions[at], replay.rewards[at]
        mean = float(rewards.mean())
        self._average = mean if self._average is None else self._average + settings.baseline * (mean - self._average)
        wanted = rewards - self._average
        if settings.discount:
            following = replay.following[at]
            actions_then = self.actor_target(following).sigmoid_()
            estimated = self.critic_target(torch.cat((following, actions_then), 1))
            wanted += settings.discount * replay.going[at] * estimated
        # The critic's loss is the mean squared error.
        error = self.critic(torch.cat((states, actions), 1)) - wanted
        self.critic.learn(error.mul_(2 / settings.batch))
        if actor:
            # The actor climbs the critic's estimate of its actions, and is held to the actions of the best episodes;
            # the gradient passes through the sigmoid.
            taken = self.actor(states).sigmoid_()
            self.critic(torch.cat((states, taken), 1))
            slope = self.critic.at_inputs(torch.full_like(taken, -1 / settings.batch))[:, -1:]
            held = replay.weights(settings.best)[at] * (taken - actions)
            slope = slope + 2 * settings.imitation / settings.batch * held
            self.actor.learn(slope * taken * (1 - taken))
        if settings.discount:
            self.actor_target.values.lerp_(self.actor.values, settings.follow)
            self.critic_target.values.lerp_(self.critic.values, settings.follow)
