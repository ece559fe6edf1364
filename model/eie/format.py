"""EIE's interleaved compressed sparse column format (Han et al., ISCA 2016, section III).

Row i of a layer's matrix lives in processing element (PE) `i % pes` at local row `i // pes`. A PE holds its rows by
column; an entry is `(code, skip)`, where `skip` counts the zero local rows since the previous entry of the column.
If more than `2**index_bits - 1` zeros precede an entry, padding entries `(code 0, skip max)` are inserted before it;
each advances by `2**index_bits` local rows.

      entry                     memory word, entries_per_word entries
      +--------+--------+       +-----------+-----+-----------+-----------+
      |  code  |  skip  |       | entry E-1 | ... |  entry 1  |  entry 0  |
      +--------+--------+       +-----------+-----+-----------+-----------+
      code_bits index_bits      most significant                 bits from 0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.geometry import EieGeometry


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """A matrix in interleaved CSC form.

    `codes` and `skips` (uint8, entries) hold the entries of PE 0, then those of PE 1, and so on; PE p's are
    `codes[starts[p] : starts[p + 1]]`. `pointers` (int64, pes x (columns + 1)) count from the PE's own first entry.
    """

    outputs: int
    codes: NDArray[np.uint8]
    skips: NDArray[np.uint8]
    pointers: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """First entry of each PE, and the number of all entries at the end (int64, pes + 1)."""
        return np.concatenate([[0], np.cumsum(self.pointers[:, -1])])

    @property
    def columns(self) -> int:
        return int(self.pointers.shape[1]) - 1


def local_rows(outputs: int, pes: int) -> NDArray[np.int64]:
    """Rows of a matrix with `outputs` rows that live in each PE (int64, pes)."""
    return (outputs - np.arange(pes) + pes - 1) // pes


def encode(codes: NDArray[np.uint8], geometry: EieGeometry) -> Columns:
    """Encodes a matrix of codebook indices (uint8, outputs x columns; 0 is a pruned weight).

    Raises ValueError if the matrix is not two-dimensional or a code needs more than `code_bits`.
    """
    if codes.ndim != 2 or 0 in codes.shape:
        raise ValueError(f"codes must be a matrix with at least one row and one column, not of shape {codes.shape}")
    if codes.max() >= geometry.codebook_size:
        raise ValueError(f"codes must be below {geometry.codebook_size}, not {codes.max()}")
    outputs, columns = codes.shape
    pes, span = geometry.pes, 1 << geometry.index_bits

    # (pes, columns, local rows): the order of the memories, so that nonzero() finds the entries in that order.
    rows = -(-outputs // pes)
    padded = np.zeros((rows * pes, columns), np.uint8)
    padded[:outputs] = codes
    by_pe = np.ascontiguousarray(padded.reshape(rows, pes, columns).transpose(1, 2, 0))
    flat = np.flatnonzero(by_pe)
    column, row = np.divmod(flat, rows)

    zeros = row.copy()
    same = column[1:] == column[:-1]
    zeros[1:][same] -= row[:-1][same] + 1
    paddings, skip = np.divmod(zeros, span)

    position = np.cumsum(paddings + 1) - 1
    total = int(position[-1]) + 1 if len(position) else 0
    entry_codes = np.zeros(total, np.uint8)
    entry_skips = np.full(total, span - 1, np.uint8)
    entry_codes[position] = by_pe.reshape(-1)[flat]
    entry_skips[position] = skip

    # Entries of each (PE, column), paddings included: exact in float64 up to 2**53.
    counts = np.bincount(column, weights=paddings + 1, minlength=pes * columns).astype(np.int64)
    pointers = np.zeros((pes, columns + 1), np.int64)
    np.cumsum(counts.reshape(pes, columns), axis=1, out=pointers[:, 1:])
    return Columns(outputs=outputs, codes=entry_codes, skips=entry_skips, pointers=pointers)


def entry_rows(columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Local row of each entry, and `pe * columns + column` of each (int64, entries)."""
    counts = np.diff(columns.pointers, axis=1).reshape(-1)
    owner = np.repeat(np.arange(len(counts)), counts)
    consumed = np.cumsum(columns.skips.astype(np.int64) + 1)
    first = np.cumsum(counts) - counts
    before = np.concatenate([[0], consumed])[first]
    return consumed - before[owner] - 1, owner


def decode(columns: Columns, geometry: EieGeometry) -> NDArray[np.uint8]:
    """The matrix of codebook indices (uint8, outputs x columns) that `encode` was given.

    Raises ValueError if the entries are not what `encode` makes: a padding entry whose skip is not the greatest, or
    that ends a column, and an entry whose row lies outside the matrix.
    """
    span = 1 << geometry.index_bits
    row, owner = entry_rows(columns)
    pe, column = np.divmod(owner, columns.columns)
    padding = columns.codes == 0
    if np.any(padding & (columns.skips != span - 1)):
        index = int(np.flatnonzero(padding & (columns.skips != span - 1))[0])
        raise ValueError(f"padding entries must skip {span - 1} rows, not {columns.skips[index]} (PE {pe[index]})")
    last = np.append(owner[1:] != owner[:-1], True)[: len(owner)]
    if np.any(padding & last):
        index = int(np.flatnonzero(padding & last)[0])
        raise ValueError(f"a column must not end in a padding entry (PE {pe[index]}, column {column[index]})")
    outside = row >= local_rows(columns.outputs, geometry.pes)[pe]
    if np.any(outside):
        index = int(np.flatnonzero(outside)[0])
        raise ValueError(
            f"entries must lie within {columns.outputs} outputs, not at local row {row[index]} of PE {pe[index]} "
            f"(column {column[index]})"
        )
    codes = np.zeros((columns.outputs, columns.columns), np.uint8)
    real = ~padding
    codes[row[real] * geometry.pes + pe[real], column[real]] = columns.codes[real]
    return codes


def pack_words(codes: NDArray[np.uint8], skips: NDArray[np.uint8], geometry: EieGeometry) -> NDArray[np.uint8]:
    """Packs the entries of one PE into memory words, the last one filled with zeros (uint8, words x word_bytes,
    least significant byte first)."""
    words = -(-len(codes) // geometry.entries_per_word)
    entries = np.zeros(words * geometry.entries_per_word, np.uint16)
    entries[: len(codes)] = (codes.astype(np.uint16) << geometry.index_bits) | skips
    bits = (entries[:, None] >> np.arange(geometry.entry_bits, dtype=np.uint16)).astype(np.uint8) & 1
    return np.packbits(bits.reshape(words, geometry.word_bits), axis=1, bitorder="little")


def unpack_words(
    words: NDArray[np.uint8], entries: int, geometry: EieGeometry
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Inverse of `pack_words`: the codes and skips (uint8, entries each) of the first `entries` entries."""
    if geometry.entry_bits == 8:
        packed = words.reshape(-1)
    else:
        bits = np.unpackbits(words, axis=1, count=geometry.word_bits, bitorder="little")
        packed = bits.reshape(-1, geometry.entry_bits) @ (1 << np.arange(geometry.entry_bits, dtype=np.uint16))
    packed = packed[:entries]
    return (packed >> geometry.index_bits).astype(np.uint8), (packed & ((1 << geometry.index_bits) - 1)).astype(
        np.uint8
    )
