"""Pieces of a step list: the steps of an operation that is made of several, each with what torch gives after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.node_keys import PLACE, VALUE
from zeroskip.model.network.operations import Recurrent, Spread
from zeroskip.model.network.pooling import pair
from zeroskip.model.network.step_list import StepList
from zeroskip.model.network.steps import (
    ActivationStep,
    AddStep,
    AveragePoolStep,
    ConcatStep,
    ConvStep,
    LinearStep,
    MaxPoolStep,
    NetworkStep,
    RecurrentStep,
    ReluStep,
    SpreadStep,
    TokenStep,
)
from zeroskip.model.network.token_operations import TokenOperation
from zeroskip.model.network.trace import by_sample

Move = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Held:
    """The value (n, ...) that step `number` gives."""

    number: int
    value: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)


class Pieces:
    """Adds the steps of `node` to a list."""

    def __init__(self, steps: StepList, node: fx.Node) -> None:
        self.list = steps
        self.node = node

    def held(self, node: fx.Node) -> Held:
        """The value of a node."""
        (number,) = self.list.about(node, node, lines=False)["sources"]
        return Held(number, node.meta[VALUE])

    @torch.no_grad()
    def move(self, given: Held, move: Move) -> Held:
        step = self.list.moved_from(self.node, given.number, given.value, move)
        assert step.output is not None
        return self._add(step, step.output)

    @torch.no_grad()
    def token(self, operation: TokenOperation, shape: tuple[int, ...], *given: Held) -> Held:
        """An operation of flat values, whose result torch gives in this shape (n, ...)."""
        dtype = given[0].value.dtype if given[0].value.is_floating_point() else torch.float32
        found = operation.module().to(dtype)(*(by_sample(part.value) for part in given))
        return self._add(TokenStep(**self._about(*given), operation=operation), found.reshape(shape))

    @torch.no_grad()
    def linear(self, given: Held, module: nn.Linear) -> Held:
        rows = by_sample(given.value[..., 0]).shape[1]
        found = F.linear(given.value, module.weight, module.bias)
        return self._add(LinearStep(**self._about(given), module=module, rows=rows), found)

    @torch.no_grad()
    def recur(self, given: Held, module: Recurrent) -> Held:
        """The states (n, steps, hidden values) of a recurrent layer, from the sums of its inputs."""
        samples, steps, _ = given.shape
        found = module(given.value.flatten(1)).reshape(samples, steps, -1)
        return self._add(RecurrentStep(**self._about(given), module=module, steps=steps), found)

    @torch.no_grad()
    def spread(self, given: Held, apart: tuple[int, int], tail: tuple[int, int]) -> Held:
        """Images (n, channels, height, width) with zeros between their values, and behind them."""
        found = Spread(apart, tail)(given.value)
        return self._add(SpreadStep(**self._about(given), apart=apart, tail=tail), found)

    @torch.no_grad()
    def conv(self, given: Held, module: nn.Conv2d) -> Held:
        """A convolution of images, whose padding is in numbers."""
        padding, dilation = (pair(value) for value in (module.padding, module.dilation))
        assert padding is not None
        assert dilation is not None
        step = ConvStep(**self._about(given), module=module, padding=padding, dilation=dilation)
        return self._add(step, module(given.value))

    @torch.no_grad()
    def average(self, given: Held) -> Held:
        """The mean of each channel of images (n, channels, height, width), as an image of 1 x 1."""
        found = given.value.mean((2, 3), keepdim=True)
        return self._add(AveragePoolStep(**self._about(given)), found)

    @torch.no_grad()
    def largest(self, given: Held) -> Held:
        """The greatest value of each channel of images (n, channels, height, width), as an image of 1 x 1."""
        high, wide = given.shape[2:]
        step = MaxPoolStep(**self._about(given), kernel=(high, wide), stride=(high, wide), padding=(0, 0))
        return self._add(step, given.value.amax((2, 3), keepdim=True))

    @torch.no_grad()
    def add(self, one: Held, other: Held) -> Held:
        return self._add(AddStep(**self._about(one, other)), one.value + other.value)

    @torch.no_grad()
    def concat(self, given: list[Held]) -> Held:
        """Values (n, ...) one after another in dimension 1."""
        return self._add(ConcatStep(**self._about(*given)), torch.cat([part.value for part in given], 1))

    @torch.no_grad()
    def activation(self, given: Held, function: str, argument: float = 0.0) -> Held:
        """ReLU, or a function of zeroskip.model.network.activations."""
        from zeroskip.model.network.activations import activation_module

        if function == "relu":
            return self._add(ReluStep(**self._about(given)), given.value.relu())
        found = activation_module(function, argument)(given.value)
        return self._add(ActivationStep(**self._about(given), function=function, argument=argument), found)

    def end(self, held: Held) -> None:
        """The value of the node; torch's own takes the place of what the pieces gave, so that the check of the steps
        compares both."""
        value = self.node.meta[VALUE]
        value = value[0] if isinstance(value, tuple) else value
        value = value.unsqueeze(1) if value.dim() == 1 else value
        if self.list.steps and held.number == len(self.list.steps) - 1:
            self.list.steps[-1] = replace(self.list.steps[-1], output=value)
        self.list.give(self.node, held.number)

    def _about(self, *given: Held) -> dict[str, Any]:
        sources = tuple(part.number for part in given)
        return {"label": label_of(self.node), "place": self.node.meta[PLACE], "sources": sources}

    def _add(self, step: NetworkStep, output: Tensor) -> Held:
        self.list.steps.append(replace(step, output=output))
        return Held(len(self.list.steps) - 1, output)
