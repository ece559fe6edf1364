"""A small perceptron with hand-written gradients: for batches of 64, autograd takes nearly 50 % longer."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Perceptron:
    """Two hidden layers with ReLU and one output, (n, inputs) to (n, 1), trained by Adam at the learning rate `rate`.

    All weights are views of one vector `values`, and all gradients of one vector `slopes`, so that the optimizer, and
    the average of two networks, take one operation each. The initial weights of a layer are uniform within
    1/sqrt(its inputs), drawn from `generator`.
    """

    def __init__(self, inputs: int, hidden: int, *, rate: float, generator: torch.Generator) -> None:
        sizes = ((inputs, hidden), (hidden, hidden), (hidden, 1))
        self.values = torch.cat(
            [
                torch.empty((fan + 1) * outputs).uniform_(-1 / math.sqrt(fan), 1 / math.sqrt(fan), generator=generator)
                for fan, outputs in sizes
            ]
        )
        self.slopes = torch.zeros_like(self.values)
        self.layers = _views(self.values, sizes)
        self._slopes = _views(self.slopes, sizes)
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None
        self.values.grad = self.slopes
        self._adam = torch.optim.Adam([self.values], rate, fused=True)

    def __call__(self, inputs: Tensor) -> Tensor:
        (w1, b1), (w2, b2), (w3, b3) = self.layers
        first = torch.addmm(b1, inputs, w1).relu_()
        second = torch.addmm(b2, first, w2).relu_()
        self._seen = (inputs, first, second)
        return torch.addmm(b3, second, w3)

    def learn(self, slope: Tensor) -> None:
        """One optimizer step; `slope` (n, 1) is the gradient of the loss at the outputs of the last call."""
        assert self._seen is not None
        inputs, first, second = self._seen
        at_first, at_second = self._hidden(slope)
        for (weight, bias), given, at in zip(
            self._slopes, (inputs, first, second), (at_first, at_second, slope), strict=True
        ):
            torch.mm(given.T, at, out=weight)
            torch.sum(at, 0, out=bias)
        self._adam.step()

    def at_inputs(self, slope: Tensor) -> Tensor:
        """The gradient (n, inputs) at the inputs of the last call; `slope` (n, 1) is the gradient at its outputs."""
        return self._hidden(slope)[0] @ self.layers[0][0].T

    def _hidden(self, slope: Tensor) -> tuple[Tensor, Tensor]:
        assert self._seen is not None
        _, first, second = self._seen
        at_second = (slope @ self.layers[2][0].T).mul_(second > 0)
        return (at_second @ self.layers[1][0].T).mul_(first > 0), at_second


def _views(vector: Tensor, sizes: tuple[tuple[int, int], ...]) -> list[tuple[Tensor, Tensor]]:
    """Weight (inputs, outputs) and bias (outputs,) of each layer, one after the other in a vector."""
    views = []
    for layer, (inputs, outputs) in zip(vector.split([(fan + 1) * out for fan, out in sizes]), sizes, strict=True):
        views.append((layer[:-outputs].view(inputs, outputs), layer[-outputs:]))
    return views
