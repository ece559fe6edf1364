"""The fast execution on a CPU: gathering, multiplying and summing in one, tile by tile of the outputs.

No partial sums are stored: a tile's sums stay in the cache until they are complete. Tiles run in parallel. Each output
sums its pairs in the order of the map, and each weight's gradient in segments that depend on the map alone, so results
have the same bits in every run and with any number of threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.native.library import compiled, integer, pointer, threads
from zeroskip.model.sparseconv.reference import finished, sum_type

NAME = "fused"

_KINDS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2, torch.int8: 3, torch.float64: 4}
"""The numbers of the types in the kernels."""

_TILE_BYTES = 1 << 16
"""The sums of a tile, in the second cache."""

_LEAST_TILE, _LARGEST_TILE = 16, 512
_TILES_PER_THREAD = 8


def can_run(feats: Tensor) -> bool:
    """True for types and devices that have a kernel."""
    return feats.device.type == "cpu" and feats.dtype in _KINDS and compiled() is not None


def convolve(feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
    """Sums (outputs, out channels) of feats (inputs, in channels) by weight (volume, in channels, out channels)."""
    kernels = compiled()
    assert kernels is not None
    # int8 is multiplied as float32, exactly, and summed as int32.
    operand_type = torch.float32 if feats.dtype is torch.int8 else sum_type(feats.dtype)
    columns = weight.shape[2]
    feats, weight = feats.contiguous(), weight.to(operand_type).contiguous()
    sums = torch.empty(kmap.out_count, columns, dtype=sum_type(feats.dtype))
    kernels.zeroskip_convolve(
        _KINDS[feats.dtype],
        pointer(feats),
        pointer(weight),
        pointer(sums),
        pointer(kmap.inputs),
        pointer(kmap.outputs),
        pointer(_starts(kmap)),
        integer(kmap.volume),
        integer(kmap.out_count),
        integer(feats.shape[1]),
        integer(columns),
        integer(_tile(kmap.out_count, columns * sums.element_size())),
        threads(len(kmap.inputs) * feats.shape[1] * columns),
    )
    return finished(sums, feats.dtype)


def weight_gradient(feats: Tensor, gradient: Tensor, kmap: KernelMap) -> Tensor:
    """(volume, in channels, out channels): for each element the sum of feats[input] x gradient[output]."""
    kernels = compiled()
    assert kernels is not None
    feats, gradient = feats.contiguous(), gradient.contiguous()
    result = torch.empty(kmap.volume, feats.shape[1], gradient.shape[1], dtype=sum_type(feats.dtype))
    kernels.zeroskip_weight_gradient(
        _KINDS[feats.dtype],
        pointer(feats),
        pointer(gradient),
        pointer(result),
        pointer(kmap.inputs),
        pointer(kmap.outputs),
        pointer(_starts(kmap)),
        integer(kmap.volume),
        integer(feats.shape[1]),
        integer(gradient.shape[1]),
        threads(len(kmap.inputs) * feats.shape[1] * gradient.shape[1]),
    )
    return result.to(feats.dtype)


def _tile(outputs: int, row_bytes: int) -> int:
    """Outputs of a tile: their sums fit into the cache, and every thread has several tiles."""
    fitting = min(max(_TILE_BYTES // max(row_bytes, 1), _LEAST_TILE), _LARGEST_TILE)
    shared = -(-outputs // (_TILES_PER_THREAD * torch.get_num_threads()))
    return max(min(fitting, shared), _LEAST_TILE)


def _starts(kmap: KernelMap) -> Tensor:
    if "starts" not in kmap.derived:
        kmap.derived["starts"] = torch.tensor(kmap.starts, dtype=torch.int64)
    starts: Tensor = kmap.derived["starts"]
    return starts
