"""Cycle-exact model of the tile's matrix products (zeroskip.rtl.mma.gemm)."""

from __future__ import annotations

from zeroskip.model.mma.gemm import jobs
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import IntFormat

_FLOAT_LOOP, _INT_LOOP = 5, 1
"""Cycles from one step of a sum to its next."""
_FLOAT_LATENCY, _INT_LATENCY = 9, 5
"""Cycles around the steps: from `start` to the first, and from the last to `done`."""


def job_cycles(geometry: TileGeometry, *, sums: int, steps: int) -> int:
    """Cycles from `start` to `done` of a job of `sums` tiles with `steps` steps each.

    One step per cycle; fewer than `loop` sums leave idle cycles.
    """
    integer = isinstance(geometry.operand, IntFormat)
    loop = _INT_LOOP if integer else _FLOAT_LOOP
    entering = sums * steps if sums >= loop else (steps - 1) * loop + sums
    return entering + (_INT_LATENCY if integer else _FLOAT_LATENCY)


def gemm_cycles(geometry: TileGeometry, m: int, n: int, k: int, *, dense: bool) -> int:
    """Cycles of the jobs of an M x K by K x N product, loading not counted."""
    return sum(
        job_cycles(geometry, sums=job.sums, steps=len(job.steps)) for job in jobs(geometry, m, n, k, dense=dense)
    )


def multiplier_utilisation(geometry: TileGeometry, m: int, n: int, k: int, *, dense: bool, cycles: int) -> float:
    """Products of A's kept values with B, as a fraction of all that the multipliers could compute in `cycles`; K
    without padding."""
    kept = k if dense else k * geometry.keep / geometry.group
    return m * n * kept / (cycles * geometry.m * geometry.n * geometry.k)
