"""Functions of layers that have no arguments of their own to keep."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from zeroskip.model.sparseconv.maps import strided_map
from zeroskip.model.sparseconv.operators import fapply
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuples import Size, make_ntuple


def relu(input: SparseTensor, inplace: bool = True) -> SparseTensor:
    """ReLU of the features; in place unless told otherwise, as in torchsparse."""
    return fapply(input, functional.relu, inplace=inplace)


def leaky_relu(input: SparseTensor, negative_slope: float = 0.1, inplace: bool = True) -> SparseTensor:
    """Leaky ReLU of the features; torchsparse's slope and place."""
    return fapply(input, functional.leaky_relu, negative_slope=negative_slope, inplace=inplace)


def silu(input: SparseTensor, inplace: bool = True) -> SparseTensor:
    """SiLU of the features; in place unless told otherwise."""
    return fapply(input, functional.silu, inplace=inplace)


def spdownsample(
    coords: Tensor,
    stride: Size = 2,
    kernel_size: Size = 2,
    padding: Size = 0,
    spatial_range: tuple[int, ...] | None = None,
    downsample_mode: str = "spconv",
) -> Tensor:
    """Coordinates (M, 1 + axes) of the outputs of a strided layer on voxels (N, 1 + axes), sorted."""
    axes = coords.shape[1] - 1
    kmap = strided_map(
        coords,
        make_ntuple(kernel_size, axes, "kernel_size", least=1),
        make_ntuple(stride, axes, "stride", least=1),
        (1,) * axes,
        (0,) * axes if downsample_mode == "minkowski" else make_ntuple(padding, axes, "padding", least=0),
        downsample_mode,
        spatial_range,
    )
    return kmap.out_coords
