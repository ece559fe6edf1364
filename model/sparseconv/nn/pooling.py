"""Pooling layers, with the arguments of spconv's and torchsparse's."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from zeroskip.model.sparseconv.pooling import avg_pool, global_avg_pool, global_max_pool, max_pool
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuples import Size, make_ntuple


class _Pool(nn.Module):
    """What pooling layers have in common; see `pooling.max_pool` for the arguments."""

    ndim: ClassVar[int]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        *,
        convention: str | None = None,
        submanifold: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = make_ntuple(kernel_size, self.ndim, "kernel_size", least=1)
        self.stride = self.kernel_size if stride is None else make_ntuple(stride, self.ndim, "stride", least=1)
        self.padding = make_ntuple(padding, self.ndim, "padding", least=0)
        self.dilation = make_ntuple(dilation, self.ndim, "dilation", least=1)
        self.convention = convention
        self.submanifold = submanifold

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"

    def _require_axes(self, input: SparseTensor) -> None:
        if input.ndim != self.ndim:
            raise ValueError(
                f"{type(self).__name__} needs a tensor with {self.ndim} axes after the batch index, not {input.ndim}"
            )


class _MaxPool(_Pool):
    """`pooling.max_pool` as a layer."""

    def forward(self, input: SparseTensor) -> SparseTensor:
        """The largest features of the voxels that each output sees."""
        self._require_axes(input)
        return max_pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            convention=self.convention,
            submanifold=self.submanifold,
        )


class _AvgPool(_Pool):
    """`pooling.avg_pool` as a layer."""

    def forward(self, input: SparseTensor) -> SparseTensor:
        """The mean features of the voxels that each output sees."""
        self._require_axes(input)
        return avg_pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            convention=self.convention,
            submanifold=self.submanifold,
        )


class GlobalMaxPool(nn.Module):
    """(batches, channels): the largest features of each batch."""

    def forward(self, input: SparseTensor) -> Tensor:
        """See `pooling.global_max_pool`."""
        return global_max_pool(input)


class GlobalAvgPool(nn.Module):
    """(batches, channels): the mean features of each batch."""

    def forward(self, input: SparseTensor) -> Tensor:
        """See `pooling.global_avg_pool`."""
        return global_avg_pool(input)


class MaxPool1d(_MaxPool):
    """`pooling.max_pool` along one axis."""

    ndim = 1


class AvgPool1d(_AvgPool):
    """`pooling.avg_pool` along one axis."""

    ndim = 1


class MaxPool2d(_MaxPool):
    """`pooling.max_pool` along two axes."""

    ndim = 2


class AvgPool2d(_AvgPool):
    """`pooling.avg_pool` along two axes."""

    ndim = 2


class MaxPool3d(_MaxPool):
    """`pooling.max_pool` along three axes."""

    ndim = 3


class AvgPool3d(_AvgPool):
    """`pooling.avg_pool` along three axes."""

    ndim = 3


class MaxPool4d(_MaxPool):
    """`pooling.max_pool` along four axes."""

    ndim = 4


class AvgPool4d(_AvgPool):
    """`pooling.avg_pool` along four axes."""

    ndim = 4
