"""Gradients of a sparse convolution, of any order.

The convolution is linear in features and in weights, and so are its gradients: that of the features is the convolution
on the transposed map with transposed weights, and that of the weights is a sum of outer products, whose own gradients
are convolutions again. So two functions refer to each other, and every order of gradients is exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from zeroskip.model.sparseconv.execution import Execution
from zeroskip.model.sparseconv.maps import KernelMap


class Convolve(Function):
    """feats (inputs, in channels), weight (volume, in, out channels) -> (outputs, out channels)."""

    @staticmethod
    def forward(ctx: Any, feats: Tensor, weight: Tensor, kmap: KernelMap, execution: Execution) -> Tensor:
        """Convolves."""
        ctx.save_for_backward(feats, weight)
        ctx.kmap, ctx.execution = kmap, execution
        with torch.autocast(feats.device.type, enabled=False):
            return execution.convolve(feats, weight, kmap)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of feats and weight."""
        feats, weight = ctx.saved_tensors
        (gradient,) = gradients
        of_feats = of_weight = None
        if ctx.needs_input_grad[0]:
            of_feats = Convolve.apply(gradient, weight.transpose(1, 2), ctx.kmap.transposed, ctx.execution)
        if ctx.needs_input_grad[1]:
            of_weight = WeightGradient.apply(feats, gradient, ctx.kmap, ctx.execution)
        return of_feats, of_weight, None, None


class WeightGradient(Function):
    """feats (inputs, in channels), gradient (outputs, out channels) -> (volume, in, out channels)."""

    @staticmethod
    def forward(ctx: Any, feats: Tensor, gradient: Tensor, kmap: KernelMap, execution: Execution) -> Tensor:
        """Sums outer products, element by element of the kernel."""
        ctx.save_for_backward(feats, gradient)
        ctx.kmap, ctx.execution = kmap, execution
        with torch.autocast(feats.device.type, enabled=False):
            return execution.weight_gradient(feats, gradient, kmap)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of feats and gradient."""
        feats, gradient = ctx.saved_tensors
        (of_sums,) = gradients
        of_feats = of_gradient = None
        if ctx.needs_input_grad[0]:
            of_feats = Convolve.apply(gradient, of_sums.transpose(1, 2), ctx.kmap.transposed, ctx.execution)
        if ctx.needs_input_grad[1]:
            of_gradient = Convolve.apply(feats, of_sums, ctx.kmap, ctx.execution)
        return of_feats, of_gradient, None, None
