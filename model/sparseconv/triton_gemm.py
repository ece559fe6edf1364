"""Execution on a GPU: implicit GEMM in Triton, as TorchSparse++ has it (section 1.2 of its paper, arXiv 2311.12862).

One program makes a tile of outputs. For each element of the kernel it gathers the inputs of its rows, multiplies them
by the element's weights, and adds the products in its registers: no partial sum goes to memory, no two programs write
one output, and equal operands always give equal bits. Rows are sorted by the set of their elements, so that a tile
skips the elements that none of its rows has. The gradient of the weights is a GEMM over the pairs of an element, cut
into chunks that are added in a fixed order.

Sums are in float32, of int8 in int32. Float32 products are exact in float32 unless
`torch.backends.cuda.matmul.allow_tf32` is set, as for torch's own. Triton comes with torch's builds for CUDA.
"""

from __future__ import annotations

import importlib.util
from itertools import pairwise

import torch
from torch import Tensor

from zeroskip.model.sparseconv.maps import KernelMap

NAME = "triton"
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int8)

_ROWS = 64
"""Outputs of a tile."""
_SIGNATURE_BITS = 62
"""Elements of the kernel that the order of rows looks at."""
_CHUNK = 2048
"""Pairs of a chunk of the weights' gradient, at least."""
_CHUNKS = 64
"""Chunks of one element, at most."""


def can_run(feats: Tensor) -> bool:
    """True for features on a GPU, of a type in DTYPES, where Triton is installed."""
    return feats.is_cuda and feats.dtype in DTYPES and importlib.util.find_spec("triton") is not None


def convolve(feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
    """Sums (outputs, out channels) of feats (inputs, in channels) by weight (volume, in channels, out channels)."""
    from zeroskip.model.sparseconv import triton_kernels

    feats, weight = feats.contiguous(), weight.contiguous()
    into = torch.int32 if feats.dtype is torch.int8 else feats.dtype
    result = torch.empty(kmap.out_count, weight.shape[2], dtype=into, device=feats.device)
    if not result.numel():
        return result
    table, order = _table(kmap)
    in_channels, out_channels = weight.shape[1:]
    # Wider tiles of float32 do not fit the registers.
    columns = _block(out_channels, 16, 64 if feats.dtype is torch.float32 else 128)
    grid = (table.shape[1] // _ROWS, -(-out_channels // columns))
    triton_kernels.convolve[grid](
        feats,
        weight,
        table,
        order,
        result,
        kmap.out_count,
        table.shape[1],
        in_channels=in_channels,
        out_channels=out_channels,
        volume=kmap.volume,
        ROWS=_ROWS,
        COLUMNS=columns,
        DEPTH=_block(in_channels, 32, 64),
        PRECISION=_precision(),
        WHOLE=into is torch.int32,
    )
    return result


def weight_gradient(feats: Tensor, gradient: Tensor, kmap: KernelMap) -> Tensor:
    """(volume, in channels, out channels): for each element the sum of feats[input] x gradient[output]."""
    from zeroskip.model.sparseconv import triton_kernels

    feats, gradient = feats.contiguous(), gradient.contiguous()
    most = max(kmap.sizes, default=0)
    chunk = max(_CHUNK, _power_of_2(-(-most // _CHUNKS)))
    chunks = max(1, -(-most // chunk))
    in_channels, out_channels = feats.shape[1], gradient.shape[1]
    parts = torch.zeros(kmap.volume, chunks, in_channels, out_channels, dtype=torch.float32, device=feats.device)
    rows, columns = _block(in_channels, 16, 64), _block(out_channels, 16, 64)
    tiles = -(-in_channels // rows) * -(-out_channels // columns)
    triton_kernels.weight_gradient[kmap.volume, chunks, tiles](
        feats,
        gradient,
        kmap.inputs,
        kmap.outputs,
        torch.tensor(kmap.starts, dtype=torch.int64, device=feats.device),
        parts,
        chunks,
        chunk=chunk,
        in_channels=in_channels,
        out_channels=out_channels,
        ROWS=rows,
        COLUMNS=columns,
        DEPTH=32,
        PRECISION=_precision(),
    )
    return parts.sum(dim=1).to(feats.dtype)


def _block(size: int, least: int, most: int) -> int:
    return min(most, max(least, _power_of_2(size)))


def _power_of_2(size: int) -> int:
    """The least power of two that is not smaller."""
    return 1 << (size - 1).bit_length() if size else 1


def _precision() -> str:
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee"


def _table(kmap: KernelMap) -> tuple[Tensor, Tensor]:
    """The input of each output through each element, -1 where there is none (volume, outputs up to whole tiles), and
    the output of each column, in the order of the tiles."""
    if NAME not in kmap.derived:
        device, count = kmap.inputs.device, kmap.out_count
        table = torch.full((kmap.volume, count), -1, dtype=torch.int32, device=device)
        sizes = torch.tensor([end - start for start, end in pairwise(kmap.starts)], device=device)
        elements = torch.repeat_interleave(torch.arange(kmap.volume, device=device), sizes)
        table[elements, kmap.outputs.long()] = kmap.inputs
        met = (table[:_SIGNATURE_BITS] >= 0).long()
        signature = (met << torch.arange(len(met), device=device)[:, None]).sum(dim=0)
        order = torch.argsort(signature, descending=True, stable=True)
        padded = torch.full((kmap.volume, -(-count // _ROWS) * _ROWS), -1, dtype=torch.int32, device=device)
        padded[:, :count] = table[:, order]
        kmap.derived[NAME] = padded, order
    return kmap.derived[NAME]
