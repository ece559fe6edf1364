"""Sparse convolutions as functions, with torchsparse's arguments."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from zeroskip.model.sparseconv.autograd import Convolve
from zeroskip.model.sparseconv.maps import CONVENTIONS, KernelMap, generative_map, strided_map, submanifold_map
from zeroskip.model.sparseconv.settings import convention_of
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuner import chosen_execution
from zeroskip.model.sparseconv.tuples import Size, make_ntuple

_INTEGER_BIASES = (torch.int32, torch.int16, torch.int8)


def conv3d(
    input: SparseTensor,
    weight: Tensor,
    kernel_size: Size,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    config: Any = None,
    transposed: bool = False,
    generative: bool = False,
    training: bool = False,
    convention: str | None = None,
    submanifold: bool | None = None,
) -> SparseTensor:
    """`conv` along three axes, with the arguments of torchsparse 2.1; `config` and `training` change no result.

    The `downsample_mode` ("spconv", "minkowski") of `config`, or else of the settings, is the convention of strided
    layers unless `convention` is given.
    """
    if input.ndim != 3:
        raise ValueError(f"conv3d needs a tensor with 3 axes, not {input.ndim}; conv takes 1 to 4")
    if convention is None and not transposed:
        convention = convention_of(config)
        if convention == "minkowski":
            padding = 0  # has no effect with this mode, says torchsparse
    return conv(
        input,
        weight,
        kernel_size,
        bias,
        stride,
        padding,
        dilation,
        transposed=transposed,
        generative=generative,
        convention=convention,
        submanifold=submanifold,
    )


def conv(
    input: SparseTensor,
    weight: Tensor,
    kernel_size: Size,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    transposed: bool = False,
    generative: bool = False,
    convention: str | None = None,
    submanifold: bool | None = None,
) -> SparseTensor:
    """Convolves a sparse tensor along its 1 to 4 axes.

    Args:
        input: the tensor; its maps are kept in caches that it shares with the result.
        weight: (volume, in channels, out channels), elements in the order of `kernel.kernel_elements`; a kernel of one
            element may be (in channels, out channels).
        bias: (out channels,), or None. Integers, in units of the sums, where the result is int32.
        padding: of strided layers (and of generative ones of convention "spconv"). A submanifold layer has none.
        transposed: undoes the strided layer of the same kernel size, stride and dilation that ran before in this
            network: the outputs are at that layer's inputs. With `generative` the outputs are made instead.
        convention: of strided layers "spconv" (None means it) or "minkowski", see `maps.strided_map`; of generative
            ones see `maps.generative_map`.
        submanifold: whether the outputs are at the inputs' voxels. None: for stride 1. False: a layer of stride 1, too,
            has outputs wherever it sees an input.

    Features and weights have the same type: float64, float32, float16 or bfloat16 (both summed in float32), or int8:
    then the result is int32. Under `torch.autocast` floats are converted to its type.

    Raises `ValueError` or `TypeError` for what does not fit together.
    """
    input.require_features()
    size = make_ntuple(kernel_size, input.ndim, "kernel_size", least=1)
    steps = make_ntuple(stride, input.ndim, "stride", least=1)
    feats, weight = _operands(input.feats, weight, size, bias)
    if set(size) == {1} and _is_in_place(steps, submanifold):
        result = input.with_feats(_matmul(feats, weight[0]))
    else:
        kmap = find_map(
            input,
            kernel_size,
            stride,
            dilation,
            padding,
            transposed=transposed,
            generative=generative,
            convention=convention,
            submanifold=submanifold,
        )
        sums = Convolve.apply(feats, weight, kmap, chosen_execution(feats, weight, kmap))
        result = input._sharing(sums, kmap.out_coords, out_stride(input, steps, transposed), kmap.out_range)
    if bias is not None:
        result = result.with_feats(result.feats + bias.to(result.feats.dtype))
    for tensor in (input, result):
        tensor._caches.cmaps.setdefault(tensor.stride, (tensor.coords, tensor.spatial_range))
    return result


def conv_on(input: SparseTensor, weight: Tensor, kmap: KernelMap, bias: Tensor | None = None) -> SparseTensor:
    """Convolves on a map that is known; operands as those of `conv`. The result keeps the input's tensor stride.

    Raises `ValueError` where the map is not for inputs at the coordinates of the tensor.
    """
    input.require_features()
    feats, weight = _operands(input.feats, weight, kmap.geometry.size, bias)
    if not kmap.starts_at(input.coords):
        raise ValueError(
            f"the kernel map must start at the coordinates of the tensor ({len(input)} voxels), but it is for "
            f"{kmap.in_count} other ones, or its coordinates were changed since"
        )
    sums = Convolve.apply(feats, weight, kmap, chosen_execution(feats, weight, kmap))
    result = input._sharing(sums, kmap.out_coords, input.stride, kmap.out_range)
    return result if bias is None else result.with_feats(result.feats + bias.to(result.feats.dtype))


def _operands(feats: Tensor, weight: Tensor, size: tuple[int, ...], bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Features and weights of one type and right shapes; weights as (volume, in, out)."""
    volume = prod(size)
    if volume == 1 and weight.dim() == 2:
        weight = weight[None]
    if weight.dim() != 3 or weight.shape[0] != volume:
        raise ValueError(
            f"weight must be ({volume}, in channels, out channels) for kernel size {size}, not {tuple(weight.shape)}"
        )
    if weight.shape[1] != feats.shape[1]:
        raise ValueError(f"feats must have the {weight.shape[1]} channels that weight takes, not {feats.shape[1]}")
    if bias is not None and bias.shape != weight.shape[2:]:
        raise ValueError(f"bias must be ({weight.shape[2]},), one for each output channel, not {tuple(bias.shape)}")
    if weight.device != feats.device:
        raise ValueError(f"feats and weight must be on the same device, not {feats.device} and {weight.device}")
    kind = feats.device.type
    if torch.is_autocast_enabled(kind) and feats.is_floating_point() and feats.dtype is not torch.float64:
        narrow = torch.get_autocast_dtype(kind)
        feats, weight = feats.to(narrow), weight.to(narrow)
    if feats.dtype != weight.dtype:
        raise TypeError(f"feats and weight must have the same type, not {feats.dtype} and {weight.dtype}")
    if feats.dtype is torch.int8 and bias is not None and bias.dtype not in _INTEGER_BIASES:
        raise TypeError(f"bias of an int8 layer must be integers (int32), in units of its sums, not {bias.dtype}")
    if feats.dtype is torch.int32:
        raise TypeError("feats of a convolution must be floats or int8, not int32: requantise the sums first")
    return feats, weight


