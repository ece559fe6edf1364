"""The EIE array's entry among the drivers: the protocol of zeroskip.cosim.driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.build import Design
from zeroskip.cosim.driver import RtlRun, StageRun
from zeroskip.cosim.eie.design import player_design
from zeroskip.cosim.eie.memories import network_memories
from zeroskip.cosim.eie.models import run_models
from zeroskip.cosim.eie.program import network_program, stage_program, tables_program
from zeroskip.cosim.eie.record import ACTIVITIES, Record, hung_start, parse_record
from zeroskip.cosim.eie.trace import EieDecoder
from zeroskip.cosim.eie.viewer import EieViewer
from zeroskip.cosim.eie.waves import groups
from zeroskip.cosim.session import Session, Setup, most_cycles
from zeroskip.cosim.simulator import LoadName
from zeroskip.cosim.waves.shown import Group
from zeroskip.model.core import Cycles
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.network.stages import Stage, rows_together

if TYPE_CHECKING:
    from zeroskip.cosim.verify import Verification


@dataclass(frozen=True, kw_only=True, eq=False)
class EieStageRun(StageRun):
    """Each image is a batch of the cycles. `record` is everything that the player recorded."""

    record: Record


@dataclass(frozen=True, kw_only=True, eq=False)
class EieRun(RtlRun):
    """`stage_outputs` are the array's outputs of each stage that runs on it (int16, starts x outputs); `activity`
    (int64, pes x ACTIVITIES) are cycles over all images. `queue_levels` (uint16, cycles x pes) and `layer_trace`
    (uint8, cycles; the layer that ran) cover each cycle of the first start of each stage, one stage after the other.
    """

    stage_outputs: tuple[NDArray[np.int16], ...]
    activity: NDArray[np.int64]
    queue_levels: NDArray[np.uint16]
    layer_trace: NDArray[np.uint8]

    @property
    def utilisation(self) -> float:
        """Cycles in which PEs multiply weights, as a fraction of all cycles of all PEs from `start` to `done`."""
        return float(self.activity[:, 0].sum() / (self.cycles.totals.sum() * len(self.activity)))

    @property
    def pe_cycles(self) -> dict[str, int]:
        """What the cycles of all PEs went to, from `start` to `done`: those of ACTIVITIES, and those that take `start`.
        They add up to cycles x PEs."""
        pes = len(self.activity)
        of_layers = dict(zip(ACTIVITIES, self.activity.sum(axis=0).tolist(), strict=True))
        return {**of_layers, "start": int(self.cycles.totals.sum() - self.cycles.by_layer.sum()) * pes}


class EieDriver:
    files = ("trace",)

    def design(self, geometry: EieGeometry) -> Design:
        return player_design(geometry)

    def shown(self, geometry: EieGeometry) -> list[Group]:
        return groups(geometry)

    def decoder(self, geometry: EieGeometry) -> EieDecoder:
        return EieDecoder(geometry)

    def viewer(self, network: EieNetwork, inputs: NDArray[np.int16]) -> EieViewer:
        return EieViewer(network, inputs)

    def setup(self, network: EieNetwork, load: LoadName) -> Setup:
        """The network is loaded once, for all stages and images. The few words of codebooks and layer table go through
        the load port in any case."""
        if load == "ports":
            return Setup(program=[network_program(network)])
        return Setup(memories=network_memories(network), program=[tables_program(network)])

    def images_together(self, network: EieNetwork, images: int) -> int:
        return max(images, 1)

    def run_stage(
        self,
        session: Session,
        network: EieNetwork,
        stage: Stage,
        rows: NDArray[np.int16],
        on_rows: Callable[[int], None],
    ) -> EieStageRun:
        models = run_models(network, stage, rows)
        predicted, expected = models.layer_cycles, models.cycles
        text = session.play(stage_program(network, stage, rows, most_cycles(expected)), on_rows)
        if (hung := hung_start(text)) is not None:
            raise session.failed(
                range(hung.start, hung.start + 1),
                f"start {hung.start} was not done after {hung.cycles:,} cycles, in layer {hung.layer}; the cycle model "
                f"expected {expected[hung.start]:,}",
            )
        record = parse_record(network, stage, len(rows), text, session.file("trace"))
        different = record.outputs != models.outputs
        other_cycles = np.any(record.layer_cycles != predicted, axis=1)
        other_cycles |= record.cycles != expected
        if len(wrong := np.flatnonzero(np.any(different, axis=1) | other_cycles)):
            session.fail(range(int(wrong[0]), int(wrong[0]) + 1))
        images = len(rows) // rows_together(stage)
        used = record.layer_cycles[:, stage.layers.start : stage.layers.stop]
        return EieStageRun(
            layers=stage.layers,
            outputs=record.outputs,
            by_layer=used.reshape(images, rows_together(stage), -1).sum(axis=1),
            totals=record.cycles.reshape(images, -1).sum(axis=1),
            values=record.outputs.size,
            mismatches=int(different.sum()),
            cycle_model_equal=not other_cycles.any(),
            saturated=models.saturated,
            losses=models.losses,
            record=record,
        )

    def finish(
        self,
        network: EieNetwork,
        values: NDArray[np.int16],
        cycles: Cycles,
        batches: Sequence[Sequence[EieStageRun]],
    ) -> EieRun:
        # All images are in one batch.
        records = [stage.record for stages in batches for stage in stages]
        return EieRun(
            values=values,
            cycles=cycles,
            stage_outputs=tuple(record.outputs for record in records),
            activity=np.sum([record.activity for record in records], axis=0),
            queue_levels=np.concatenate([record.queue_levels for record in records]),
            layer_trace=np.concatenate([record.layer_trace for record in records]),
        )

    def encode(
        self, network: EieNetwork, inputs: NDArray[np.float32], *, saturate: bool
    ) -> tuple[NDArray[np.int16], int]:
        return quantise_inputs(network, inputs, saturate=saturate)

    def decode(self, network: EieNetwork, values: NDArray[np.int16]) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
        raw = values[:, network.order]
        return float_outputs(network, raw), raw

    def rows(self, verification: Verification) -> list[tuple[str, str]]:
        return [("PEs", str(verification.network.geometry.pes))]

    def sections(self, verification: Verification) -> Any:
        from zeroskip.cosim.eie.report import sections

        return sections(verification)


DRIVER = EieDriver()
