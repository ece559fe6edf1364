"""One number for every axis, or one for each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Size = int | Sequence[int]
"""A kernel size, stride, dilation or padding: one integer for all axes, or one for each."""


def make_ntuple(value: Size, ndim: int, field: str = "value", least: int | None = None) -> tuple[int, ...]:
    """Returns `value` as a tuple of `ndim` integers; an integer stands for all axes. Tensors and arrays do, too.

    Raises `TypeError` for what is no integer, `ValueError` for a wrong length or a number below `least`.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    entries = [value] * ndim if not isinstance(value, Sequence) else list(value)
    if isinstance(value, str) or not all(_is_integer(entry) for entry in entries):
        raise TypeError(f"{field} must be an integer or {ndim} integers, not {value!r}")
    if len(entries) != ndim:
        raise ValueError(f"{field} must have {ndim} entries, one for each axis, not {len(entries)}: {tuple(entries)}")
    result = tuple(int(entry) for entry in entries)
    if least is not None and min(result) < least:
        raise ValueError(f"{field} must be at least {least}, not {min(result)}")
    return result


def _is_integer(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def make_tensor(
    value: Sequence[int] | Tensor, dtype: torch.dtype = torch.int32, device: str | torch.device = "cpu"
) -> Tensor:
    """The entries as a tensor."""
    return torch.as_tensor(value, dtype=dtype, device=device)


def make_divisible(x: int, divisor: int) -> int:
    """The least multiple of `divisor` that is not below `x`."""
    return -(-x // divisor) * divisor
