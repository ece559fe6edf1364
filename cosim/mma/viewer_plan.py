"""The jobs of the tile that a viewer shows, with what they compute: those of a network, or of products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.cycles import job_cycles
from zeroskip.model.mma.gemm import Job, Operand, Product, jobs
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import raw_type
from zeroskip.model.mma.run_network import run


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """A job of D = A B + C with `sizes` (M, N, K). `title` names the product, and the job if it has several."""

    title: str
    sizes: tuple[int, int, int]
    job: Job

    def cycles(self, geometry: TileGeometry) -> int:
        """Cycles from its start to its done, both counted."""
        return job_cycles(geometry, sums=self.job.sums, steps=len(self.job.steps)) + 1

    def facts(self) -> list[Any]:
        """Title, sizes, and the tile of D, down and across, with which it begins."""
        return [self.title, *self.sizes, self.job.rows.start, self.job.columns.start]


def plan_network(network: MmaNetwork, inputs: NDArray[np.float32]) -> list[PlannedJob]:
    """The jobs of a batch (float32, images x values), in their order. What the products give does not matter for
    them."""
    planned: list[PlannedJob] = []

    def multiply(layer: int, b: NDArray[Any], c: NDArray[Any]) -> NDArray[Any]:
        planned.extend(_jobs(f"layer {layer}", network.operands[layer], b.shape[1], network.geometry))
        return np.zeros(c.shape, raw_type(network.geometry.result))

    run(network, inputs, multiply)
    return planned


def plan_products(products: Sequence[Product], geometry: TileGeometry) -> list[PlannedJob]:
    """The jobs of independent products, one product after the other."""
    return [
        job
        for number, (operand, b, _) in enumerate(products)
        for job in _jobs(f"product {number}" if len(products) > 1 else "product", operand, b.shape[1], geometry)
    ]


def _jobs(title: str, operand: Operand, columns: int, geometry: TileGeometry) -> Iterator[PlannedJob]:
    sizes = (operand.rows, columns, operand.columns)
    parts = list(jobs(geometry, *sizes, dense=operand.dense))
    for number, job in enumerate(parts):
        yield PlannedJob(title=title if len(parts) == 1 else f"{title}, job {number}", sizes=sizes, job=job)
