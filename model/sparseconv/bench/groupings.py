"""The ways of grouping a layer's products beside each other: padding and time."""

from __future__ import annotations

from typing import Any

from zeroskip.model.sparseconv.bench.layer import Layer, operands
from zeroskip.model.sparseconv.bench.scenes import surface
from zeroskip.model.sparseconv.bench.timing import in_turn, timed
from zeroskip.model.sparseconv.functional import find_map
from zeroskip.model.sparseconv.grouping import GROUPINGS, Grouping, padding_waste

SIZES = (200, 1_000, 5_000, 50_000)
"""Voxels: on a CPU, grouping pays for small maps only."""
OTHERS = ("fused", "implicit-gemm", "fetch-on-demand", "reference")


def measure_groupings(channels: tuple[int, int], *, repeats: int, seed: int) -> list[dict[str, Any]]:
    """For surfaces of SIZES and each grouping: its groups, its padding relative to the rows that count, and ms."""
    rows = []
    for size in SIZES:
        scene = surface(size)
        feats, weight = operands(scene, channels, seed)
        layers = {how: Layer(scene, feats, weight, how) for how in (*GROUPINGS, *OTHERS)}
        kmap = find_map(layers["reference"].mapped, 3)
        times = in_turn({how: timed(layer.conv) for how, layer in layers.items()}, repeats)
        for how, median in times.items():
            groups = Grouping(kind=how).groups(kmap.sizes, kmap.symmetric) if how in GROUPINGS else None
            rows.append(
                {
                    "voxels": len(scene.coords),
                    "execution": how,
                    "groups": None if groups is None else len(groups),
                    "padding": None if groups is None else padding_waste(groups, kmap.sizes),
                    "conv_ms": 1000 * median,
                }
            )
    return rows
