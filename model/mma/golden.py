"""Integer model of tensor-core arithmetic on bits: what zeroskip.rtl.mma computes, and what GPUs were measured to do.

The block rule of a float mode (`BlockRule`; Fasi et al., PeerJ CS 330; Khattak and Mikaitis, arXiv 2512.07004), for K'
products and the addend c:

1. Products are exact, with a significand in [0, 4) and the sum of the exponents; subnormal operands keep the smallest
   exponent and are not renormalised. Terms that are zero are left out.
2. The largest exponent of the products and of c is found, at least `floor`.
3. Each term is truncated (toward zero) below `2**(largest - fraction_bits)`; then the terms are added exactly.
4. The sum is truncated to fp32, or rounded to nearest even for fp16. A sum of zero is +0, and so is a sum that
   truncation or rounding makes zero (`UNDERFLOW_KEEPS_SIGN`). A sum that is too large becomes infinite.
5. More products are added block after block; each result is the c of the next block.

Some fp8 modes add c last (`BlockRule.addend_last`). A step of 32 products begins from zero, and c is added to its
result, to nearest even; the next step's c is that sum. fp8 to fp32 on B200 is one block of 32, rounded to nearest
even. `mma.sync` of H100, and fp8 to fp16 on B200, are two blocks of 16: the places k with k mod 4 < 2, and to their
result the others.

A NaN, zero times infinity, or infinities of both signs give NaN (all bits one except the sign). Integers are added
exactly and wrap or saturate at 32 bits, after every `INTEGER_BLOCK` products.

Sparse products follow the same rule: the blocks go over the kept products in compressed order. An H100 does so in every
format (tests/model/mma/test_captures.py); for the other GPUs this is a hypothesis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma import vectors
from zeroskip.model.mma.gemm import Operand, check_product
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.kernels import add_blocks, add_exactly, add_integers, add_steps, decode
from zeroskip.model.mma.numerics import (
    EXACT,
    FP32,
    INTEGER_BLOCK,
    OPERANDS,
    RESULTS,
    BlockRule,
    IntFormat,
    block_rule,
    check_bits,
    check_mode,
    raw_type,
)

_NO_FLOOR = -(1 << 12)
"""Below all exponents."""

_TOGETHER = 1 << 22
"""Products that are computed together where only some results are, a limit on their memory."""


def dot(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], *, generation: str, dtype: str, out: str
) -> NDArray[np.uint16] | NDArray[np.uint32]:
    """The raw bits of `c + sum(a * b)` along the last axis, as a tensor core of `generation` computes it.

    `a` and `b` (..., K) are raw bits of `dtype`, `c` (...) raw bits of `out`, each in the unsigned type of its width
    (uint8, uint16 or uint32; tf32 as fp32, whose 13 low bits are ignored); the leading axes broadcast. K is cut into
    the generation's blocks (BlockRule.places). Generation "exact" rounds the exact sum to nearest even, once, as IEEE
    754 does: what becomes zero keeps its sign.

    Raises ValueError for a mode that is not known (numerics.check_mode) and for arrays that do not fit it.
    """
    check_mode(generation, dtype, out)
    check_bits("a", a, dtype)
    check_bits("b", b, dtype)
    check_bits("c", c, out)
    if a.ndim < 1 or b.ndim < 1 or a.shape[-1] != b.shape[-1] or a.shape[-1] == 0:
        raise ValueError(f"a and b must have the same last axis, at least 1, not the shapes {a.shape} and {b.shape}")
    try:
        shape = np.broadcast_shapes(a.shape[:-1], b.shape[:-1], c.shape)
    except ValueError:
        raise ValueError(
            f"the leading axes of a {a.shape}, b {b.shape} and c {c.shape} do not broadcast to one shape"
        ) from None
    length = a.shape[-1]
    rows_a, rows_b = (np.broadcast_to(x, (*shape, length)).reshape(-1, length) for x in (a, b))
    rows_c = np.broadcast_to(c, shape).reshape(-1, 1)
    # Row i of `a` is multiplied only by row i of `b`: one column of results.
    where = np.broadcast_to(np.arange(length, dtype=np.int32), (1, length))
    return _run(rows_a, where, rows_b, rows_c, True, generation, dtype, out, None).reshape(shape)


def matmul(
    values: NDArray[Any],
    where: NDArray[np.int32],
    b: NDArray[Any],
    c: NDArray[Any],
    *,
    generation: str,
    dtype: str,
    out: str,
    integer_block: int | None = None,
) -> NDArray[np.uint16] | NDArray[np.uint32]:
    """The raw bits of D = A B + C, where A is given by its kept values.

    `values` (M, kept) raw bits; `where` (M, kept) the row of `b` that each value multiplies, in any order and any
    number of times; `b` (K, N) and `c` (M, N) raw bits. The blocks go over the kept values in their order; positions
    that are not kept are never multiplied. `integer_block` is the number of products between two saturations.
    """
    check_mode(generation, dtype, out)
    check_bits("values", values, dtype)
    check_bits("b", b, dtype)
    check_bits("c", c, out)
    if values.ndim != 2 or values.shape != where.shape or values.shape[1] == 0:
        raise ValueError(f"values and where must be two equal matrices, not {values.shape} and {where.shape}")
    if b.ndim != 2 or c.shape != (len(values), b.shape[1]):
        raise ValueError(f"c must be {len(values)} x the columns of b {b.shape}, not {c.shape}")
    if where.size and not 0 <= where.min() <= where.max() < len(b):
        raise ValueError(f"where must name rows of b, 0 to {len(b) - 1}, not {where.min()} to {where.max()}")
    where = where.astype(np.int32)
    if out != "fp32" or dtype not in vectors.DTYPES or generation == EXACT:
        return _run(values, where, b.T, c, False, generation, dtype, out, integer_block)
    result, left = vectors.matmul(values, where, b, c, dtype, block_rule(generation, dtype, out))
    rows, columns = np.nonzero(left)
    together = max(1, _TOGETHER // values.shape[1])
    for first in range(0, len(rows), together):
        row, column = rows[first : first + together], columns[first : first + together]
        pairs = values[row], where[row], b.T[column], c[row, column][:, None]
        result[row, column] = _run(*pairs, True, generation, dtype, out, None)[:, 0]
    return result


def gemm(
    operand: Operand, b: NDArray[Any], c: NDArray[Any], geometry: TileGeometry
) -> NDArray[np.uint16] | NDArray[np.uint32]:
    """The raw bits of D = A B + C as a tile of this geometry computes it: what zeroskip.rtl.mma.gemm writes.

    Raises ValueError for matrices that do not fit (zeroskip.model.mma.gemm.check_product).
    """
    check_product(operand, b, c, geometry)
    where = operand.where()
    # A code may name a row after the last one: the tile reads zeros there.
    rows = np.pad(b, ((0, max(0, int(where.max()) + 1 - len(b))), (0, 0)))
    return matmul(
        operand.values,
        where,
        rows,
        c,
        generation=geometry.generation,
        dtype=geometry.dtype,
        out=geometry.out,
        integer_block=geometry.k,
    )


def relative_bound(generation: str, dtype: str, out: str, products: int) -> float:
    """Largest error of a float sum of `products` products, relative to sum(|products|) + |c|.

    In each block, every term and c lose less than `2**-fraction_bits` of the largest term, which is at most that sum;
    the result loses less than its last bit, and so does a sum with a c that is added last. Valid if nothing is
    subnormal or overflows.
    """
    rule = block_rule(generation, dtype, out)
    steps = -(-products // rule.step)
    blocks = steps * (rule.step // rule.products)
    kept = 10 if out == "fp16" else rule.kept_bits
    roundings = blocks + steps if rule.addend_last else blocks
    return (blocks * (rule.products + 1) * 2.0**-rule.fraction_bits + roundings * 2.0**-kept) * (1 + 2.0**-8)


def _run(
    a: NDArray[Any],
    where: NDArray[np.int32],
    b: NDArray[Any],
    c: NDArray[Any],
    paired: bool,
    generation: str,
    dtype: str,
    out: str,
    integer_block: int | None,
) -> NDArray[np.uint16] | NDArray[np.uint32]:
    """Results (rows of a, columns of c): row i of `a` with row j of `b`, or with row i where `paired`."""
    form = OPERANDS[dtype]
    result = np.empty(c.shape, raw_type(RESULTS[out]))
    c = np.ascontiguousarray(c)
    if isinstance(form, IntFormat):
        block = a.shape[1] if generation == EXACT else integer_block or INTEGER_BLOCK[dtype]
        add_integers(
            signed(a, form), signed(b, form), where, c.view(np.int32), paired, block, out == "int32_sat", result
        )
        return result
    (sig_a, exp_a), (sig_b, exp_b) = decode(a, form), decode(b, form)
    half = out == "fp16"
    if generation == EXACT:
        add_exactly(sig_a, exp_a, sig_b, exp_b, where, c, paired, 2 * form.mantissa_bits, half, result)
        return result
    rule = block_rule(generation, dtype, out)
    numbers = (
        rule.products,
        rule.fraction_bits,
        _NO_FLOOR if rule.floor is None else rule.floor,
        2 * form.mantissa_bits,
        FP32.mantissa_bits - rule.kept_bits,
        int(rule.nearest),
        int(rule.underflow_keeps_sign),
    )
    if rule.addend_last:
        order, bounds = _blocks_of_steps(rule, a.shape[1])
        sig_a, exp_a, where = (np.ascontiguousarray(x[:, order]) for x in (sig_a, exp_a, where))
        add_steps(sig_a, exp_a, sig_b, exp_b, where, c, paired, numbers, bounds, half, result)
    else:
        add_blocks(sig_a, exp_a, sig_b, exp_b, where, c, paired, numbers, half, result)
    return result


def _blocks_of_steps(rule: BlockRule, products: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order in which the blocks take `products` products, and where they begin and end in it (steps x blocks + 1);
    the last step may be cut short."""
    order: list[int] = []
    bounds = []
    for start in range(0, products, rule.step):
        ends = [len(order)]
        for block in range(0, rule.step, rule.products):
            places = (start + place for place in rule.places[block : block + rule.products])
            order += [place for place in places if place < products]
            ends.append(len(order))
        bounds.append(ends)
    return np.array(order), np.array(bounds)


def signed(bits: NDArray[Any], form: IntFormat) -> NDArray[np.int32]:
    """The numbers with these raw bits."""
    shift = 32 - form.bits
    return (bits.astype(np.uint32) << np.uint32(shift)).view(np.int32) >> shift
