"""Ways to execute a sparse convolution on a kernel map, and which one is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor

from zeroskip.model.sparseconv import fused, reference, triton_gemm
from zeroskip.model.sparseconv.choice import AUTO, REFERENCE, chosen
from zeroskip.model.sparseconv.grouping import GROUPINGS, Grouping
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.strategies import FetchOnDemand, GatherScatter, ImplicitGemm


class Execution(Protocol):
    """A way to execute: the same sums in the same or another order."""

    @property
    def NAME(self) -> str:
        """What it is chosen by."""
        ...

    def convolve(self, feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
        """Sums (outputs, out channels) of feats (inputs, in channels) by weight (volume, in, out channels)."""
        ...

    def weight_gradient(self, feats: Tensor, gradient: Tensor, kmap: KernelMap) -> Tensor:
        """(volume, in, out channels): for each element the sum of feats[input] x gradient[output]."""
        ...


EXECUTIONS: dict[str, Execution] = {
    REFERENCE: reference,
    fused.NAME: fused,
    triton_gemm.NAME: triton_gemm,
    **{kind: GatherScatter(grouping=Grouping(kind=kind)) for kind in GROUPINGS},
    ImplicitGemm.NAME: ImplicitGemm(),
    FetchOnDemand.NAME: FetchOnDemand(),
}
"""The executions by name. "adaptive" may be followed by epsilon and mm_thresh: "adaptive:0.3:5000"."""


_COMPILED = (fused, triton_gemm)
"""Those with kernels of their own, for some devices and types."""


@contextmanager
def execution(name: str) -> Iterator[None]:
    """Layers within the `with` block execute so: "auto", or one of `EXECUTIONS`.

    "auto" is what the tuner found for the layer on this device (see `tuner`); where it found nothing, the compiled
    kernels ("fused") on a CPU, "triton" on a GPU, and plain torch ("reference") where these cannot run. Within
    "reference" torch searches maps, too.
    """
    if name != AUTO:
        named_execution(name)
    token = chosen.set(name)
    try:
        yield
    finally:
        chosen.reset(token)


def named_execution(name: str) -> Execution:
    """The execution of a name. Raises `ValueError` for others."""
    kind, *numbers = name.split(":")
    if kind == "adaptive" and len(numbers) == 2:
        try:
            return GatherScatter(grouping=Grouping(epsilon=float(numbers[0]), mm_thresh=int(numbers[1])))
        except ValueError as error:
            raise ValueError(f"execution must be adaptive:EPSILON:MM_THRESH, not {name!r}: {error}") from None
    if name not in EXECUTIONS:
        raise ValueError(f"execution must be auto or one of {', '.join(EXECUTIONS)}, not {name!r}")
    return EXECUTIONS[name]


def can_run(execution: Execution, feats: Tensor) -> bool:
    """Whether an execution has kernels for these features here."""
    return all(way.can_run(feats) for way in _COMPILED if way is execution)


def require_runs(execution: Execution, feats: Tensor) -> None:
    """Raises `ValueError` where an execution has no kernel for these features here."""
    if execution is fused and not fused.can_run(feats):
        raise ValueError(f"execution fused needs a C++ compiler and features on the CPU, not {feats.device}; use auto")
    if execution is triton_gemm and not triton_gemm.can_run(feats):
        raise ValueError(
            f"execution triton needs Triton and features on a GPU, not float64, but these are {feats.dtype} on "
            f"{feats.device}; use auto"
        )


def default_execution(feats: Tensor) -> Execution:
    """The execution of features for which nothing was tuned."""
    return next((way for way in _COMPILED if way.can_run(feats)), reference)
