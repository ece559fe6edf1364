"""Ways to execute a sparse convolution on a kernel map, and which one is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor

from zeroskip.model.sparseconv import fused, reference, triton_gemm
from zeroskip.model.sparseconv.choice import AUTO, REFERENCE, chosen
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


EXECUTIONS: dict[str, Execution] = {REFERENCE: reference, fused.NAME: fused, triton_gemm.NAME: triton_gemm}


@contextmanager
def execution(name: str) -> Iterator[None]:
    """Layers within the `with` block execute so: "auto" (the fastest here), or one of `EXECUTIONS`."""
    require_execution(name)
    token = chosen.set(name)
    try:
        yield
    finally:
        chosen.reset(token)


def require_execution(name: str) -> None:
    """Raises `ValueError` for the name of no execution."""
    if name != AUTO and name not in EXECUTIONS:
        raise ValueError(f"execution must be auto or one of {', '.join(EXECUTIONS)}, not {name!r}")


def chosen_execution(feats: Tensor) -> Execution:
    """The execution for these features. Raises `ValueError` where the chosen one has no kernel for them."""
    name = chosen.get()
    if name == AUTO:
        return next((way for way in (fused, triton_gemm) if way.can_run(feats)), reference)
    if name == fused.NAME and not fused.can_run(feats):
        raise ValueError(f"execution fused needs a C++ compiler and features on the CPU, not {feats.device}; use auto")
    if name == triton_gemm.NAME and not triton_gemm.can_run(feats):
        raise ValueError(
            f"execution triton needs Triton and features on a GPU, not float64, but these are {feats.dtype} on "
            f"{feats.device}; use auto"
        )
    return EXECUTIONS[name]
