"""Layers with spconv's names, arguments, defaults and weights (out channels, *size, in channels)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zeroskip.model.sparseconv.functional import conv_on, find_map
from zeroskip.model.sparseconv.kernel import from_spconv
from zeroskip.model.sparseconv.maps import KernelMap, generative_map
from zeroskip.model.sparseconv.pooling import avg_pool, global_avg_pool, global_max_pool, max_pool
from zeroskip.model.sparseconv.spconv.tensor import KeptMap, SparseConvTensor, SparseModule
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuples import Size, make_ntuple


class SparseConvolution(SparseModule):
    """What convolutions have in common.

    Args:
        groups: 1; spconv has no others.
        indice_key: a name for the map: an inverse layer with this name undoes this layer.
        algo, fp32_accum, name, and others of spconv: change nothing here.

    `weight` is (out channels, *size, in channels). Of a kernel of one element with stride 1, spconv reads it as
    (in channels, out channels), and so do these layers: see `kernel.from_spconv`.
    """

    ndim: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        indice_key: str | None = None,
        algo: Any = None,
        fp32_accum: bool | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        if groups != 1:
            raise ValueError(f"groups must be 1, not {groups}: spconv has no grouped convolutions")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = make_ntuple(kernel_size, self.ndim, "kernel_size", least=1)
        self.stride = make_ntuple(stride, self.ndim, "stride", least=1)
        self.padding = make_ntuple(padding, self.ndim, "padding", least=0)
        self.dilation = make_ntuple(dilation, self.ndim, "dilation", least=1)
        self.indice_key = indice_key
        self.weight = nn.Parameter(torch.empty(out_channels, *self.kernel_size, in_channels))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform weights, as spconv and torch draw them."""
        bound = 1 / math.sqrt(self.in_channels * math.prod(self.kernel_size))
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, bias={self.bias is not None}"
        )

    def forward(self, input: SparseConvTensor) -> SparseConvTensor:
        """Convolves. Raises as `functional.conv` does, and `ValueError` for a wrong `indice_key`."""
        voxels = _voxels(self, input)
        kmap = self._map(input, voxels)
        return input.like(
            conv_on(voxels, from_spconv(self.weight, self._steps()), kmap, self.bias), self._kept(input, kmap)
        )

    def _steps(self) -> tuple[int, ...]:
        """The stride that has an effect."""
        return self.stride

    def _map(self, input: SparseConvTensor, voxels: SparseTensor) -> KernelMap:
        raise NotImplementedError

    def _kept(self, input: SparseConvTensor, kmap: KernelMap) -> dict[str, KeptMap]:
        return input.keeping(self.indice_key, kmap)


def is_sparse_conv(module: nn.Module) -> bool:
    """Whether a module is a convolution of this package."""
    return isinstance(module, SparseConvolution)


class _SubM(SparseConvolution):
    """Outputs at the inputs' voxels. Sizes must be odd. `padding` has no effect, as in spconv.

    `stride` must be 1; a layer of size 1 may have another, which has no effect, as in spconv.
    """

    def _steps(self) -> tuple[int, ...]:
        return (1,) * self.ndim

    def _map(self, input: SparseConvTensor, voxels: SparseTensor) -> KernelMap:
        is_strided = set(self.stride) != {1} and set(self.kernel_size) != {1}
        if is_strided or any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(
                f"a submanifold layer must have stride 1 and odd sizes, not {self.stride} and {self.kernel_size}"
            )
        return find_map(voxels, self.kernel_size, 1, self.dilation, submanifold=True)

    def _kept(self, input: SparseConvTensor, kmap: KernelMap) -> dict[str, KeptMap]:
        # Layers of one name share their map; it is found by its voxels.
        if self.indice_key in input.indice_dict:
            return input.indice_dict
        return super()._kept(input, kmap)


class _Strided(SparseConvolution):
    """Outputs wherever a dense convolution sees an input, for stride 1, too."""

    def _map(self, input: SparseConvTensor, voxels: SparseTensor) -> KernelMap:
        return find_map(
            voxels,
            self.kernel_size,
            self.stride,
            self.dilation,
            self.padding,
            convention="spconv",
            submanifold=False,
        )


class _Transposed(SparseConvolution):
    """Outputs wherever a dense transposed convolution sees an input."""

    def _map(self, input: SparseConvTensor, voxels: SparseTensor) -> KernelMap:
        return generative_map(
            voxels.coords,
            self.kernel_size,
            self.stride,
            self.dilation,
            self.padding,
            "spconv",
            voxels.spatial_range,
        )


