"""How the operands of an instruction lie in the registers of its warps (PTX ISA 9.1, sections 9.7.14 and 9.7.15)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.lanes import SHAPES, to_lanes
from zeroskip.model.mma.numerics import RESULTS

from .instructions import Instruction
from .operands import Bits, Instances, random_bits


def _words(bits: Bits, width: int) -> NDArray[np.uint32]:
    """Neighbours of the last axis side by side in 32-bit words, the first in the lowest bits."""
    per = 32 // width
    fields = bits.astype(np.uint32).reshape(*bits.shape[:-1], -1, per)
    return np.bitwise_or.reduce(fields << (np.arange(per, dtype=np.uint32) * np.uint32(width)), axis=-1)


def to_registers(
    instruction: Instruction, x: Instances, rng: np.random.Generator
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
    """A (count, warps, 32, words), B (count, words), C (count, warps, 32, words) and metadata (count, warps, 32).

    Lane 4g + t holds of A rows g and g + 8, word t of each four; of B column g. Lanes that the selector does not name
    hold random metadata.
    """
    count, warps = len(x.values), instruction.warps
    # Words of A: (count, warp, half of the rows, g, four words, t) to (..., lane, four words, half).
    a = _words(x.values, instruction.bits).reshape(count, warps, 2, 8, -1, 4)
    a = a.transpose(0, 1, 3, 5, 4, 2).reshape(count, warps, 32, -1)
    b = _words(x.b.transpose(0, 2, 1), instruction.bits)  # (count, column g, words along k)
    if instruction.family == "mma":
        b = b.reshape(count, 8, -1, 4).transpose(0, 1, 3, 2).reshape(count, -1)
    else:  # Core matrices of 8 columns x 4 words.
        b = b.reshape(count, 8, -1, 4).transpose(0, 2, 1, 3).reshape(count, -1)
    c = _words(x.c, RESULTS[instruction.out].bits)
    c = c.reshape(count, warps, 2, 8, 4, -1).transpose(0, 1, 3, 4, 2, 5).reshape(count, warps, 32, -1)
    e = random_bits(rng, (count, warps, 32), 32).astype(np.uint32)
    if instruction.sparse:
        codes = x.codes.reshape(count, warps, 16, -1)
        shape = SHAPES[instruction.dtype, instruction.k]
        for i in range(count):
            lanes = shape.lanes(int(x.selectors[i])).ravel()
            for warp in range(warps):
                held = to_lanes(codes[i, warp], instruction.dtype, instruction.k, int(x.selectors[i]))
                e[i, warp, lanes] = held[lanes]
    return tuple(np.ascontiguousarray(w) for w in (a, b, c, e))  # type: ignore[return-value]


def from_registers(instruction: Instruction, d: NDArray[np.uint32]) -> Bits:
    """D (count, rows, 8) from its registers (count, warps, 32, words)."""
    count, warps = d.shape[:2]
    d = d.reshape(count, warps, 8, 4, 2, -1).transpose(0, 1, 4, 2, 3, 5)
    d = np.ascontiguousarray(d).reshape(count, instruction.rows, -1)
    return d.view(np.uint16) if instruction.out == "fp16" else d
