"""The activation functions that the host computes, beside ReLU and limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """`make` returns torch's module for an argument, which is zero where the function has none; `slope` the greatest
    slope of the function, as a bound."""

    make: Callable[[float], nn.Module]
    slope: Callable[[float], float]
    takes_argument: bool = False


def _plain(make: Callable[[], nn.Module], slope: float) -> _Kind:
    return _Kind(make=lambda argument: make(), slope=lambda argument: slope)


_KINDS = {
    "leaky_relu": _Kind(make=nn.LeakyReLU, slope=lambda argument: max(1.0, abs(argument)), takes_argument=True),
    "elu": _Kind(make=nn.ELU, slope=lambda argument: max(1.0, abs(argument)), takes_argument=True),
    "sigmoid": _plain(nn.Sigmoid, 0.25),
    "tanh": _plain(nn.Tanh, 1.0),
    "silu": _plain(nn.SiLU, 1.1),
    "gelu": _plain(nn.GELU, 1.13),
    "gelu_tanh": _plain(lambda: nn.GELU(approximate="tanh"), 1.13),
    "softplus": _plain(nn.Softplus, 1.0),
    "mish": _plain(nn.Mish, 1.1),
    "selu": _plain(nn.SELU, 1.76),
    "hardswish": _plain(nn.Hardswish, 1.5),
    "hardsigmoid": _plain(nn.Hardsigmoid, 1 / 6),
}

FUNCTIONS = tuple(_KINDS)
"""Their names in files."""


def require_function(name: Any, argument: Any) -> None:
    """Raises ValueError for an unknown function, or an argument that it does not take."""
    if name not in FUNCTIONS:
        raise ValueError(f"function must be one of {', '.join(FUNCTIONS)}, not {name!r}")
    if type(argument) not in (int, float) or not math.isfinite(argument):
        raise ValueError(f"argument must be a finite number, not {argument!r}")
    if argument != 0 and not _KINDS[name].takes_argument:
        raise ValueError(f"argument must be 0 for {name}, not {argument}")


def activation_module(name: str, argument: float) -> nn.Module:
    """Torch's module of a function."""
    return _KINDS[name].make(argument)


def activated(name: str, argument: float, values: NDArray[Any]) -> NDArray[Any]:
    """A function of floats, in their own precision."""
    with torch.no_grad():
        found: NDArray[Any] = activation_module(name, argument)(
            torch.from_numpy(np.require(values, requirements=("C", "W")))
        ).numpy()
    return found


def slope(name: str, argument: float) -> float:
    """No two values of a function are further apart than their arguments, times this."""
    return _KINDS[name].slope(argument)
