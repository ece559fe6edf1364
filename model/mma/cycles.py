"""Cycle-exact model of the tile's matrix products (zeroskip.rtl.mma.gemm)."""

from __future__ import annotations

from zeroskip.model.mma.gemm import jobs
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import IntFormat, block_rule


def _loop_and_latency(geometry: TileGeometry) -> tuple[int, int]:
    """Cycles from one step of a sum to its next; and cycles around the steps, from `start` to the first and from the
    last to `done`."""
    if isinstance(geometry.operand, IntFormat):
        return 1, 9
    rule = block_rule(geometry.generation, geometry.dtype, geometry.out)
    # Each stage of the tree for the largest exponent has two levels.
    rank = 1 + -(-(rule.products - 1).bit_length() // 2)
    # What is added last needs four stages, and each block before it five.
    return (4, 9 + rank + 5 * (rule.step // rule.products)) if rule.addend_last else (5, 10 + rank)


def job_cycles(geometry: TileGeometry, *, sums: int, steps: int) -> int:
    """Cycles from `start` to `done` of a job of `sums` tiles with `steps` steps each.

    One step per cycle; fewer than `loop` sums leave idle cycles.
    """
    loop, latency = _loop_and_latency(geometry)
    entering = sums * steps if sums >= loop else (steps - 1) * loop + sums
    return entering + latency


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
