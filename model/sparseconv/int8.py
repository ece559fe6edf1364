"""Sparse convolution in int8: the arithmetic that the hardware and torch share, and layers of it.

A layer has weights in int8 and a bias in int32. For each output voxel and output channel

    sums = bias + sum over pairs and input channels of feats * kernel        (int32; wraps modulo 2**32)
    y    = clamp(round(sums * multiplier / 2**shift), -128, 127)             (ties to the even integer)

and with ReLU max(y, 0). The product of sums and multiplier is exact (64 bits). Multiplier 1 rounds to a power of two.
Wrapping sums do not depend on the order of the pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.nm import nm_mask

LARGEST = 127
"""The largest magnitude that quantisation gives."""

MAX_MULTIPLIER = 2**31 - 1
MAX_SHIFT = 62
"""A sum times a multiplier has at most 63 bits with its sign."""


@dataclass(frozen=True, kw_only=True)
class Requantisation:
    """From int32 sums to int8: times `multiplier` (1 to 2**31 - 1), divided by 2**`shift` (0 to 62), rounded half to
    even, saturated; then ReLU where `relu`."""

    multiplier: int
    shift: int
    relu: bool = False

    def __post_init__(self) -> None:
        for name, least, most in (("multiplier", 1, MAX_MULTIPLIER), ("shift", 0, MAX_SHIFT)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name} must be an integer from {least} to {most}, not {value!r}")
        if type(self.relu) is not bool:
            raise ValueError(f"relu must be True or False, not {self.relu!r}")

    @classmethod
    def of_scale(cls, scale: float, *, relu: bool = False) -> Requantisation:
        """The nearest one to a multiplication by `scale`, with a multiplier of 31 bits.

        Raises ValueError unless the scale is from 2**-31 to below 2**31.
        """
        if not 2.0**-31 <= scale < 2.0**31:
            raise ValueError(f"scale must be from 2**-31 to below 2**31, not {scale}")
        mantissa, exponent = math.frexp(scale)
        multiplier, shift = round(mantissa * 2**31), 31 - exponent
        if multiplier > MAX_MULTIPLIER or shift > MAX_SHIFT:
            multiplier, shift = multiplier // 2, shift - 1
        return cls(multiplier=multiplier, shift=shift, relu=relu)

    def apply(self, sums: Tensor) -> Tensor:
        """Int8 values of int32 sums of any shape. Raises TypeError for other sums."""
        if sums.dtype is not torch.int32:
            raise TypeError(f"sums must be int32, not {sums.dtype}")
        products = sums.to(torch.int64) * self.multiplier
        rounded = products >> self.shift
        if self.shift:
            rest = products & ((1 << self.shift) - 1)
            half = 1 << (self.shift - 1)
            rounded += (rest > half) | ((rest == half) & (rounded & 1 == 1))
        return rounded.clamp(0 if self.relu else -128, 127).to(torch.int8)


def to_int8(values: Tensor, scale: float) -> Tensor:
    """round(values / scale), half to even, saturated at -127 and 127. Raises ValueError for values that are not
    finite."""
    _require_finite(values)
    return (values.detach().double() / scale).round().clamp(-LARGEST, LARGEST).to(torch.int8)


def scale_of(values: Tensor) -> float:
    """The scale by which the largest magnitude becomes 127; 1 where all are zero. Raises ValueError for values that are
    not finite."""
    _require_finite(values)
    largest = float(values.detach().abs().max()) if values.numel() else 0.0
    return largest / LARGEST or 1.0


def prune_kernel(kernel: Tensor, pattern: Pattern) -> Tensor:
    """A kernel (volume, in channels, out channels) with zeros where an N:M pattern along the input channels drops
    weights: the smallest magnitudes of each group go (zeroskip.model.pruning.nm.nm_mask)."""
    if pattern.dense:
        return kernel
    weight = kernel.detach().permute(2, 1, 0)[..., None]
    return kernel * nm_mask(weight, pattern)[..., 0].permute(2, 1, 0)


def follows(kernel: Tensor, pattern: Pattern) -> bool:
    """Whether each group of input channels (the last may be shorter) has at most as many weights other than zero as the
    pattern keeps."""
    used = nn.functional.pad(kernel != 0, (0, 0, 0, -kernel.shape[1] % pattern.group))
    groups = used.unflatten(1, (-1, pattern.positions, pattern.pair)).any(dim=3)
    return bool((groups.sum(dim=2) <= pattern.lanes).all())


def _require_finite(values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise ValueError("values must be finite to become int8, but some are infinite or NaN")
