"""The quality and the speed of the channel permutation search, on a matrix with published figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.permutation import PROPOSALS, Permutation, search


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """The result of `search` for a matrix of `rows` x `columns`, and the `seconds` that it took."""

    rows: int
    columns: int
    permutation: Permutation
    seconds: float


def measure(
    *, rows: int = 128, columns: int = 64, pattern: Pattern | None = None, seed: int = 1, proposals: int = PROPOSALS
) -> Measurement:
    """Measures one search, after a first call that compiles it.

    With the defaults, the matrix is exactly that of the table in NVIDIA's apex
    (apex/contrib/sparsity/permutation_tests/README.md): pairs of stripes keep a magnitude of 2919.8 (efficacy 0.355,
    60.7 s on a CPU), triples 2921.9 (0.366, GPU only).
    """
    # apex uses numpy's old random generator, which gives other numbers than the new one.
    weight = torch.from_numpy(np.random.RandomState(seed).rand(rows, columns))
    pattern = Pattern() if pattern is None else pattern
    search(weight, pattern, seed=seed, proposals=0)
    start = time.perf_counter()
    permutation = search(weight, pattern, seed=seed, proposals=proposals)
    seconds = time.perf_counter() - start
    return Measurement(rows=rows, columns=columns, permutation=permutation, seconds=seconds)


PUBLISHED = {"efficacy": 0.355, "kept": 2919.8, "seconds": 60.65}
"""The result of NVIDIA's apex for the same matrix, with stripe groups of 8 on a CPU (permutation_tests/README.md)."""


def permutation_row() -> dict[str, Any]:
    """The magnitude that 2:4 pruning keeps of a 128 x 64 matrix, without permutation and with it, for a benchmark."""
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
