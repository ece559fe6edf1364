"""The N:M tile's entry among the drivers: the protocol of zeroskip.cosim.driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.build import Design
from zeroskip.cosim.driver import RtlRun, StageRun
from zeroskip.cosim.mma.design import gemm_design
from zeroskip.cosim.mma.play import CheckedGemm, check_gemm, play_gemm
from zeroskip.cosim.mma.trace import MmaDecoder
from zeroskip.cosim.mma.viewer import TileViewer
from zeroskip.cosim.mma.viewer_plan import plan_network
from zeroskip.cosim.mma.waves import groups
from zeroskip.cosim.session import Session, Setup
from zeroskip.cosim.simulator import LoadName
from zeroskip.cosim.waves.shown import Group
from zeroskip.model.core import Cycles
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.cycles import multiplier_utilisation
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.run_network import batch_size, run_stage
from zeroskip.model.network.losses import saturated
from zeroskip.model.network.stages import Stage

if TYPE_CHECKING:
    from zeroskip.cosim.verify import Verification


@dataclass(frozen=True, kw_only=True, eq=False)
class MmaStageRun(StageRun):
    """All images of a stage are one batch of the cycles. `transfers` counts the transfers of each layer
    (GemmRun.transfers)."""

    transfers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class MmaRun(RtlRun):
    """`transfers` (int64, layers) counts, over all images, the transfers that load operands and read results through
    the ports, one a cycle, while no job runs; they are counted where a simulation does without them, too. `useful`
    (float64, layers) is the number of cycles that the products of weights and activations take if all multipliers are
    busy: products / multipliers. All weights of a dense layer count, and the weights that the pattern keeps of a sparse
    layer; padding and the zeros between a convolution's groups do not. `multipliers` is the number of multipliers."""

    transfers: NDArray[np.int64]
    useful: NDArray[np.float64]
    multipliers: int

    @property
    def utilisation(self) -> float:
        """Useful cycles, as a fraction of all cycles."""
        return sum(self.useful.tolist()) / int(self.cycles.totals.sum())

    @property
    def layer_utilisation(self) -> NDArray[np.float64]:
        """The same of each layer."""
        return self.useful / self.cycles.by_layer.sum(axis=0)


class MmaDriver:
    files = ()

    def design(self, geometry: TileGeometry) -> Design:
        return gemm_design(geometry)

    def shown(self, geometry: TileGeometry) -> list[Group]:
        return groups(geometry)

    def decoder(self, geometry: TileGeometry) -> MmaDecoder:
        return MmaDecoder(geometry)

    def viewer(self, network: MmaNetwork, inputs: NDArray[np.float32]) -> TileViewer:
        return TileViewer(network.geometry, plan_network(network, inputs))

    def setup(self, network: MmaNetwork, load: LoadName) -> Setup:
        """Nothing but how: each product loads its operands."""
        return Setup(load=load)

    def images_together(self, network: MmaNetwork, images: int) -> int:
        return batch_size(network)

    def run_stage(
        self,
        session: Session,
        network: MmaNetwork,
        stage: Stage,
        rows: NDArray[np.float32],
        on_rows: Callable[[int], None],
    ) -> MmaStageRun:
        products: list[CheckedGemm] = []

        def multiply(layer: int, b: NDArray[Any], c: NDArray[Any]) -> NDArray[Any]:
            operand, before = network.operands[layer], len(products) / len(stage.layers)

            def on_jobs(done: int, total: int) -> None:
                on_rows(int(len(rows) * (before + done / total / len(stage.layers))))

            made = play_gemm(session, operand, b, c, network.geometry, on_jobs)
            products.append(check_gemm(made, operand, b, c, network.geometry))
            if (failing := products[-1].failing) is not None:
                session.fail(failing)
            return made.d

        outputs, losses = run_stage(network, stage, rows, multiply)
        by_layer = np.array([[product.run.cycles for product in products]], np.int64)
        return MmaStageRun(
            layers=stage.layers,
            outputs=outputs,
            by_layer=by_layer,
            totals=by_layer.sum(axis=1),
            values=sum(product.run.d.size for product in products),
            # All codes of a network are legal: the flag `illegal` is an error like a wrong bit.
            mismatches=sum(product.mismatches + product.run.illegal for product in products),
            cycle_model_equal=all(product.cycle_model_equal for product in products),
            saturated=saturated(losses),
            losses=losses,
            transfers=tuple(product.run.transfers for product in products),
        )

    def finish(
        self,
        network: MmaNetwork,
        values: NDArray[np.float32],
        cycles: Cycles,
        batches: Sequence[Sequence[MmaStageRun]],
    ) -> MmaRun:
        geometry = network.geometry
        useful = [
            multiplier_utilisation(
                geometry, layer.outputs, starts * len(values), layer.inputs // split, dense=not layer.sparse, cycles=1
            )
            for layer, starts, split in zip(network.layers, network.starts, network.groups, strict=True)
        ]
        return MmaRun(
            values=values,
            cycles=cycles,
            transfers=np.sum([_by_layer(network, stages) for stages in batches], axis=0),
            useful=np.array(useful),
            multipliers=geometry.m * geometry.n * geometry.k,
        )

    def encode(
        self, network: MmaNetwork, inputs: NDArray[np.float32], *, saturate: bool
    ) -> tuple[NDArray[np.float32], int]:
        """Returns them unchanged: values beyond the tile's format become infinite in the first layer and are counted
        there."""
        if inputs.dtype != np.float32:
            raise ValueError(f"inputs must be float32, not {inputs.dtype}")
        return np.ascontiguousarray(network.flat(inputs)), 0

    def decode(
        self, network: MmaNetwork, values: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        return values, np.ascontiguousarray(values).view(np.uint32)

    def rows(self, verification: Verification) -> list[tuple[str, str]]:
        geometry = verification.network.geometry
        dense = [str(index) for index, layer in enumerate(verification.network.layers) if not layer.sparse]
        rows = [("tile", f"{geometry.m} x {geometry.n} x {geometry.k}, {geometry.dtype}, {geometry.generation}")]
        return [*rows, ("layers that run dense", ", ".join(dense))] if dense else rows

    def sections(self, verification: Verification) -> Any:
        from zeroskip.cosim.mma.report import sections

        return sections(verification)


def _by_layer(network: MmaNetwork, stages: Sequence[MmaStageRun]) -> NDArray[np.int64]:
    """The transfers of each layer in a batch."""
    found = np.zeros(len(network.layers), np.int64)
    for stage in stages:
        found[list(stage.layers)] += stage.transfers
    return found


DRIVER = MmaDriver()
