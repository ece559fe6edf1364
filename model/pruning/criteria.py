"""What makes a weight worth keeping: it maps weights to scores of their shape, larger is better."""

from collections.abc import Callable

from torch import Tensor

Criterion = Callable[[Tensor], Tensor]


def magnitude(weight: Tensor) -> Tensor:
    """Large weights matter (Han et al., NeurIPS 2015)."""
    return weight.detach().abs()