def _matmul(feats: Tensor, matrix: Tensor) -> Tensor:
    """The product, summed in int32 for int8 and in float32 for narrower floats."""
    if feats.dtype is torch.int8:
        return feats.to(torch.int32) @ matrix.to(torch.int32)
    return feats @ matrix


def out_stride(input: SparseTensor, steps: tuple[int, ...], transposed: bool) -> tuple[int, ...]:
    """The tensor stride of a layer's result. Raises `ValueError` where a transposed layer's does not divide."""
    if not transposed:
        return tuple(level * step for level, step in zip(input.stride, steps, strict=True))
    if any(level % step for level, step in zip(input.stride, steps, strict=True)):
        raise ValueError(
            f"the stride of a transposed layer must divide the tensor's stride {input.stride}, not {steps}; make the "
            "tensor with the stride of its level"
        )
    return tuple(level // step for level, step in zip(input.stride, steps, strict=True))


def find_map(
    input: SparseTensor,
    kernel_size: Size,
    stride: Size = 1,
    dilation: Size = 1,
    padding: Size = 0,
    *,
    transposed: bool = False,
    generative: bool = False,
    convention: str | None = None,
    submanifold: bool | None = None,
) -> KernelMap:
    """The kernel map of a layer on this tensor, from the caches where they hold one for its coordinates.

    Arguments and errors are those of `conv`. Outputs are at `out_coords` of the map.
    """
    size = make_ntuple(kernel_size, input.ndim, "kernel_size", least=1)
    steps = make_ntuple(stride, input.ndim, "stride", least=1)
    spread = make_ntuple(dilation, input.ndim, "dilation", least=1)
    pad = make_ntuple(padding, input.ndim, "padding", least=0)
    if convention is not None and convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)}, not {convention!r}")
    if generative and not transposed:
        raise ValueError("generative must go with transposed=True: a generative layer is a transposed one")
    in_place = _is_in_place(steps, submanifold)
    level = out_stride(input, steps, transposed=True) if transposed else input.stride
    if generative and not in_place:
        # A dense transposed convolution knows nothing of the tensor that its input came from.
        fine_range = None if convention == "spconv" else input.range_at(level)
        return generative_map(input.coords, size, steps, spread, pad, convention, input.spatial_range, fine_range)
    known = input._caches.kmaps.setdefault((level, size, steps, spread), [])
    rule = None if in_place else convention or "spconv"
    if transposed and not in_place:
        return _undoing(input, known, (size, steps, spread), pad, rule)
    for kmap in reversed(known):
        is_alike = kmap.convention == rule and kmap.padding in (None, pad) and kmap.in_range == input.spatial_range
        if is_alike and kmap.starts_at(input.coords):
            break
    else:
        if in_place:
            kmap = submanifold_map(input.coords, size, spread, input.spatial_range)
        else:
            kmap = strided_map(input.coords, size, steps, spread, pad, convention or "spconv", input.spatial_range)
        known.append(kmap)
    return kmap.transposed if transposed else kmap


def _is_in_place(steps: tuple[int, ...], submanifold: bool | None) -> bool:
    if submanifold and set(steps) != {1}:
        raise ValueError(f"stride of a submanifold layer must be 1, not {steps}")
    return set(steps) == {1} and submanifold is not False


def _undoing(
    input: SparseTensor,
    known: list[KernelMap],
    kernel: tuple[tuple[int, ...], ...],
    pad: tuple[int, ...],
    rule: str | None,
) -> KernelMap:
    """The transposed of the strided map that made the tensor's coordinates. Where several did, those that made its
    spatial range go first, then those of a layer with the same padding and convention, then the newest."""
    made = [kmap for kmap in known if kmap.convention is not None and kmap.ends_at(input.coords)]
    if made:
        made = [kmap for kmap in made if kmap.out_range == input.spatial_range] or made
        alike = [kmap for kmap in made if kmap.padding == pad and kmap.convention == rule]
        return (alike or made)[-1].transposed
    size, steps, spread = kernel
    raise ValueError(
        f"a transposed layer must undo a strided one of this network: none of kernel size {size}, stride {steps} and "
        f"dilation {spread} has made the coordinates of this tensor (tensor stride {input.stride}), or they or those "
        "of its input were changed since; run it before on a tensor that this one descends from, or set generative=True"
    )
