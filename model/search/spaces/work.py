"""How much work it is to run a network, and a limit on that work: the same on every machine, unlike a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LIMIT = 1.5e11
"""The most work of reading a network's channels, and of checking them: a few minutes on one core."""

OPERATION = 5_000
"""The work of calling an operation, as a number of values that it computes."""

PRODUCTS = 10
"""The multiplications of a convolution or linear layer that are as much work as one value of other operations."""

TOO_LONG = "reading its channels would take too long"
"""Why channels stay that were not read within the limit."""


class TooLong(ValueError):
    """There is more work than the limit allows."""

    def __init__(self) -> None:
        super().__init__(TOO_LONG)


class Allowance:
    """The work that is left."""

    def __init__(self) -> None:
        self.left = LIMIT

    def spend(self, work: float) -> None:
        """Raises TooLong, and spends nothing, if less is left."""
        if work > self.left:
            raise TooLong
        self.left -= work


class _Operations(TorchFunctionMode):
    """Counts operations and the values that they give."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.values = 0, 0.0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.calls += 1
            products = math.prod(args[1].shape[1:]) if func in (F.linear, torch.conv2d, F.conv2d) else 0
            self.values += result.numel() * (1 + products / PRODUCTS)
        return result


@torch.no_grad()
def work_of(run: Callable[[], object]) -> tuple[float, float]:
    """The work of a run that does not grow with the number of samples, and that which does."""
    with _Operations() as operations:
        run()
    return float(OPERATION * operations.calls), operations.values