class _Inverse(SparseConvolution):
    """Undoes the layer with the same `indice_key`: the outputs are at that layer's inputs."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        indice_key: str | None = None,
        bias: bool = True,
        algo: Any = None,
        fp32_accum: bool | None = None,
        **others: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias, indice_key=indice_key)

    def _map(self, input: SparseConvTensor, voxels: SparseTensor) -> KernelMap:
        kept = input.indice_dict.get(self.indice_key or "")
        if kept is None or kept.kmap.convention is None:
            raise ValueError(
                f"indice_key must be that of a layer before that moved the voxels, not {self.indice_key!r}; known: "
                f"{', '.join(input.indice_dict) or 'none'}"
            )
        if kept.kmap.geometry.size != self.kernel_size:
            raise ValueError(
                f"kernel_size must be {kept.kmap.geometry.size}, that of the layer {self.indice_key!r}, not "
                f"{self.kernel_size}"
            )
        return kept.kmap.transposed

    def _kept(self, input: SparseConvTensor, kmap: KernelMap) -> dict[str, KeptMap]:
        return input.indice_dict


class SparsePool(SparseModule):
    """What pooling layers have in common. Absent voxels are never the largest and count in no mean."""

    ndim: ClassVar[int]
    largest: ClassVar[bool]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        indice_key: str | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        self.kernel_size = make_ntuple(kernel_size, self.ndim, "kernel_size", least=1)
        self.stride = self.kernel_size if stride is None else make_ntuple(stride, self.ndim, "stride", least=1)
        self.padding = make_ntuple(padding, self.ndim, "padding", least=0)
        self.dilation = make_ntuple(dilation, self.ndim, "dilation", least=1)
        self.indice_key = indice_key

    def forward(self, input: SparseConvTensor) -> SparseConvTensor:
        """Pools; outputs are where a dense pooling sees an input."""
        voxels = _voxels(self, input)
        window = self.kernel_size, self.stride, self.padding, self.dilation
        pooled = (max_pool if self.largest else avg_pool)(voxels, *window)
        size, stride, padding, dilation = window
        kmap = find_map(voxels, size, stride, dilation, padding, submanifold=False)
        return input.like(pooled, input.keeping(self.indice_key, kmap))


class SparseGlobalMaxPool(SparseModule):
    """(batches, channels): the largest features of each batch."""

    def forward(self, input: SparseConvTensor) -> Tensor:
        """See `pooling.global_max_pool`."""
        return global_max_pool(input.voxels())


class SparseGlobalAvgPool(SparseModule):
    """(batches, channels): the mean features of each batch."""

    def forward(self, input: SparseConvTensor) -> Tensor:
        """See `pooling.global_avg_pool`."""
        return global_avg_pool(input.voxels())


def _voxels(layer: SparseConvolution | SparsePool, input: SparseConvTensor) -> SparseTensor:
    if not isinstance(input, SparseConvTensor):
        raise TypeError(f"{type(layer).__name__} takes a SparseConvTensor, not {type(input).__name__}")
    if len(input.spatial_shape) != layer.ndim:
        raise ValueError(
            f"{type(layer).__name__} needs a tensor with {layer.ndim} axes after the batch index, not "
            f"{len(input.spatial_shape)}"
        )
    return input.voxels()


class SubMConv1d(_SubM):
    """A submanifold convolution along one axis."""

    ndim = 1


class SubMConv2d(_SubM):
    """A submanifold convolution along two axes."""

    ndim = 2


class SubMConv3d(_SubM):
    """A submanifold convolution along three axes."""

    ndim = 3


class SubMConv4d(_SubM):
    """A submanifold convolution along four axes."""

    ndim = 4


class SparseConv1d(_Strided):
    """A convolution along one axis."""

    ndim = 1


class SparseConv2d(_Strided):
    """A convolution along two axes."""

    ndim = 2


class SparseConv3d(_Strided):
    """A convolution along three axes."""

    ndim = 3


class SparseConv4d(_Strided):
    """A convolution along four axes."""

    ndim = 4


class SparseConvTranspose1d(_Transposed):
    """A transposed convolution along one axis."""

    ndim = 1


class SparseConvTranspose2d(_Transposed):
    """A transposed convolution along two axes."""

    ndim = 2


class SparseConvTranspose3d(_Transposed):
    """A transposed convolution along three axes."""

    ndim = 3


class SparseConvTranspose4d(_Transposed):
    """A transposed convolution along four axes."""

    ndim = 4


class SparseInverseConv1d(_Inverse):
    """The inverse of a convolution along one axis."""

    ndim = 1


class SparseInverseConv2d(_Inverse):
    """The inverse of a convolution along two axes."""

    ndim = 2


class SparseInverseConv3d(_Inverse):
    """The inverse of a convolution along three axes."""

    ndim = 3


class SparseInverseConv4d(_Inverse):
    """The inverse of a convolution along four axes."""

    ndim = 4


class SparseMaxPool1d(SparsePool):
    """The largest features along one axis."""

    ndim = 1
    largest = True


class SparseMaxPool2d(SparsePool):
    """The largest features along two axes."""

    ndim = 2
    largest = True


class SparseMaxPool3d(SparsePool):
    """The largest features along three axes."""

    ndim = 3
    largest = True


class SparseMaxPool4d(SparsePool):
    """The largest features along four axes."""

    ndim = 4
    largest = True


class SparseAvgPool1d(SparsePool):
    """Mean features along one axis."""

    ndim = 1
    largest = False


class SparseAvgPool2d(SparsePool):
    """Mean features along two axes."""

    ndim = 2
    largest = False


class SparseAvgPool3d(SparsePool):
    """Mean features along three axes."""

    ndim = 3
    largest = False


class SparseAvgPool4d(SparsePool):
    """Mean features along four axes."""

    ndim = 4
    largest = False
