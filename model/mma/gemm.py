"""Matrix products in the form that the tile takes: the sparse or dense operand A, its jobs, and words of memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma import format as nm
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import check_bits
from zeroskip.model.network.pattern import Pattern


@dataclass(frozen=True, kw_only=True, eq=False)
class Operand:
    """A, `columns` wide: raw bits of its values (M x kept), and the code of each group (M x groups) where it is sparse.

    A dense A (`codes` is None) keeps all values.
    """

    values: NDArray[Any]
    codes: NDArray[Any] | None
    columns: int
    pattern: Pattern

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or 0 in self.values.shape:
            raise ValueError(f"values must be a matrix that is not empty, not {self.values.shape}")
        if self.codes is None:
            if self.values.shape[1] != self.columns:
                raise ValueError(f"values of a dense A must be {self.columns} columns wide, not {self.values.shape[1]}")
            return
        nm.check_codes(self.codes, self.pattern)
        groups = self.values.shape[1] // self.pattern.keep
        if self.codes.shape != (len(self.values), groups) or self.values.shape[1] % self.pattern.keep:
            raise ValueError(
                f"values must be {self.pattern.keep} and codes one for each group of {self.pattern.group} columns, "
                f"not {self.values.shape} and {self.codes.shape}"
            )
        if not (groups - 1) * self.pattern.group < self.columns <= groups * self.pattern.group:
            raise ValueError(
                f"columns must be {(groups - 1) * self.pattern.group + 1} to {groups * self.pattern.group} "
                f"where there are {groups} groups, not {self.columns}"
            )

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def dense(self) -> bool:
        return self.codes is None

    def where(self) -> NDArray[np.int32]:
        """The row of B that each value multiplies (M x kept). In the last group it may lie beyond `columns`."""
        if self.codes is None:
            return np.broadcast_to(np.arange(self.columns, dtype=np.int32), self.values.shape)
        indices = nm.from_codes(self.values, self.codes, self.pattern).indices.astype(np.int32)
        groups = np.arange(indices.shape[1], dtype=np.int32)[:, None, None]
        pair = np.arange(self.pattern.pair, dtype=np.int32)
        places = groups * self.pattern.group + (indices * self.pattern.pair)[..., None] + pair
        return places.reshape(self.values.shape)


def dense_operand(bits: NDArray[Any], pattern: Pattern) -> Operand:
    """A dense A, for a tile of this pattern."""
    return Operand(values=bits, codes=None, columns=bits.shape[1] if bits.ndim == 2 else 0, pattern=pattern)


def sparse_operand(
    bits: NDArray[Any], pattern: Pattern, *, dtype: str, mask: NDArray[np.bool_] | None = None
) -> Operand:
    """A sparse A, compressed from its dense form (raw bits, M x K), K padded with zeros to whole groups.

    Raises ValueError if a group has more values than the pattern keeps (zeroskip.model.mma.format.compress).
    """
    check_bits("a", bits, dtype)
    if bits.ndim != 2:
        raise ValueError(f"a must be a matrix, not {bits.shape}")
    padded = nm.pad_columns(bits, pattern.group)
    if mask is not None:
        mask = np.pad(mask, ((0, 0), (0, padded.shape[1] - bits.shape[1])))
    compressed = nm.compress(padded, pattern, dtype=dtype, mask=mask)
    return Operand(values=compressed.values, codes=nm.codes(compressed), columns=bits.shape[1], pattern=pattern)


Product = tuple[Operand, NDArray[Any], NDArray[Any]]
"""The operands of D = A B + C: A, and the raw bits of B (K x N) and C (M x N)."""


def check_product(operand: Operand, b: NDArray[Any], c: NDArray[Any], geometry: TileGeometry) -> None:
    """Raise ValueError unless D = A B + C is one that a tile of this geometry computes."""
    check_bits("values", operand.values, geometry.dtype)
    check_bits("b", b, geometry.dtype)
    check_bits("c", c, geometry.out)
    if operand.pattern != geometry.pattern:
        raise ValueError(f"the pattern must be {geometry.pattern}, that of the geometry, not {operand.pattern}")
    if b.ndim != 2 or b.shape[0] != operand.columns or not b.shape[1]:
        raise ValueError(f"b must have {operand.columns} rows, as a has columns, and a column, not {b.shape}")
    if c.shape != (operand.rows, b.shape[1]):
        raise ValueError(f"c must be {operand.rows} x {b.shape[1]}, not {c.shape}")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A part of a product that fits the memories: tiles `rows` of A, tiles `columns` of B, and `windows` of K, in
    `steps`.

    `new_b` says whether the job needs another part of B than the job before, `new_c` and `last` whether it begins or
    ends the sums of its part of C.
    """

    rows: range
    columns: range
    windows: range
    steps: range
    new_b: bool
    new_c: bool
    last: bool

    @property
    def sums(self) -> int:
        return len(self.rows) * len(self.columns)


