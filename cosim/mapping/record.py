"""Runs a layer on the mapping unit once more for the page that plays its cycles."""

from __future__ import annotations

from pathlib import Path

from zeroskip.cosim.mapping.design import mapper_design
from zeroskip.cosim.mapping.program import layer_program
from zeroskip.cosim.mapping.viewer import MapperViewer
from zeroskip.cosim.record import DECODING, require_viewable
from zeroskip.cosim.session import NO_LIMIT, Recording, Session
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import RECORDING
from zeroskip.cosim.viewer.page import write_viewer
from zeroskip.model.mapping.layer import LayerPlan
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.temporary import TemporaryFolder


def viewer_of(plan: LayerPlan) -> MapperViewer:
    """The viewer of a layer. Raises ValueError if the layer takes more cycles than it shows."""
    viewer = MapperViewer(plan)
    require_viewable(viewer, 1, "layer", smaller="fewer points or offsets")
    return viewer


def record_page(
    path: Path,
    viewer: MapperViewer,
    plan: LayerPlan,
    *,
    name: str,
    simulator: Simulator,
    seed: int,
    progress: Progress = silent,
) -> None:
    """Writes the page of a layer, of which `viewer_of` made the viewer, from the file `name`, which the page says."""
    with TemporaryFolder() as folder:
        recording = Recording(file=folder / "run.vcd", format="vcd")
        with Session(
            mapper_design(plan.geometry),
            simulator=simulator,
            seed=seed,
            recording=recording,
            announce=lambda task: progress(Step(task=task)),
        ) as session:
            session.play(
                layer_program(plan, [NO_LIMIT] * len(plan.cycles)),
                lambda done: progress(Step(task=RECORDING, done=done, total=len(plan.cycles), unit="jobs")),
            )
        progress(Step(task=DECODING))
        points = len(plan.inputs.source)
        write_viewer(path, recording.file, viewer, title=name, of=f"{points:,} points")
