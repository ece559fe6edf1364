"""The tile's cycle model against the cycles that the RTL took under Verilator, written down here so that the model can
be tested without a simulator (tests/cosim/mma/test_play.py compares both on every run); and the utilisation by hand."""

from __future__ import annotations

import pytest

from zeroskip.model.mma.cycles import gemm_cycles, job_cycles, multiplier_utilisation
from zeroskip.model.mma.geometry import TileGeometry

MEASURED = {
    "fp16": (TileGeometry(m=2, n=3), {(1, 1): 14, (8, 9): 85, (20, 3): 73}),
    "int8": (
        TileGeometry(dtype="int8", out="int32_sat", m=3, n=2, k=8, a_words=5, b_words=3, d_words=3),
        {(1, 1): 10, (1, 4): 13, (1, 3): 12},
    ),
    "two blocks, c last": (
        TileGeometry(generation="H100", dtype="e4m3", out="fp16", m=1, n=2, k=32, a_words=6, b_words=4, d_words=9),
        {(1, 1): 23, (2, 1): 24, (4, 1): 26, (8, 1): 30, (1, 3): 31, (2, 3): 32},
    ),
    "c last": (
        TileGeometry(generation="B200", dtype="e5m2", out="fp32", m=2, n=1, k=32, a_words=9, b_words=3, d_words=5),
        {(1, 1): 19, (2, 1): 20, (3, 1): 21, (2, 3): 28},
    ),
}
"""By tile: the cycles of a job of so many sums and steps."""


@pytest.mark.parametrize("name", MEASURED)
def test_the_rtl_took_as_many(name: str) -> None:
    geometry, measured = MEASURED[name]
    assert {shape: job_cycles(geometry, sums=shape[0], steps=shape[1]) for shape in measured} == measured


def test_a_product_takes_the_cycles_of_its_jobs() -> None:
    """As measured: dense products (M, N, K) of the tiles above, cut into jobs where the memories are small."""
    sizes = {(1, 1, 1): (14, 10, 23, 19), (7, 5, 70): (85, 27 * 12, 7 * (32 + 31), 10 * 28)}
    sizes[9, 11, 19] = (73, 18 * 12, 4 * 30 + 5 * 26 + 24, 15 * 21 + 5 * 20)
    for (m, n, k), expected in sizes.items():
        assert tuple(gemm_cycles(geometry, m, n, k, dense=True) for geometry, _ in MEASURED.values()) == expected


def test_utilisation_is_products_of_kept_values_over_multipliers_times_cycles() -> None:
    """48 x 20 x 64 products of which 2:4 keeps half, on 4 x 5 x 8 multipliers."""
    geometry = TileGeometry(m=4, n=5, k=8)
    found = [multiplier_utilisation(geometry, 48, 20, 64, dense=dense, cycles=1000) for dense in (True, False)]
    assert found == [48 * 20 * 64 / (1000 * 160), 48 * 20 * 32 / (1000 * 160)]
