"""Training written out step by step: what the product's training must give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn


def sgd(
    module: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    rate: float,
    decay: float,
    batch: int,
    constant: bool = False,
    seed: int,
    stage: int,
    masks: Mapping[str, Tensor] | None = None,
    penalty: Callable[[int], Tensor] | None = None,
) -> list[float]:
    """Trains `module` in place by SGD with momentum 0.9 and weight decay, and sets what `masks` drop to zero after each
    step. The rate falls along half a cosine, from the first step of all to zero after the last. Returns the mean loss
    of each epoch."""
    module.train()
    parameters = dict(module.named_parameters())
    momentum = {name: torch.zeros_like(value) for name, value in parameters.items()}
    starts = [start for start in range(0, len(inputs), batch) if len(inputs) - start > 1 or len(inputs) == 1]
    means = []
    for epoch in range(epochs):
        with torch.random.fork_rng(devices=[]):
            sequence = np.random.SeedSequence((seed, stage, epoch))
            torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
            order = torch.randperm(len(inputs))
            losses, sizes = [], []
            for step, start in enumerate(starts):
                done = (epoch * len(starts) + step) / (epochs * len(starts))
                now = rate if constant else rate * 0.5 * (1 + math.cos(math.pi * done))
                some = order[start : start + batch]
                loss = nn.functional.cross_entropy(module(inputs[some]), labels[some])
                if penalty is not None:
                    loss = loss + penalty(epoch * len(starts) + step)
                slopes = torch.autograd.grad(loss, list(parameters.values()))
                with torch.no_grad():
                    for (name, value), slope in zip(parameters.items(), slopes, strict=True):
                        momentum[name] = 0.9 * momentum[name] + slope + decay * value
                        value -= now * momentum[name]
                        if masks is not None and name in masks:
                            value[~masks[name]] = 0
                losses.append(loss.item())
                sizes.append(len(some))
        means.append(float(np.average(losses, weights=sizes)))
    return means


def short_order(inputs: Tensor, labels: Tensor, count: int, *, seed: int, number: int) -> tuple[Tensor, Tensor]:
    """The samples of a short training: `count` of them, in rounds that each have all in a random order."""
    random = np.random.default_rng((seed, number))
    rounds: list[int] = []
    while len(rounds) < count:
        rounds += random.permutation(len(inputs)).tolist()
    return inputs[rounds[:count]], labels[rounds[:count]]


def assert_close(module: nn.Module, expected: nn.Module) -> None:
    """The same weights and statistics but for rounding; zeros in the same places."""
    wanted = expected.state_dict()
    for name, value in module.state_dict().items():
        assert torch.allclose(value, wanted[name], atol=2e-6, rtol=1e-5), name
        assert torch.equal(value == 0, wanted[name] == 0), name
