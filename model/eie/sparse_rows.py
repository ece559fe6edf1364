"""Matrices by their weights that are not zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseRows:
    """A matrix in compressed sparse rows (CSR): row r has `weights` (int64) in `columns` (int32) from `starts[r]` up to
    `starts[r + 1]` (int64, rows + 1)."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    weights: NDArray[np.int64]

    @classmethod
    def of(cls, matrix: NDArray[np.integer]) -> SparseRows:
        """Those of a matrix (rows x columns)."""
        rows, columns = np.nonzero(matrix)
        return cls(
            starts=np.searchsorted(rows, np.arange(len(matrix) + 1)).astype(np.int64),
            columns=columns.astype(np.int32),
            weights=matrix[rows, columns].astype(np.int64),
        )

    @property
    def rows(self) -> int:
        return len(self.starts) - 1