def jobs(geometry: TileGeometry, m: int, n: int, k: int, *, dense: bool) -> Iterator[Job]:
    """The jobs of an M x K by K x N product. A part of B is used for all of A; where K is split, the sums stay in
    memory."""
    tiles_m, tiles_n, windows = -(-m // geometry.m), -(-n // geometry.n), -(-k // geometry.window)
    phases = geometry.phases if dense else 1
    # A dense product ends with its last k rows, not with its last window.
    steps = -(-k // geometry.k) if dense else windows
    if geometry.a_words < phases:
        raise ValueError(f"a_words must be at least {phases}, the steps of a window, not {geometry.a_words}")
    w = min(windows, geometry.a_words // phases, geometry.b_words)
    columns = min(tiles_n, geometry.b_words // w, geometry.d_words)
    rows = min(tiles_m, geometry.a_words // (w * phases), geometry.d_words // columns)
    before: tuple[range, range] | None = None
    for column in _parts(tiles_n, columns):
        for row in _parts(tiles_m, rows):
            for window in _parts(windows, w):
                yield Job(
                    rows=row,
                    columns=column,
                    windows=window,
                    steps=range(window.start * phases, min(window.stop * phases, steps)),
                    new_b=before != (column, window),
                    new_c=window.start == 0,
                    last=window.stop == windows,
                )
                before = (column, window)


def _parts(count: int, size: int) -> list[range]:
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


class Images:
    """The words of a product's matrices, padded to whole tiles and windows: zeros, and codes that are legal."""

    def __init__(self, operand: Operand, b: NDArray[Any], c: NDArray[Any], geometry: TileGeometry) -> None:
        check_product(operand, b, c, geometry)
        self.geometry, self.dense = geometry, operand.dense
        windows = -(-operand.columns // geometry.window)
        tiles_m, tiles_n = -(-operand.rows // geometry.m), -(-b.shape[1] // geometry.n)
        steps = -(-operand.columns // geometry.k) if operand.dense else windows
        dropped = getattr(geometry.operand, "dropped", 0)

        values = _padded(operand.values, tiles_m * geometry.m, steps * geometry.k) >> dropped
        self.values = values.reshape(tiles_m, geometry.m, steps, geometry.k)
        self.codes: NDArray[Any] | None = None
        if not geometry.pattern.dense:
            codes = np.full(
                (tiles_m * geometry.m, steps * geometry.groups),
                geometry.pattern.phase_code(0),
                nm.code_type(geometry.pattern),
            )
            if operand.codes is not None:
                codes[: operand.rows, : operand.codes.shape[1]] = operand.codes
            self.codes = codes.reshape(tiles_m, geometry.m, steps, geometry.groups)

        rows = (_padded(b, windows * geometry.window, tiles_n * geometry.n) >> dropped).reshape(
            windows, geometry.window, tiles_n, geometry.n
        )
        if operand.dense:
            rows = rows[:, geometry.dense_places]
        self.b = rows.transpose(2, 3, 0, 1)
        """Tiles x columns of a tile x windows x places."""
        self.c = _padded(c, tiles_m * geometry.m, tiles_n * geometry.n).reshape(
            tiles_m, geometry.m, tiles_n, geometry.n
        )
        """Tiles down x rows of a tile x tiles across x columns of a tile."""


def _padded(matrix: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    return np.pad(matrix, ((0, rows - matrix.shape[0]), (0, columns - matrix.shape[1])))
