"""A small perceptron with its gradients by hand: for batches of 64, autograd takes nearly half as long again."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Perceptron:
    """Two hidden layers of ReLU and one output: (n, inputs) to (n, 1), learned by Adam at `rate`.

    All weights are views of one vector `values`, with their gradients in `slopes`, so that an optimizer and an
    average of two networks each take one step. It starts uniform within 1/sqrt(inputs) of each layer, from `generator`.
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
        """A step against `slope` (n, 1), the gradient at the outputs of the last call."""
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
        """The gradient (n, inputs) at the inputs of the last call, from that at its outputs."""
        return self._hidden(slope)[0] @ self.layers[0][0].T

    def _hidden(self, slope: Tensor) -> tuple[Tensor, Tensor]:
        assert self._seen is not None
        _, first, second = self._seen
        at_second = (slope @ self.layers[2][0].T).mul_(second > 0)
        return (at_second @ self.layers[1][0].T).mul_(first > 0), at_second


def _views(vector: Tensor, sizes: tuple[tuple[int, int], ...]) -> list[tuple[Tensor, Tensor]]:
    """Weight (inputs, outputs) and bias (outputs,) of each layer, one after the other in a vector."""
    found = []
    for part, (inputs, outputs) in zip(vector.split([(fan + 1) * out for fan, out in sizes]), sizes, strict=True):
        found.append((part[:-outputs].view(inputs, outputs), part[-outputs:]))
    return found
