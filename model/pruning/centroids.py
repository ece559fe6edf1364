"""Fine-tuning of shared weights by the gradients of the centroids (Deep Compression, section 3.3)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from zeroskip.model.eie.shared import SharedConv, SharedLayer, SharedOperation, sequence


class _Lookup(torch.autograd.Function):
    """`centroids[codes]`; the gradient of a centroid is the sum of its weights' gradients."""

    @staticmethod
    def forward(ctx: Any, centroids: Tensor, codes: Tensor) -> Tensor:
        ctx.save_for_backward(codes)
        ctx.centroids = len(centroids)
        return centroids[codes]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (codes,) = ctx.saved_tensors
        # Indexing's own backward adds from several threads in any order; training must repeat bit for bit.
        sums = torch.bincount(codes, weights=gradient.double(), minlength=ctx.centroids)
        return sums.to(gradient.dtype), None


class SharedLinear(nn.Module):
    """A Linear layer of which only the codebook is trained; its codes stay.

    `centroids` (15,) are entries 1 to 15 of the codebook: entry 0 is no parameter, so it stays zero.
    """

    used: Tensor
    used_codes: Tensor

    def __init__(self, layer: SharedLayer):
        super().__init__()
        self.layer = layer
        self.centroids = nn.Parameter(torch.from_numpy(layer.codebook[1:].copy()))
        columns = [layer.weight_codes.ravel()] + ([] if layer.bias_codes is None else [layer.bias_codes])
        codes = torch.from_numpy(np.concatenate(columns).astype(np.int64))
        # Most codes of a pruned layer are zero; only the others take part in looking up and summing.
        self.register_buffer("used", codes.nonzero().flatten(), persistent=False)
        self.register_buffer("used_codes", codes[self.used] - 1, persistent=False)
        self.size = len(codes)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, *self.parameters_now())

    def parameters_now(self) -> tuple[Tensor, Tensor | None]:
        """Weight (outputs, inputs) and bias, as the centroids are now."""
        values = _Lookup.apply(self.centroids, self.used_codes)
        both = torch.zeros(self.size, dtype=values.dtype).scatter(0, self.used, values)
        outputs, inputs = self.layer.weight_codes.shape
        weight = both[: outputs * inputs].reshape(outputs, inputs)
        return weight, None if self.layer.bias_codes is None else both[outputs * inputs :]

    def shared_layer(self) -> SharedLayer:
        """The layer with the codebook as it is now."""
        codebook = np.concatenate(([0], self.centroids.detach().numpy())).astype(np.float32)
        return replace(self.layer, codebook=codebook)


class SharedConv2d(SharedLinear):
    """A Conv2d likewise."""

    def forward(self, x: Tensor) -> Tensor:
        conv = self.layer
        assert isinstance(conv, SharedConv)
        weight, bias = self.parameters_now()
        kernels = weight.reshape(len(weight), -1, *conv.kernel)
        return F.conv2d(x, kernels, bias, conv.stride, conv.padding, groups=conv.groups)


def trainable(parts: Sequence[SharedOperation]) -> nn.Sequential:
    """The network of `parts`, its layers as SharedLinear and SharedConv2d, for fine-tuning the centroids."""

    def make(part: SharedOperation) -> nn.Module:
        if isinstance(part, SharedConv):
            return SharedConv2d(part)
        return SharedLinear(part) if isinstance(part, SharedLayer) else part.module()

    return sequence(parts, make)


def tuned(parts: Sequence[SharedOperation], module: nn.Sequential) -> list[SharedOperation]:
    """The parts that `module` was made of, with the codebooks as they are now."""
    layers = (layer.shared_layer() for layer in module if isinstance(layer, SharedLinear))
    return [next(layers) if isinstance(part, SharedLayer) else part for part in parts]
