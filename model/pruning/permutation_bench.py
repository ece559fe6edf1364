"""How well and how fast the search for channel orders is, on a matrix for which others have published figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zeroskip.model.mma.pattern import Pattern
from zeroskip.model.pruning.permutation import PROPOSALS, Permutation, search


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """What `search` found for a matrix of `rows` x `columns`, and how many `seconds` it took."""

    rows: int
    columns: int
    permutation: Permutation
    seconds: float


def measure(
    *, rows: int = 128, columns: int = 64, pattern: Pattern | None = None, seed: int = 1, proposals: int = PROPOSALS
) -> Measurement:
    """Searches once, after a first call that compiles.

    With the defaults the matrix is, number for number, that of the table in NVIDIA's apex
    (apex/contrib/sparsity/permutation_tests/README.md): pairs of stripes keep 2919.8 of it (efficacy 0.355, 60.7 s on
    a CPU), triples 2921.9 (0.366, GPU only).
    """
    # apex draws from numpy's old generator, whose stream the new one does not give.
    weight = torch.from_numpy(np.random.RandomState(seed).rand(rows, columns))
    pattern = Pattern() if pattern is None else pattern
    search(weight, pattern, seed=seed, proposals=0)
    start = time.perf_counter()
    permutation = search(weight, pattern, seed=seed, proposals=proposals)
    seconds = time.perf_counter() - start
    return Measurement(rows=rows, columns=columns, permutation=permutation, seconds=seconds)


PUBLISHED = {"efficacy": 0.355, "kept": 2919.8, "seconds": 60.65}
"""What NVIDIA's apex finds for the same matrix with stripe groups of 8, on a CPU (its permutation_tests/README.md)."""


def permutation_row() -> dict[str, Any]:
    """Magnitude that 2:4 keeps of a 128 x 64 matrix, in the order given and in that of the search."""
    measured = measure()
    found = measured.permutation
    return {
        "rows": measured.rows,
        "columns": measured.columns,
        "total": found.total,
        "without": found.before,
        "with": found.after,
        "efficacy": found.efficacy,
        "seconds": measured.seconds,
        "published": PUBLISHED,
    }
