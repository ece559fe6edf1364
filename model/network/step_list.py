"""The steps that were read so far, and which of them gives the value of each node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.moves import Move, move_to
from zeroskip.model.network.node_keys import PLACE, VALUE
from zeroskip.model.network.steps import INPUT, MoveStep, NetworkStep
from zeroskip.model.network.trace import SIZES, sample_shape


class StepList:
    """`steps`, and the numbers of those that give the values of nodes.

    Sequences (n, channels, length) are images of height 1 for the steps that need images. So a node may have two
    numbers: that of a value in torch's shape, and that of a line, an image (n, channels, 1, length); each is made from
    the other where it is asked for.
    """

    def __init__(self) -> None:
        self.steps: list[NetworkStep] = []
        self._numbers: dict[fx.Node, int] = {}
        self._lines: dict[fx.Node, int] = {}

    def __contains__(self, node: object) -> bool:
        return node in self._numbers or node in self._lines

    def begin(self, node: fx.Node) -> None:
        """Takes a node as the network's input."""
        self._numbers[node] = INPUT

    def same(self, node: fx.Node, source: fx.Node) -> None:
        """Gives a node the value of another."""
        for numbers in (self._numbers, self._lines):
            if source in numbers:
                numbers[node] = numbers[source]

    def add(self, node: fx.Node, *steps: NetworkStep) -> None:
        """Adds steps, the last of which gives the value of a node."""
        self.steps += steps
        output, value = steps[-1].output, node.meta.get(VALUE)
        line = output is not None and isinstance(value, Tensor) and output.dim() == value.dim() + 1 == 4
        (self._lines if line else self._numbers)[node] = len(self.steps) - 1

    def give(self, node: fx.Node, number: int) -> None:
        """Gives a node the value of step `number`."""
        self._numbers[node] = number
        self._lines.pop(node, None)

    def up_to(self, node: fx.Node) -> list[NetworkStep]:
        """The steps up to the one that gives the value of a node: those behind it are read by nothing that counts."""
        return self.steps[: (self._lines if node in self._lines else self._numbers)[node] + 1]

    def are_lines(self, nodes: tuple[fx.Node, ...]) -> bool:
        """Whether the values of nodes are at hand as lines alone."""
        return all(node in self._lines and node not in self._numbers for node in nodes)

    def about(self, node: fx.Node, *parts: fx.Node, lines: bool | None = None) -> dict[str, Any]:
        """What every step says of its node, which reads the values of `parts`, as `lines` or not; by default as lines
        where that is how they are at hand."""
        lines = bool(parts) and self.are_lines(parts) if lines is None else lines
        value = node.meta.get(VALUE)
        if lines and isinstance(value, Tensor) and value.dim() == 3:
            value = value.unsqueeze(2)
        if isinstance(value, Tensor) and value.dim() == 1:
            # One value of each sample is a row of one value.
            value = value.unsqueeze(1)
        return {
            "label": label_of(node),
            "sources": tuple(self._line(part) if lines else self._number(part) for part in parts),
            "place": node.meta[PLACE],
            "output": value,
        }

    def moved(self, node: fx.Node, part: fx.Node, move: Callable[[Tensor], Tensor]) -> MoveStep:
        """The step of `node` that takes the values of `part`, whose shape is known, from where `move` says."""
        number = self._lines[part] if self.are_lines((part,)) else self._numbers[part]
        return self.moved_from(node, number, part.meta[VALUE], move)

    def moved_from(self, node: fx.Node, number: int, before: Tensor, move: Callable[[Tensor], Tensor]) -> MoveStep:
        """As `moved`, from the value of step `number`, which is `before` (n, ...)."""
        return MoveStep(
            label=label_of(node),
            sources=(number,),
            place=node.meta[PLACE],
            output=move(before),
            move=_move(label_of(node), before, move),
            before=sample_shape(before),
        )

    def expanded(self, node: fx.Node, part: fx.Node, shape: tuple[int, ...]) -> int:
        """The number of the step with the values of `part` in a larger shape (samples, ...), as `node` needs them."""
        if part.meta[VALUE].shape == shape:
            return self._number(part)
        self.steps.append(self.moved(node, part, lambda value: value.expand(shape)))
        return len(self.steps) - 1

    def _number(self, node: fx.Node) -> int:
        if node not in self._numbers:
            self.steps.append(self.moved(node, node, lambda value: value))
            self._numbers[node] = len(self.steps) - 1
        return self._numbers[node]

    def _line(self, node: fx.Node) -> int:
        if node not in self._lines:
            self.steps.append(self.moved(node, node, lambda value: value.unsqueeze(2)))
            self._lines[node] = len(self.steps) - 1
        return self._lines[node]


@torch.no_grad()
def _move(label: str, before: Tensor, move: Callable[[Tensor], Tensor]) -> Move:
    """Where the values of each sample come from, found by moving their places."""
    places = move(torch.arange(before.numel(), dtype=torch.float64).reshape(before.shape))
    samples = SIZES[1]
    each = before.numel() // samples
    problem = (
        f"{label} makes values of shape {tuple(places.shape)} of {tuple(before.shape)}, {samples} samples; "
        "supported: values whose first dimension is that of the samples, and one more at least"
    )
    if places.dim() < 2 or len(places) % samples or not places.numel():
        raise ValueError(problem)
    rows = places.reshape(samples, -1).long()
    first = rows[0]
    if not torch.equal(rows, first + each * torch.arange(samples)[:, None]):
        if len(places) != samples:
            raise ValueError(problem)
        raise ValueError(
            f"{label} mixes the values of different samples; supported: operations on each sample by itself, which "
            "leave the first dimension"
        )
    found = move_to(first.numpy())
    if found is None:
        raise ValueError(f"{label} takes values in no regular order; supported: those of slices and permutations")
    return found
