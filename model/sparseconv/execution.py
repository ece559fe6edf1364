"""Ways to execute a sparse convolution on a kernel map, and which one is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from torch import Tensor

from zeroskip.model.sparseconv import reference
from zeroskip.model.sparseconv.maps import KernelMap


class Execution(Protocol):
    """A way to execute: the same sums in the same or another order."""

    NAME: str

    def convolve(self, feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
        """Sums (outputs, out channels) of feats (inputs, in channels) by weight (volume, in, out channels)."""
        ...

    def weight_gradient(self, feats: Tensor, gradient: Tensor, kmap: KernelMap) -> Tensor:
        """(volume, in, out channels): for each element the sum of feats[input] x gradient[output]."""
        ...


EXECUTIONS: dict[str, Execution] = {reference.NAME: reference}

_chosen: ContextVar[str] = ContextVar("sparseconv_execution", default="auto")


@contextmanager
def execution(name: str) -> Iterator[None]:
    """Layers within the `with` block execute so: "auto" (the fastest here), or one of `EXECUTIONS`."""
    require_execution(name)
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def require_execution(name: str) -> None:
    """Raises `ValueError` for the name of no execution."""
    if name != "auto" and name not in EXECUTIONS:
        raise ValueError(f"execution must be auto or one of {', '.join(EXECUTIONS)}, not {name!r}")


def chosen_execution(feats: Tensor) -> Execution:
    """The execution for these features."""
    name = _chosen.get()
    return EXECUTIONS[reference.NAME if name == "auto" else name]
