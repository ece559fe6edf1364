"""Convolution layers with torchsparse's names, arguments, defaults and weights."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn

from zeroskip.model.sparseconv.functional import conv
from zeroskip.model.sparseconv.settings import convention_of
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuples import Size, make_ntuple


class Convolution(nn.Module):
    """A sparse convolution along `ndim` axes.

    Args:
        in_channels, out_channels: of the features.
        kernel_size, stride, dilation: one integer, or one for each axis. A layer of stride 1 is submanifold: its
            outputs are at the voxels of its inputs.
        padding: of strided layers. A layer of stride 1 and odd size has (kernel size - 1) / 2 in any case, as in
            torchsparse.
        bias: whether each output channel has one.
        transposed: undoes the strided layer of the same kernel size, stride and dilation that ran before.
        generative: with `transposed`: makes its outputs instead.
        config: None, or a dictionary or object with a `downsample_mode` ("spconv" or "minkowski"). The rest of
            torchsparse's configurations changes nothing here.
        convention: of strided and generative layers; None: the downsample mode of `config`, or of the settings.
        submanifold: False: a layer of stride 1, too, has outputs wherever it sees an input.

    The weights are `kernel` (volume, in channels, out channels), elements in the order of `kernel.kernel_elements`; for
    one element and stride 1 (in channels, out channels); and `bias` (out channels,).
    """

    ndim: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        bias: bool = False,
        transposed: bool = False,
        generative: bool = False,
        config: Any = None,
        *,
        convention: str | None = None,
        submanifold: bool | None = None,
    ) -> None:
        super().__init__()
        for field, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels < 1:
                raise ValueError(f"{field} must be at least 1, not {channels}")
        if generative and not transposed:
            raise ValueError("generative must go with transposed=True: a generative layer is a transposed one")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = make_ntuple(kernel_size, self.ndim, "kernel_size", least=1)
        self.stride = make_ntuple(stride, self.ndim, "stride", least=1)
        self.dilation = dilation
        make_ntuple(dilation, self.ndim, "dilation", least=1)
        given = make_ntuple(padding, self.ndim, "padding", least=0)
        forced = submanifold is not False
        self.padding = tuple(
            (size - 1) // 2 if forced and size % 2 == 1 and step == 1 else pad
            for size, step, pad in zip(self.kernel_size, self.stride, given, strict=True)
        )
        self.transposed = transposed
        self.generative = generative
        self.convention = convention
        self.submanifold = submanifold
        self._config = config
        self.kernel_volume = math.prod(self.kernel_size)
        is_matrix = self.kernel_volume == 1 and set(self.stride) == {1}
        shape = (in_channels, out_channels) if is_matrix else (self.kernel_volume, in_channels, out_channels)
        self.kernel = nn.Parameter(torch.empty(shape))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def extra_repr(self) -> str:
        """The arguments that differ from the defaults."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"]
        if set(self.stride) != {1}:
            parts.append(f"stride={self.stride}")
        if self.dilation != 1:
            parts.append(f"dilation={self.dilation}")
        if self.bias is None:
            parts.append("bias=False")
        parts += [f"{name}=True" for name in ("transposed", "generative") if getattr(self, name)]
        return ", ".join(parts)

    def reset_parameters(self) -> None:
        """Uniform weights, as torchsparse draws them."""
        channels = self.out_channels if self.transposed else self.in_channels
        bound = 1 / math.sqrt(channels * self.kernel_volume)
        nn.init.uniform_(self.kernel, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: SparseTensor) -> SparseTensor:
        """Convolves; see `functional.conv` for the errors."""
        if input.ndim != self.ndim:
            raise ValueError(
                f"{type(self).__name__} needs a tensor with {self.ndim} axes after the batch index, not {input.ndim}"
            )
        convention, padding = self.convention, self.padding
        if convention is None and not self.transposed:
            convention = convention_of(self._config)
            if convention == "minkowski":
                padding = (0,) * self.ndim  # has no effect with this mode, says torchsparse
        return conv(
            input,
            self.kernel,
            self.kernel_size,
            self.bias,
            self.stride,
            padding,
            self.dilation,
            transposed=self.transposed,
            generative=self.generative,
            convention=convention,
            submanifold=self.submanifold,
        )


class Conv1d(Convolution):
    """`Convolution` along one axis."""

    ndim = 1


class Conv2d(Convolution):
    """`Convolution` along two axes."""

    ndim = 2


class Conv3d(Convolution):
    """`Convolution` along three axes: torchsparse's layer."""

    ndim = 3


class Conv4d(Convolution):
    """`Convolution` along four axes."""

    ndim = 4
