"""Runs a layer on the mapping unit once more to record it."""

from __future__ import annotations

from pathlib import Path

from zeroskip.cosim.build import WaveFormat
from zeroskip.cosim.mapping.design import mapper_design
from zeroskip.cosim.mapping.program import layer_program
from zeroskip.cosim.mapping.trace import MapperDecoder
from zeroskip.cosim.mapping.viewer import MapperViewer
from zeroskip.cosim.mapping.waves import groups
from zeroskip.cosim.record import Subject, record, require_viewable
from zeroskip.cosim.records import Records
from zeroskip.cosim.session import NO_LIMIT, Recording, Session
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import RECORDING
from zeroskip.model.mapping.layer import LayerPlan
from zeroskip.model.progress import Progress, Step, silent


def viewer_of(plan: LayerPlan) -> MapperViewer:
    """The viewer of a layer. Raises ValueError if the layer takes more cycles than it shows."""
    viewer = MapperViewer(plan)
    require_viewable(viewer, 1, "layer", smaller="fewer points or offsets")
    return viewer


def record_layer(
    plan: LayerPlan,
    records: Records,
    *,
    name: str,
    viewer: MapperViewer | None,
    simulator: Simulator,
    seed: int,
    progress: Progress = silent,
) -> tuple[Path, ...]:
    """Runs a layer, and records it. `name` is that of its file, which trace and page say; `viewer` is that of
    `viewer_of`, where a page is wanted. Returns the sessions."""

    def run(file: Path, form: WaveFormat) -> None:
        with Session(
            mapper_design(plan.geometry),
            simulator=simulator,
            seed=seed,
            recording=Recording(file=file, format=form),
            announce=lambda task: progress(Step(task=task)),
        ) as session:
            session.play(
                layer_program(plan, [NO_LIMIT] * len(plan.cycles)),
                lambda done: progress(Step(task=RECORDING, done=done, total=len(plan.cycles), unit="jobs")),
            )

    points = len(plan.inputs.source)
    subject = Subject(
        groups=groups(plan.geometry),
        decoder=MapperDecoder(plan.geometry),
        viewer=viewer,
        name=name,
        of=f"{points:,} points",
        about={"file": name, "points": points},
    )
    return record(run, subject, records, progress)
