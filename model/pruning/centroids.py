"""Fine-tuning of shared weights by the gradients of the centroids (Deep Compression, section 3.3)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from zeroskip.model.eie.fixed_point import codebook_fraction
from zeroskip.model.eie.shared import SharedConv, SharedLayer, SharedOperation, SharedRecurrence, module_of
from zeroskip.model.network.folded import Folded
from zeroskip.model.network.operations import all_states


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
    """A Linear layer whose codebook is trained, while the codes of its weights stay.

    `centroids` (15,) are the entries 1 to 15 of the codebook. Entry 0 is not a parameter, so it stays zero.
    """

    used: Tensor
    used_codes: Tensor

    def __init__(self, layer: SharedLayer):
        super().__init__()
        self.layer = layer
        self.centroids = nn.Parameter(torch.from_numpy(layer.codebook[1:].copy()))
        columns = [layer.weight_codes.ravel()] + ([] if layer.bias_codes is None else [layer.bias_codes])
        codes = torch.from_numpy(np.concatenate(columns).astype(np.int64))
        # Most codes of a pruned layer are zero; only the others are looked up and summed.
        self.register_buffer("used", codes.nonzero().flatten(), persistent=False)
        self.register_buffer("used_codes", codes[self.used] - 1, persistent=False)
        self.size = len(codes)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, *self.parameters_now())

    def parameters_now(self) -> tuple[Tensor, Tensor | None]:
        """The weight (outputs, inputs) and the bias that the centroids give now."""
        values = _Lookup.apply(self.centroids, self.used_codes)
        both = torch.zeros(self.size, dtype=values.dtype).scatter(0, self.used, values)
        outputs, inputs = self.layer.weight_codes.shape
        weight = both[: outputs * inputs].reshape(outputs, inputs)
        if self.layer.bias_codes is None:
            return weight, None
        return weight, both[outputs * inputs :] * 2.0**self.layer.bias_exponent

    def shared_layer(self) -> SharedLayer:
        """The layer with the trained codebook."""
        codebook = np.concatenate(([0], self.centroids.detach().numpy())).astype(np.float32)
        return replace(self.layer, codebook=_kept_off_zero(codebook, self.layer.codebook))


class SharedConv2d(SharedLinear):
    """A Conv2d layer whose codebook is trained, while the codes of its weights stay."""

    def forward(self, x: Tensor) -> Tensor:
        conv = self.layer
        assert isinstance(conv, SharedConv)
        weight, bias = self.parameters_now()
        kernels = weight.reshape(len(weight), -1, *conv.kernel)
        return F.conv2d(x, kernels, bias, conv.stride, conv.padding, conv.dilation, conv.groups)


class SharedRecurrent(SharedLinear):
    """The layer of a recurrent cell whose codebook is trained, while the codes of its weights stay."""

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        assert isinstance(layer, SharedRecurrence)
        return all_states(layer.cell, x, *self.parameters_now())


def trainable_network(operations: Sequence[SharedOperation]) -> Folded:
    """The network of `operations` with trainable codebooks (SharedLinear and the classes derived from it)."""

    def make(operation: SharedOperation) -> nn.Module:
        if isinstance(operation, SharedConv):
            return SharedConv2d(operation)
        if isinstance(operation, SharedRecurrence):
            return SharedRecurrent(operation)
        return SharedLinear(operation) if isinstance(operation, SharedLayer) else operation.module()

    return module_of(operations, make)


def with_trained_codebooks(operations: Sequence[SharedOperation], network: Folded) -> list[SharedOperation]:
    """`operations`, from which `trainable_network` made `network`, with the trained codebooks."""
    trained = (layer.shared_layer() for layer in network if isinstance(layer, SharedLinear))
    return [next(trained) if isinstance(operation, SharedLayer) else operation for operation in operations]


def _kept_off_zero(trained: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """The codebook `trained`, in which a centroid that 16 bits held `before` training, and would make zero now, has
    the least value that they hold, with its sign: the weights that were kept stay weights."""
    if not trained.any():
        return trained
    fraction = codebook_fraction(trained)
    held = np.rint(np.ldexp(before.astype(np.float64), codebook_fraction(before))) != 0
    lost = held & (np.rint(np.ldexp(trained.astype(np.float64), fraction)) == 0)
    signs = np.copysign(1.0, np.where(trained == 0, before, trained))
    return np.where(lost, np.ldexp(signs, -fraction), trained).astype(np.float32)
