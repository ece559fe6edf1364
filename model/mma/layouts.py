"""Metadata in memory: linear words, CUTLASS's reordered E matrix, and the pair of tensors that torch stores.

Linear: the codes of a row are one string of bits, group 0 in the lowest, cut into little-endian words. 2:4, 16 bits:

      bit   15    12 11     8 7      4 3      0
           +--------+--------+--------+--------+
           | code 3 | code 2 | code 1 | code 0 |   word 0 of the row; word 1 holds codes 4 to 7
           +--------+--------+--------+--------+

E matrix: the same words, in the order in which a warp loads its registers (`to_cutlass`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from zeroskip.model.mma.format import Bits, Compressed, check_codes, code_type, codes, from_codes
from zeroskip.model.mma.numerics import OPERANDS, raw_type
from zeroskip.model.network.pattern import Pattern

_GROUP_ROWS = {2: 32, 4: 16}
"""Rows that the E matrix reorders among each other, by bytes of a word."""

_TORCH = {  # dtype: pattern, words of the metadata, and the signed type that torch gives them.
    "fp16": ("2:4", np.uint16, np.int16),
    "bf16": ("2:4", np.uint16, np.int16),
    "tf32": ("1:2", np.uint16, np.int16),
    "int8": ("2:4", np.uint32, np.int32),
}


def _word_type(name: str, word: DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(word)
    if kind not in (np.uint8, np.uint16, np.uint32):
        raise ValueError(f"{name} must be uint8, uint16 or uint32, not {kind}")
    return kind


def to_linear(codes: Bits, pattern: Pattern, word: DTypeLike) -> Bits:
    """Linear words (`word`: uint8, uint16 or uint32; rows x words) of codes (rows x groups).

    The last word of a row is filled with zeros; a dense pattern has no words.
    """
    kind = _word_type("word", word)
    check_codes(codes, pattern)
    rows, groups = codes.shape
    word_bits = 8 * kind.itemsize
    used = groups * pattern.code_bits
    bits = np.zeros((rows, -(-used // word_bits) * word_bits), np.uint8)
    shifts = np.arange(pattern.code_bits).astype(codes.dtype)
    bits[:, :used] = (codes[..., None] >> shifts & 1).astype(np.uint8).reshape(rows, used)
    return np.packbits(bits, axis=1, bitorder="little").view(kind.newbyteorder("<")).astype(kind)


def from_linear(words: Bits, pattern: Pattern, groups: int) -> Bits:
    """Inverse of `to_linear`: the codes (`code_type`, rows x groups).

    Raises ValueError if the words are not as many as `groups` take, or bits after the last code are set.
    """
    _check_words(words)
    kind = _word_type("words", words.dtype)
    rows, used = len(words), groups * pattern.code_bits
    count = -(-used // (8 * kind.itemsize))
    if words.shape[1] != count:
        raise ValueError(f"words must be {count} a row for {groups} groups of {pattern}, not {words.shape[1]}")
    octets = np.ascontiguousarray(words, kind.newbyteorder("<")).view(np.uint8)
    bits = np.unpackbits(octets, axis=1, bitorder="little")
    stray = bits[:, used:].any(axis=1)
    if stray.any():
        raise ValueError(f"bits after code {groups - 1} must be zero (row {int(np.argmax(stray))})")
    found = np.zeros((rows, groups), code_type(pattern))
    by_group = bits[:, :used].reshape(rows, groups, pattern.code_bits)
    for bit in range(pattern.code_bits):
        found |= by_group[..., bit].astype(found.dtype) << found.dtype.type(bit)
    return found


def to_cutlass(words: Bits) -> Bits:
    """CUTLASS's E matrix of linear words: uint16 for values of 16 and 32 bits, uint32 for those of 8 and 4.

    It is as many rows x words, of which memory holds columns 2c and 2c + 1 side by side, row by row, then the next two:
    32 uint32, one for each lane of a warp, are 32 rows x 2 words of uint16 or 16 rows x 2 words of uint32.

          uint16   lane 4g + 2s + h   [15:0] row 16s + g, word h     [31:16] row 16s + g + 8, word h
          uint32   lane 4g + 2h + p   row 8p + g, word h

    Raises ValueError unless rows are a multiple of 32 (uint16) or 16 (uint32) and words are even in number.
    Source: CUTLASS, `tools/util/include/cutlass/util/host_reorder.h`, and layout ColumnMajorInterleaved<2>.
    """
    scatter = _reordered(words)
    e = np.empty(words.size, words.dtype)
    e[scatter.reshape(-1)] = words.reshape(-1)
    return e.reshape(words.shape)


def from_cutlass(words: Bits) -> Bits:
    """Inverse of `to_cutlass`."""
    return words.reshape(-1)[_reordered(words)]


def _check_words(words: Bits) -> None:
    if words.ndim != 2 or words.dtype.kind != "u":
        raise ValueError(f"words must be a matrix of unsigned integers, not {words.dtype} of shape {words.shape}")


def _reordered(words: Bits) -> NDArray[np.intp]:
    """The position of each linear word in the memory of the E matrix."""
    _check_words(words)
    size = words.dtype.itemsize
    if size not in _GROUP_ROWS:
        raise ValueError(f"words of the E matrix must be uint16 or uint32, not {words.dtype}")
    rows, columns = words.shape
    height = _GROUP_ROWS[size]
    if rows % height:
        raise ValueError(f"rows must be a multiple of {height} for words of {words.dtype}, not {rows}")
    if columns % 2:
        raise ValueError(f"words of a row must be even in number for the E matrix, not {columns}")
    source, column = np.arange(rows)[:, None], np.arange(columns)
    # Rows g, g + 8 (g + 16, g + 24) become neighbours ...
    row = source // height * height + source % 8 * (height // 8) + source % height // 8
    # ... and in each 2 x 2 block the corners off the diagonal change places.
    offset = row * 2 + column % 2
    swapped = row // 2 * 4 + column % 2 * 2 + row % 2
    place: NDArray[np.intp] = column // 2 * (2 * rows) + np.where(row % 2 == column % 2, offset, swapped)
    return place


def to_torch(compressed: Compressed, dtype: str) -> tuple[Bits, NDArray[np.signedinteger[Any]]]:
    """Values (raw bits, rows x columns / 2) and reordered metadata (int16, int32 for int8), byte for byte those of
    torch's `sparse_semi_structured_from_dense_cutlass`.

    `dtype` is fp16, bf16 or int8 (2:4) or tf32 (1:2; torch's float32). Raises ValueError for others, where the pattern
    is not that of the dtype, and for the shapes that `to_cutlass` refuses.
    """
    pattern, word, signed = _torch_types(dtype)
    if compressed.pattern != pattern:
        raise ValueError(f"pattern must be {pattern} for {dtype} in torch, not {compressed.pattern}")
    _check_values(compressed.values, dtype)
    per_word = 8 * word.itemsize // pattern.code_bits
    if compressed.groups % (2 * per_word):
        raise ValueError(
            f"columns must be a multiple of {2 * per_word * pattern.group} for {dtype} in torch, "
            f"not {compressed.columns}"
        )
    return compressed.values, to_cutlass(to_linear(codes(compressed), pattern, word)).view(signed)


def from_torch(values: Bits, meta: NDArray[np.signedinteger[Any]], dtype: str) -> Compressed:
    """Inverse of `to_torch`; the metadata may be illegal."""
    pattern, word, signed = _torch_types(dtype)
    _check_values(values, dtype)
    if meta.dtype != signed or meta.ndim != 2:
        raise ValueError(f"meta must be a matrix of {signed} for {dtype}, not {meta.dtype} of shape {meta.shape}")
    if len(meta) != len(values):
        raise ValueError(f"meta must have as many rows as values ({len(values)}), not {len(meta)}")
    linear = from_cutlass(meta.view(word))
    return from_codes(values, from_linear(linear, pattern, values.shape[1] // pattern.keep), pattern)


def _torch_types(dtype: str) -> tuple[Pattern, np.dtype[Any], np.dtype[Any]]:
    if dtype not in _TORCH:
        raise ValueError(f"dtype must be one that torch compresses, {', '.join(_TORCH)}, not {dtype!r}")
    text, word, signed = _TORCH[dtype]
    return Pattern.parse(text), np.dtype(word), np.dtype(signed)


def _check_values(values: Bits, dtype: str) -> None:
    kind = raw_type(OPERANDS[dtype])
    if values.ndim != 2 or values.dtype != kind:
        raise ValueError(f"values must be a matrix of {kind} for {dtype}, not {values.dtype} of shape {values.shape}")
