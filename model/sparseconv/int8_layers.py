"""Layers of sparse convolution in int8 (zeroskip.model.sparseconv.int8)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zeroskip.model.network.pattern import DENSE, Pattern
from zeroskip.model.sparseconv.functional import conv, find_map
from zeroskip.model.sparseconv.int8 import Requantisation, follows, prune_kernel, scale_of, to_int8
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.nn.convolution import Convolution
from zeroskip.model.sparseconv.settings import convention_of
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuples import make_ntuple


class QuantisedConv(nn.Module):
    """A sparse convolution in int8, along the axes of `kernel_size`: the arithmetic of this module's first lines.

    Args:
        kernel: (volume, in channels, out channels) int8, elements in the order of `kernel.kernel_elements`.
        bias: (out channels,) int32.
        requantisation: from sums to int8.
        pattern: N:M pattern of the kernel along the input channels. Weights that break it are an error.
        kernel_size, stride, padding, dilation, convention, submanifold: as of `functional.conv`, one number an axis.
    """

    kernel: Tensor
    bias: Tensor

    def __init__(
        self,
        kernel: Tensor,
        bias: Tensor,
        requantisation: Requantisation,
        *,
        pattern: Pattern = DENSE,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        convention: str | None = None,
        submanifold: bool | None = None,
    ) -> None:
        super().__init__()
        shape = (math.prod(kernel_size), "in channels", "out channels")
        if kernel.dtype is not torch.int8 or kernel.dim() != 3 or len(kernel) != shape[0]:
            raise ValueError(f"kernel must be int8 of {shape}, not {kernel.dtype} of {tuple(kernel.shape)}")
        if bias.dtype is not torch.int32 or bias.shape != kernel.shape[2:]:
            raise ValueError(f"bias must be int32 of ({kernel.shape[2]},), not {bias.dtype} of {tuple(bias.shape)}")
        if not follows(kernel, pattern):
            raise ValueError(f"kernel must keep at most {pattern} along its input channels: prune it first")
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", bias)
        self.requantisation = requantisation
        self.pattern = pattern
        self.kernel_size, self.stride = kernel_size, stride
        self.padding, self.dilation = padding, dilation
        self.convention, self.submanifold = convention, submanifold

    @classmethod
    def from_layer(
        cls,
        layer: Convolution,
        *,
        kernel: Tensor,
        bias: Tensor,
        in_scale: float,
        out_scale: float,
        relu: bool,
        pattern: Pattern = DENSE,
    ) -> QuantisedConv:
        """The layer in int8 with a float kernel (volume, in, out) and bias: its own, or those with a norm folded in.
        One scale for all of the weights. The pattern prunes by magnitude first.

        Raises ValueError for a transposed layer, values that are not finite, a bias that does not fit int32 at these
        scales, and scales that do not fit.
        """
        if layer.transposed:
            raise ValueError("transposed must be False: transposed layers have no int8 form here")
        pruned = prune_kernel(kernel, pattern)
        scale = scale_of(pruned)
        unit = in_scale * scale
        start = (bias.detach().double() / unit).round()
        if not (torch.isfinite(start) & (start.abs() < 2**31)).all():
            raise ValueError(f"bias must fit int32 in units of {unit:.3g}, the scale of inputs times that of weights")
        convention, padding = layer.convention or convention_of(layer._config), layer.padding
        if layer.convention is None and convention == "minkowski":
            padding = (0,) * layer.ndim  # as the float layer
        return cls(
            to_int8(pruned, scale),
            start.to(torch.int32),
            Requantisation.of_scale(unit / out_scale, relu=relu),
            pattern=pattern,
            kernel_size=layer.kernel_size,
            stride=layer.stride,
            padding=padding,
            dilation=make_ntuple(layer.dilation, layer.ndim, "dilation", least=1),
            convention=convention,
            submanifold=layer.submanifold,
        )

    def find_map(self, input: SparseTensor) -> KernelMap:
        """The kernel map of the layer on a tensor."""
        return find_map(
            input,
            self.kernel_size,
            self.stride,
            self.dilation,
            self.padding,
            convention=self.convention,
            submanifold=self.submanifold,
        )

    def sums(self, input: SparseTensor) -> SparseTensor:
        """The int32 sums, with the bias, of a tensor of int8 features. Raises TypeError for others."""
        if input.feats.dtype is not torch.int8:
            raise TypeError(f"feats must be int8, not {input.feats.dtype}")
        return conv(
            input,
            self.kernel,
            self.kernel_size,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            convention=self.convention,
            submanifold=self.submanifold,
        )

    def forward(self, input: SparseTensor) -> SparseTensor:
        """Int8 features from int8 features."""
        sums = self.sums(input)
        return sums.with_feats(self.requantisation.apply(sums.feats))


class QuantisedNetwork(nn.Sequential):
    """Layers in int8, one after the other. `in_scale`: what one step of the int8 inputs is worth; `out_scale` of the
    outputs."""

    def __init__(self, layers: Sequence[QuantisedConv], *, in_scale: float, out_scale: float) -> None:
        super().__init__(*layers)
        self.in_scale, self.out_scale = in_scale, out_scale

    def quantise_input(self, input: SparseTensor) -> SparseTensor:
        """The tensor with int8 features."""
        return input.with_feats(to_int8(input.feats, self.in_scale))
