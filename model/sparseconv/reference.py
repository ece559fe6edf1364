"""The plain torch execution: per element of the kernel gather, multiply, scatter. Others are measured against it."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroskip.model.sparseconv.maps import KernelMap

NAME = "reference"


def sum_type(dtype: torch.dtype) -> torch.dtype:
    """The type that products are summed in: float32 for 16-bit floats, int32 for int8."""
    if dtype in (torch.float16, torch.bfloat16):
        return torch.float32
    return torch.int32 if dtype is torch.int8 else dtype


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """The product of operands that were converted to their `sum_type`. GPUs multiply no int32: float64 is exact."""
    if left.dtype is torch.int32 and left.device.type != "cpu":
        return (left.double() @ right.double()).to(torch.int32)
    return left @ right


def finished(sums: Tensor, dtype: torch.dtype) -> Tensor:
    """Sums in the type of a layer's result: that of its features, or int32 for int8."""
    return sums if dtype is torch.int8 else sums.to(dtype)


def convolve(feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
    """Sums (outputs, out channels) of feats (inputs, in channels) by weight (volume, in channels, out channels)."""
    wide = sum_type(feats.dtype)
    sums = torch.zeros(kmap.out_count, weight.shape[2], dtype=wide, device=feats.device)
    for element, matrix in enumerate(weight.to(wide)):
        inputs, outputs = kmap.pairs(element)
        if element == kmap.identity:
            sums += multiply(feats.to(wide), matrix)
        elif len(inputs):
            sums.index_add_(0, outputs, multiply(feats.index_select(0, inputs).to(wide), matrix))
    return finished(sums, feats.dtype)


def weight_gradient(feats: Tensor, gradient: Tensor, kmap: KernelMap) -> Tensor:
    """(volume, in channels, out channels): for each element the sum of feats[input] x gradient[output]."""
    wide = sum_type(feats.dtype)
    result = torch.zeros(kmap.volume, feats.shape[1], gradient.shape[1], dtype=wide, device=feats.device)
    for element in range(kmap.volume):
        inputs, outputs = kmap.pairs(element)
        if element == kmap.identity:
            torch.mm(feats.to(wide).T, gradient.to(wide), out=result[element])
        elif len(inputs):
            gathered = feats.index_select(0, inputs).to(wide)
            torch.mm(gathered.T, gradient.index_select(0, outputs).to(wide), out=result[element])
    return result.to(feats.dtype)
