"""Measures the N:M tile on the RTL: cycles of products and networks, and the bits of every format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zeroskip.cosim.mma.formats import check_format, modes
from zeroskip.cosim.mma.play import verify_gemms
from zeroskip.model.mma.compiler import channel_order
from zeroskip.model.mma.convert import to_raw
from zeroskip.model.mma.cycles import multiplier_utilisation
from zeroskip.model.mma.format import nm_mask, pad_columns
from zeroskip.model.mma.gemm import Operand, dense_operand, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry

SIZES = [(16, 16, 16), (64, 64, 64), (128, 128, 256), (256, 256, 512), (64, 64, 4096), (512, 512, 256)]
"""M, N, K."""

IMAGES = 16
"""Images in one batch."""

NETWORKS: dict[str, list[tuple[int, int, tuple[int, ...]]]] = {
    "LeNet-300-100": [(300, 1, (784,)), (100, 1, (300,)), (10, 1, (100,))],
    "LeNet-5": [(20, 576, (1, 5, 5)), (50, 64, (20, 5, 5)), (500, 1, (800,)), (10, 1, (500,))],
}
"""For each layer: outputs, positions, and the shape of its inputs (channels, and the kernel of a convolution)."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product on the RTL, dense and pruned. For a network layer, K is the dense K.

    `utilisation` (of the sparse product) and `dense_utilisation` are the products with kept values, without padding, as
    fractions of those that the multipliers could compute. The cycles are those from `start` to `done`;
    `dense_transfers` and `sparse_transfers` count the transfers before and after, one a cycle.
    """

    name: str
    m: int
    n: int
    k: int
    dense_cycles: int
    sparse_cycles: int
    speedup: float
    utilisation: float
    dense_utilisation: float
    dense_transfers: int
    sparse_transfers: int
    equal: bool
    """Whether every bit is that of the golden model, and every cycle that of the cycle model."""


def products(geometry: TileGeometry, seed: int, progress: Callable[[str], None]) -> list[Product]:
    """SIZES, then the layers of NETWORKS, of normally distributed values, on the RTL."""
    cases: list[tuple[str, int, int, tuple[int, ...]]] = [(f"{m} x {n} x {k}", m, n, (k,)) for m, n, k in SIZES]
    for name, layers in NETWORKS.items():
        cases += [
            (f"{name}, layer {index}", outputs, positions * IMAGES, inputs)
            for index, (outputs, positions, inputs) in enumerate(layers)
        ]
    found = []
    for name, m, n, inputs in cases:
        progress(name)
        found.append(_product(name, m, n, inputs, geometry, seed))
    return found


def _product(name: str, m: int, n: int, inputs: tuple[int, ...], geometry: TileGeometry, seed: int) -> Product:
    rng = np.random.default_rng(seed)
    k = int(np.prod(inputs))
    values, b_values, c_values = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n), (m, n)))
    b, c = to_raw(b_values, geometry.dtype), to_raw(c_values, geometry.out)
    dense = dense_operand(to_raw(values, geometry.dtype), geometry.pattern)

    # Channels last and padded, as networks are compiled.
    order = channel_order(inputs, geometry.pattern)
    ordered = np.where(order < 0, 0, values[:, order])
    mask = nm_mask(np.abs(pad_columns(ordered, geometry.group)), geometry.pattern)[:, : len(order)]
    sparse = sparse_operand(
        to_raw(ordered.astype(np.float32), geometry.dtype), geometry.pattern, dtype=geometry.dtype, mask=mask
    )
    b_ordered = np.where(order[:, None] < 0, b.dtype.type(0), b[order])

    def run(operand: Operand, rows: Any) -> tuple[int, int, bool]:
        (checked,), _ = verify_gemms([(operand, rows, c)], geometry, seed=seed)
        return checked.run.cycles, checked.run.transfers, checked.equal

    dense_cycles, dense_transfers, dense_equal = run(dense, b)
    sparse_cycles, sparse_transfers, sparse_equal = run(sparse, b_ordered)
    return Product(
        name=name,
        m=m,
        n=n,
        k=k,
        dense_cycles=dense_cycles,
        sparse_cycles=sparse_cycles,
        speedup=dense_cycles / sparse_cycles,
        utilisation=multiplier_utilisation(geometry, m, n, k, dense=False, cycles=sparse_cycles),
        dense_utilisation=multiplier_utilisation(geometry, m, n, k, dense=True, cycles=dense_cycles),
        dense_transfers=dense_transfers,
        sparse_transfers=sparse_transfers,
        equal=dense_equal and sparse_equal,
    )


def networks(layers: list[Product]) -> list[dict[str, Any]]:
    """Cycles of each network for IMAGES images: all layers dense; and each layer dense or sparse, whichever is
    faster, as `compile` does it."""
    found = []
    for name in NETWORKS:
        own = [layer for layer in layers if layer.name.startswith(f"{name},")]
        dense = sum(layer.dense_cycles for layer in own)
        sparse = sum(min(layer.dense_cycles, layer.sparse_cycles) for layer in own)
        found.append({"name": name, "dense_cycles": dense, "sparse_cycles": sparse, "speedup": dense / sparse})
    return found


def formats(blocks: int, seed: int, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Every mode of every generation: blocks on the RTL against the golden model."""
    found = []
    for geometry in modes():
        name = f"{geometry.dtype} to {geometry.out}"
        progress(f"{name}, {geometry.generation}")
        result = check_format(geometry, blocks, seed=seed)
        found.append(
            {
                "format": name,
                "generation": geometry.generation,
                "blocks": result.blocks,
                "mismatches": result.mismatches,
            }
        )
    return found
