"""The kernels of `triton_gemm`. This module needs Triton."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def convolve(
    feats,
    weight,
    table,
    order,
    result,
    outputs,
    padded,
    in_channels: tl.constexpr,
    out_channels: tl.constexpr,
    volume: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
    WHOLE: tl.constexpr,
):
    SUM: tl.constexpr = tl.int32 if WHOLE else tl.float32
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    sums = tl.zeros((ROWS, COLUMNS), SUM)
    for element in range(volume):
        source = tl.load(table + element * padded.to(tl.int64) + row)
        if tl.max(source, 0) >= 0:
            there = source >= 0
            place = source.to(tl.int64) * in_channels
            for start in range(0, in_channels, DEPTH):
                channel = start + tl.arange(0, DEPTH)
                inside = channel < in_channels
                a = tl.load(feats + place[:, None] + channel[None, :], there[:, None] & inside[None, :], 0)
                weights = weight + (element * in_channels + channel[:, None]) * out_channels
                b = tl.load(weights + column[None, :], inside[:, None] & (column < out_channels)[None, :], 0)
                sums += tl.dot(a, b, out_dtype=SUM, input_precision=PRECISION)
    target = tl.load(order + row, row < outputs, 0)
    kept = (row < outputs)[:, None] & (column < out_channels)[None, :]
    tl.store(result + target[:, None] * out_channels + column[None, :], sums, kept)


@triton.jit
def weight_gradient(
    feats,
    gradient,
    inputs,
    outputs,
    starts,
    parts,
    chunks,
    chunk: tl.constexpr,
    in_channels: tl.constexpr,
    out_channels: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    element = tl.program_id(0).to(tl.int64)
    first = tl.load(starts + element) + tl.program_id(1).to(tl.int64) * chunk
    last = tl.load(starts + element + 1)
    across = tl.cdiv(out_channels, COLUMNS)
    row = tl.program_id(2) // across * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(2) % across * COLUMNS + tl.arange(0, COLUMNS)
    sums = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, chunk, DEPTH):
        if first + start < last:
            pair = first + start + tl.arange(0, DEPTH)
            there = pair < last
            source = tl.load(inputs + pair, there, 0).to(tl.int64)
            target = tl.load(outputs + pair, there, 0).to(tl.int64)
            a = tl.load(
                feats + source[None, :] * in_channels + row[:, None], (row < in_channels)[:, None] & there[None, :], 0
            )
            b = tl.load(
                gradient + target[:, None] * out_channels + column[None, :],
                there[:, None] & (column < out_channels)[None, :],
                0,
            )
            sums += tl.dot(a, b, input_precision=PRECISION)
    part = parts + (element * chunks + tl.program_id(1)) * in_channels * out_channels
    kept = (row < in_channels)[:, None] & (column < out_channels)[None, :]
    tl.store(part + row[:, None] * out_channels + column[None, :], sums, kept)
