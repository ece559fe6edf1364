"""Compressed N:M operands on raw bits: the kept values of each group, and their positions in it.

A group of `group` neighbouring values of a row is `positions` runs of `pair` values, of which `lanes` are kept. 2:4:

      dense   a b c d   e f g h        values   b d   e f        indices   (1, 3)  (0, 1)
      kept    . x . x   x x . .        codes    1101  0100       index 0 in the lowest bits

Codes are NVIDIA's (PTX ISA 9.1, section 9.7.14.6): the indices side by side; for 1:2 the indices of the two 16-bit
halves of the kept value, 0100 or 1110. A code means what the multiplexers do with it, so that every code has a
meaning; `illegal` finds those that NVIDIA leaves undefined. `zeroskip.model.mma.layouts` and
`zeroskip.model.mma.lanes` hold the layouts of codes in memories and registers.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.numerics import OPERANDS, FloatFormat, raw_type
from zeroskip.model.network.pattern import Pattern

Bits = NDArray[np.unsignedinteger[Any]]
"""Raw bits of numbers, words or codes."""

_HALVES = np.array([0b0100, 0b1110])
"""NVIDIA's codes of 1:2."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Compressed:
    """A matrix of `rows` x `columns` in compressed form.

    `values` (raw bits, rows x groups * keep) holds the kept values lane by lane, `indices` (uint8, rows x groups x
    lanes) the position of each lane. They may be illegal, as codes may be. A dense matrix keeps every position.
    Raises ValueError if the shapes do not fit, or an index names no position.
    """

    values: Bits
    indices: NDArray[np.uint8]
    pattern: Pattern

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype.kind != "u":
            raise ValueError(
                f"values must be a matrix of unsigned raw bits, not {self.values.dtype} of shape {self.values.shape}"
            )
        rows, kept = self.values.shape
        if kept % self.pattern.keep:
            raise ValueError(f"values must have a multiple of keep ({self.pattern.keep}) columns, not {kept}")
        shape = (rows, kept // self.pattern.keep, self.pattern.lanes)
        if self.indices.shape != shape or self.indices.dtype != np.uint8:
            raise ValueError(
                f"indices must be uint8 of shape {shape}, not {self.indices.dtype} of shape {self.indices.shape}"
            )
        if self.indices.size and self.indices.max() >= self.pattern.positions:
            raise ValueError(f"indices must be below {self.pattern.positions}, not {self.indices.max()}")

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def groups(self) -> int:
        """Groups of a row."""
        return int(self.indices.shape[1])

    @property
    def columns(self) -> int:
        return self.groups * self.pattern.group


def pad_columns(dense: Bits, group: int) -> Bits:
    """The matrix with zeros appended to each row, up to a multiple of `group` columns."""
    return np.pad(dense, ((0, 0), (0, -dense.shape[1] % group)))


def compress(dense: Bits, pattern: Pattern, *, dtype: str, mask: NDArray[np.bool_] | None = None) -> Compressed:
    """Compresses a matrix of raw bits (rows x columns, of `raw_type(OPERANDS[dtype])`).

    All values other than zero are kept; -0 is zero and NaN is not. With a `mask` (bool, rows x columns), the mask alone
    decides what is kept, zero or not; other values are dropped. Both values of a pair are kept if either is.

    A group with fewer kept positions than lanes also takes the lowest free ones of its last `lanes` positions, with
    their values: zeros, -0 included. So 2:4 and 1:2 get the codes that torch gives them (0000 -> 1110, x000 -> 1000,
    0x00 -> 1001, 00x0 and 000x -> 1110); other libraries pad differently.

    Raises ValueError for columns that are no multiple of `group`, and for a group with more kept positions than lanes:
    nothing is lost silently.
    """
    if dtype not in OPERANDS:
        raise ValueError(f"dtype must be one of {', '.join(OPERANDS)}, not {dtype!r}")
    form = OPERANDS[dtype]
    if dense.ndim != 2 or 0 in dense.shape:
        raise ValueError(f"dense must be a matrix with at least one row and one column, not of shape {dense.shape}")
    if dense.dtype != raw_type(form):
        raise ValueError(f"dense must hold the raw bits of {dtype} as {raw_type(form)}, not {dense.dtype}")
    if form.bits < 8 and dense.max() >= 1 << form.bits:
        raise ValueError(f"dense must be below {1 << form.bits} for {dtype}, not {dense.max()}")
    if dense.shape[1] % pattern.group:
        raise ValueError(
            f"columns must be a multiple of group ({pattern.group}), not {dense.shape[1]}; pad_columns appends zeros"
        )
    if mask is None:
        sign = form.sign_bit if isinstance(form, FloatFormat) else 0
        kept = (dense & dense.dtype.type((1 << form.bits) - 1 - sign)) != 0
    else:
        if mask.shape != dense.shape or mask.dtype != np.bool_:
            raise ValueError(f"mask must be bool of shape {dense.shape}, not {mask.dtype} of shape {mask.shape}")
        kept, dense = mask, np.where(mask, dense, dense.dtype.type(0))

    rows, groups = dense.shape[0], dense.shape[1] // pattern.group
    runs = kept.reshape(rows, groups, pattern.positions, pattern.pair)
    flags = runs[..., 0] | runs[..., -1]
    kept_set = np.zeros((rows, groups), np.uint16)
    for position in range(pattern.positions):
        kept_set |= flags[..., position].astype(np.uint16) << np.uint16(position)

    choice, count = _choices(pattern)
    over = count[kept_set] > pattern.lanes
    if over.any():
        row, group = _first(over)
        unit = "pairs" if pattern.pair == 2 else "values"
        raise ValueError(
            f"groups must keep at most {pattern.lanes} {unit} for {pattern}, "
            f"not {count[kept_set[row, group]]} (row {row}, group {group})"
        )
    indices = choice[kept_set]
    by_position = dense.reshape(rows, groups, pattern.positions, pattern.pair)
    values = np.take_along_axis(by_position, indices[..., None].astype(np.intp), axis=2)
    return Compressed(values=values.reshape(rows, -1), indices=indices, pattern=pattern)


@functools.cache
def _choices(pattern: Pattern) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For every set of kept positions (bit p: position p) the lanes' positions, padded, and how many are kept."""
    positions = np.arange(pattern.positions)
    flags = np.arange(1 << pattern.positions)[:, None] >> positions & 1
    preference = np.where(flags, 0, np.where(positions >= pattern.positions - pattern.lanes, 1, 2))
    chosen = np.argsort(preference, axis=1, stable=True)[:, : pattern.lanes]
    return np.sort(chosen, axis=1).astype(np.uint8), flags.sum(axis=1).astype(np.uint8)


def _first(bad: NDArray[np.bool_]) -> tuple[int, int]:
    """Row and group of the first group that is bad."""
    row, group = divmod(int(np.argmax(bad)), bad.shape[1])
    return row, group


def decompress(compressed: Compressed) -> Bits:
    """The matrix (raw bits, rows x columns), zero where nothing is kept.

    Raises ValueError if two lanes of a group name the same position. Their order is free.
    """
    pattern, indices = compressed.pattern, compressed.indices
    twice = _repeats(indices)
    if twice.any():
        row, group = _first(twice)
        raise ValueError(
            f"indices of a group must be distinct, not {tuple(indices[row, group].tolist())} (row {row}, group {group})"
        )
    rows, groups = compressed.rows, compressed.groups
    dense = np.zeros((rows, groups, pattern.positions, pattern.pair), compressed.values.dtype)
    values = compressed.values.reshape(rows, groups, pattern.lanes, pattern.pair)
    np.put_along_axis(dense, indices[..., None].astype(np.intp), values, axis=2)
    return dense.reshape(rows, -1)


def _repeats(indices: NDArray[np.uint8]) -> NDArray[np.bool_]:
    ordered = np.sort(indices, axis=-1)
    repeated: NDArray[np.bool_] = np.any(ordered[..., 1:] == ordered[..., :-1], axis=-1)
    return repeated


def code_type(pattern: Pattern) -> np.dtype[Any]:
    """The type that holds codes: uint32 for 8:16, uint16 for all other patterns."""
    return np.dtype(np.uint16 if pattern.code_bits <= 16 else np.uint32)


def codes(compressed: Compressed) -> Bits:
    """The metadata code of each group (`code_type`, rows x groups); zero for a dense matrix, which has none."""
    pattern, indices = compressed.pattern, compressed.indices
    if pattern.dense:
        return np.zeros(indices.shape[:2], code_type(pattern))
    if pattern.halves:
        return _HALVES.astype(code_type(pattern))[indices[..., 0]]
    packed = np.zeros(indices.shape[:2], code_type(pattern))
    for lane in range(pattern.lanes):
        packed |= indices[..., lane].astype(packed.dtype) << packed.dtype.type(lane * pattern.index_bits)
    return packed


def from_codes(values: Bits, codes: Bits, pattern: Pattern) -> Compressed:
    """The operand that multiplexers make of values (rows x groups * keep) and codes (rows x groups).

    The inverse of `codes` for legal codes; illegal ones have a meaning as well. Only bit 1 of a code of 1:2 is read.
    Raises ValueError if a shape does not fit or a code has more than `code_bits` bits.
    """
    return Compressed(values=values, indices=_indices(codes, pattern), pattern=pattern)


def check_codes(codes: Bits, pattern: Pattern) -> None:
    """Raise ValueError unless these are a matrix of codes that fit into `code_bits`."""
    if codes.ndim != 2 or codes.dtype.kind != "u":
        raise ValueError(f"codes must be a matrix of unsigned integers, not {codes.dtype} of shape {codes.shape}")
    if codes.size and int(codes.max()) >> pattern.code_bits:
        raise ValueError(f"codes must be below {1 << pattern.code_bits} for {pattern}, not {codes.max()}")


def _indices(codes: Bits, pattern: Pattern) -> NDArray[np.uint8]:
    check_codes(codes, pattern)
    if pattern.dense:
        return np.broadcast_to(np.arange(pattern.lanes, dtype=np.uint8), (*codes.shape, pattern.lanes)).copy()
    if pattern.halves:
        return (codes >> 1 & 1).astype(np.uint8)[..., None]
    shifts = (np.arange(pattern.lanes) * pattern.index_bits).astype(codes.dtype)
    return (codes[..., None] >> shifts & (pattern.positions - 1)).astype(np.uint8)


def illegal(codes: Bits, pattern: Pattern, check: Literal["strict", "relaxed"]) -> NDArray[np.bool_]:
    """Which codes are illegal (bool, rows x groups).

    "strict" requires increasing indices, as `mma.sp::ordered_metadata` does; "relaxed" requires distinct ones, as
    `mma.sp` does. For 1:2 both allow only 0100 and 1110.
    """
    if check not in ("strict", "relaxed"):
        raise ValueError(f"check must be strict or relaxed, not {check!r}")
    indices = _indices(codes, pattern)
    if pattern.halves:
        return ~np.isin(codes, _HALVES)
    if check == "relaxed":
        return _repeats(indices)
    falling: NDArray[np.bool_] = np.any(indices[..., 1:] <= indices[..., :-1], axis=-1)
    return falling


def nm_mask(magnitudes: NDArray[Any], pattern: Pattern) -> NDArray[np.bool_]:
    """The mask (bool, rows x columns) that keeps the `lanes` positions of largest magnitude in each group.

    `magnitudes` are numbers of the matrix's shape (absolute weights, or any score); those of a pair are added up. Of
    equal ones the first is kept. Raises ValueError for negative magnitudes, NaN, and columns that are no multiple of
    `group`.
    """
    if magnitudes.ndim != 2 or magnitudes.shape[1] % pattern.group:
        raise ValueError(
            f"magnitudes must be a matrix with a multiple of group ({pattern.group}) columns, "
            f"not of shape {magnitudes.shape}"
        )
    if not np.all(magnitudes >= 0):
        raise ValueError("magnitudes must be numbers from zero; give absolute values, without NaN")
    rows = magnitudes.shape[0]
    runs = magnitudes.reshape(rows, -1, pattern.positions, pattern.pair)
    # A sum of two narrow floats could be infinite, or rounded to that of another pair.
    wide = np.float64 if magnitudes.dtype.kind == "f" else None
    sums = runs[..., 0] if pattern.pair == 1 else runs.sum(axis=-1, dtype=wide)
    # How many positions of the group come before each: the larger ones, and the equal ones to its left.
    rank = np.zeros(sums.shape, np.uint8)
    for left, right in itertools.combinations(range(pattern.positions), 2):
        first = sums[..., left] >= sums[..., right]
        rank[..., right] += first
        rank[..., left] += ~first
    return np.repeat(rank < pattern.lanes, pattern.pair, axis=-1).reshape(magnitudes.shape)
