"""Metadata in registers: the 32-bit word that each lane of a warp gives to one `mma.sp` of 16 rows.

Lane 4g + i belongs to rows g and g + 8 (g from 0 to 7). A code takes four bits, the leftmost group of a field in the
lowest. Where not every lane holds metadata, the instruction's selector s names those that do:

      16-bit and tf32, long   lane 4g + 2s + h   [15:0] row g, half h of the columns   [31:16] row g + 8, same half
      16-bit and tf32, short  lane 4g + s        [15:0] row g, all columns             [31:16] row g + 8, all columns
      8- and 4-bit, long      lane 4g + 2h + p   row g + 8p, half h of the columns
      8- and 4-bit, short     lane 4g + 2s + p   row g + 8p, all columns

Source: PTX ISA 9.1, section 9.7.14.6.3, names the lanes and selectors in text, but shows their contents only in
figures. The long shapes are checked against code: CUTLASS's reorder_meta (and torch's port of it), CuTe's ELayout of
SM90, and of SM120 for 4 bits. All of them, with every selector, were run on an H100
(tests/model/mma/test_captures.py); for the short ones (m16n8k16 of 16 bits, m16n8k8 of tf32, m16n8k32 of int8,
m16n8k64 of int4) that is the only check.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.format import Bits
from zeroskip.model.network.pattern import Pattern


@dataclass(frozen=True, kw_only=True)
class MmaShape:
    """One sparse instruction m16n8k`k`: the pattern of its A, and how lanes hold its metadata."""

    dtype: str
    k: int
    pattern: Pattern
    selectors: int
    """The selector is below this."""
    halves: bool
    """Whether a lane's word is the codes of two rows, 16 bits each, or 32 bits of one row."""

    def __str__(self) -> str:
        return f"{self.dtype} m16n8k{self.k}"

    @property
    def groups(self) -> int:
        """Codes of a row."""
        return self.k // self.pattern.group

    def lanes(self, selector: int) -> NDArray[np.intp]:
        """The lanes of the selector (8 x lanes of four consecutive lanes, in the order of rows and columns)."""
        step = 4 // self.selectors
        return np.arange(32).reshape(8, 4)[:, selector * step : (selector + 1) * step]


def _shapes(pattern: str, dtypes: str, ks: tuple[tuple[int, int], ...], *, halves: bool) -> list[MmaShape]:
    return [
        MmaShape(dtype=dtype, k=k, pattern=Pattern.parse(pattern), selectors=selectors, halves=halves)
        for dtype in dtypes.split()
        for k, selectors in ks
    ]


SHAPES = {
    (shape.dtype, shape.k): shape
    for shape in (
        *_shapes("2:4", "fp16 bf16", ((16, 4), (32, 2)), halves=True),
        *_shapes("1:2", "tf32", ((8, 4), (16, 2)), halves=True),
        *_shapes("2:4", "int8", ((32, 2), (64, 1)), halves=False),
        *_shapes("2:4", "e4m3 e5m2", ((64, 1),), halves=False),
        *_shapes("4:8 pairs", "int4", ((64, 2), (128, 1)), halves=False),
    )
}
"""The instructions by dtype and k (PTX ISA 9.1; fp8 needs sm_89)."""

_ROWS = 16


def mma_shape(dtype: str, k: int) -> MmaShape:
    """The instruction of that dtype and k. Raises ValueError, with those that exist, if there is none."""
    if (dtype, k) not in SHAPES:
        raise ValueError(f"shape must be one of {', '.join(map(str, SHAPES.values()))}, not {dtype} m16n8k{k}")
    return SHAPES[dtype, k]


def to_lanes(codes: Bits, dtype: str, k: int, selector: int = 0) -> NDArray[np.uint32]:
    """The metadata register of each lane (uint32, 32) for the codes of one instruction (16 x `k / group`).

    Lanes that the selector does not name hold zero, so that the words of other selectors can be added. Raises
    ValueError for a shape or selector that does not exist, and for codes of another shape or of more than four bits.
    """
    shape = _checked(dtype, k, selector)
    if codes.shape != (_ROWS, shape.groups) or codes.dtype.kind != "u":
        raise ValueError(
            f"codes must be unsigned of shape {(_ROWS, shape.groups)} for {shape}, "
            f"not {codes.dtype} of shape {codes.shape}"
        )
    if codes.max() > 15:
        raise ValueError(f"codes must be below 16, not {codes.max()}")
    field = 4 if shape.halves else 8
    shifts = 4 * np.arange(field, dtype=np.uint32)
    # (row g or g + 8, g, half, code in the field)
    fields = codes.astype(np.uint32).reshape(2, 8, -1, field)
    packed = np.bitwise_or.reduce(fields << shifts, axis=-1)
    words = np.zeros(32, np.uint32)
    if shape.halves:
        words[shape.lanes(selector)] = packed[0] | packed[1] << np.uint32(16)
    else:
        words[shape.lanes(selector)] = packed.transpose(1, 2, 0).reshape(8, -1)
    return words


def from_lanes(words: NDArray[np.uint32], dtype: str, k: int, selector: int = 0) -> NDArray[np.uint16]:
    """Inverse of `to_lanes`: the codes (uint16, 16 x `k / group`). Lanes that the selector does not name are ignored,
    as the instruction ignores them."""
    shape = _checked(dtype, k, selector)
    if words.shape != (32,) or words.dtype != np.uint32:
        raise ValueError(f"words must be uint32 of shape (32,), not {words.dtype} of shape {words.shape}")
    used = words[shape.lanes(selector)]
    if shape.halves:
        fields = np.stack([used & np.uint32(0xFFFF), used >> np.uint32(16)])
    else:
        fields = used.reshape(8, -1, 2).transpose(2, 0, 1)
    shifts = 4 * np.arange(4 if shape.halves else 8, dtype=np.uint32)
    return (fields[..., None] >> shifts & np.uint32(15)).astype(np.uint16).reshape(_ROWS, shape.groups)


def _checked(dtype: str, k: int, selector: int) -> MmaShape:
    shape = mma_shape(dtype, k)
    if selector not in range(shape.selectors):
        raise ValueError(f"selector must be below {shape.selectors} for {shape}, not {selector}")
    return shape
