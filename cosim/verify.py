"""Runs a compiled network on the RTL of its core and compares it with the golden model and the cycle model."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.driver import RtlRun, StageRun
from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.session import Recording, Session
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.model.core import Cycles
from zeroskip.model.network.losses import Loss, joined
from zeroskip.model.network.losses import saturated as by_kind
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.model.progress import Progress, Step, silent

RUNNING = "running on the RTL"
"""The progress step that counts images."""

RECORDING = "recording the waveform"
"""The same where the run is recorded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Verification:
    """A batch on the RTL of `core`, compared with the models.

    `outputs` (float, images x outputs) are in the user's order, `raw` the same as the core's own bits. `values`
    results of all rows of all stages were compared; `mismatches` of them differ from the golden model given the same
    rows. `cycle_model_equal` is true if all cycles equal those of the cycle model. `saturated` counts, by kind, values
    that did not fit the core's formats, and `losses` by layer what these lost. `waveform` shows the first
    failing start.
    """

    core: str
    network: Any
    run: Any
    """The core's own RtlRun."""
    outputs: NDArray[Any]
    raw: NDArray[Any]
    values: int
    mismatches: int
    cycle_model_equal: bool
    saturated: dict[str, int]
    losses: tuple[Loss, ...]
    waveform: Path | None

    @property
    def equal(self) -> bool:
        """Whether the run is right: every bit and every cycle."""
        return self.mismatches == 0 and self.cycle_model_equal

    @property
    def images(self) -> int:
        return len(self.outputs)

    @property
    def cycles(self) -> NDArray[np.float64]:
        """Cycles of each image (images,), from the first start to the last done. Where images go through the core
        together, each has an equal share of the cycles."""
        cycles: Cycles = self.run.cycles
        return cycles.per_image

    @property
    def cycles_by_layer(self) -> NDArray[np.float64]:
        """Cycles of an image in each layer (layers,), the mean over all images."""
        by_layer: NDArray[np.float64] = self.run.cycles.by_layer.sum(axis=0) / self.images
        return by_layer

    def summary(self) -> dict[str, Any]:
        """The result for the commands' JSON, with the same keys for every core. Rates are fractions."""
        return {
            "core": self.core,
            "images": self.images,
            "geometry": dataclasses.asdict(self.network.geometry),
            "cycles_per_image": {
                "mean": float(self.run.cycles.totals.sum()) / self.images,
                "min": self.cycles.min().item(),
                "max": self.cycles.max().item(),
            },
            "cycles_by_layer": self.cycles_by_layer.tolist(),
            "sparse_layers": self.network.sparse_layers,
            "utilisation": self.run.utilisation,
            "saturated": self.saturated,
            "values": self.values,
            "mismatches": self.mismatches,
            "cycle_model_equal": self.cycle_model_equal,
            "waveform": None if self.waveform is None else str(self.waveform),
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same for people, as (label, value)."""
        figures = self.summary()
        counts = figures["cycles_per_image"]
        spread = "" if counts["min"] == counts["max"] else f" ({counts['min']:,.0f} to {counts['max']:,.0f})"
        rows = [
            ("images on RTL", f"{self.images:,}"),
            *load_driver(self.core).rows(self),
            ("cycles per image", f"{counts['mean']:,.1f}{spread}"),
            ("cycles by layer", " + ".join(f"{count:,.1f}" for count in figures["cycles_by_layer"])),
            ("utilisation", f"{figures['utilisation']:.1%}"),
            *((f"saturated {kind}", f"{count:,}") for kind, count in self.saturated.items()),
            ("cycle model", "equal" if self.cycle_model_equal else "NOT EQUAL"),
            ("RTL against golden model", f"{self.mismatches:,} mismatches in {self.values:,} values"),
        ]
        return rows if self.waveform is None else [*rows, ("waveform", str(self.waveform))]


def verify(
    network: Any,
    inputs: NDArray[Any],
    *,
    simulator: Simulator = Simulator.VERILATOR,
    load: LoadName = "direct",
    seed: int = 0,
    waveform: Path | None = None,
    recording: Recording | None = None,
    progress: Progress = silent,
) -> Verification:
    """Runs a batch on the RTL, stage by stage, and each stage on the golden model and the cycle model of its core.

    `inputs` (images x values) have the form of the first stage (Driver.encode); the RTL's outputs of each stage are the
    inputs of the next. One simulator runs all stages; its memories start with random contents by `seed`, but for what
    `load` puts there. If the RTL differs from a model, the first such start is recorded as `waveform`, by default in
    the cache folder. With `recording`, the whole run is recorded there.

    Raises SimulatorError if the simulator is missing or fails, or a start takes much longer than the cycle model says
    (zeroskip.cosim.session.most_cycles).
    """
    driver = load_driver(network.core)
    with Session(
        driver.design(network.geometry),
        setup=driver.setup(network, load),
        files=driver.files,
        simulator=simulator,
        seed=seed,
        waveform=waveform,
        recording=recording,
        announce=lambda task: progress(Step(task=task)),
    ) as session:
        task = RUNNING if recording is None else RECORDING
        return verify_in(session, driver, network, inputs, task=task, progress=progress)


def verify_in(
    session: Any, driver: Any, network: Any, inputs: NDArray[Any], *, task: str, progress: Progress = silent
) -> Verification:
    """As `verify`, in a session that has begun: a Session, or another that `driver` takes in its place. `task` is the
    progress step that counts images."""
    stages: list[Stage] = list(network.stages)
    together = driver.images_together(network, len(inputs))
    per_image = sum(stage.starts for stage in stages)
    batches: list[list[StageRun]] = []
    values: list[NDArray[Any]] = []
    host: list[Loss] = []
    done = 0

    def report(rows: int) -> None:
        progress(Step(task=task, done=rows // per_image, total=len(inputs), unit="images"))

    def run_stage(stage: Stage, rows: NDArray[Any]) -> NDArray[Any]:
        nonlocal done
        before = done
        made = driver.run_stage(session, network, stage, rows, lambda count: report(before + count))
        done += len(rows)
        report(done)
        batches[-1].append(made)
        return made.outputs

    def run_host(index: int, given: list[NDArray[Any]]) -> NDArray[Any]:
        outputs, lost = network.run_host(index, given)
        host.extend(lost)
        return outputs

    for first in range(0, len(inputs), together):
        batches.append([])
        values.append(run_stages(stages, inputs[first : first + together], run_stage, run_host, network.run_cell))
    run: RtlRun = driver.finish(network, np.concatenate(values), _cycles(batches, values, len(network.layers)), batches)
    outputs, raw = driver.decode(network, run.values)
    made = [stage for batch in batches for stage in batch]
    saturated: Counter[str] = Counter()
    for stage in made:
        saturated.update(stage.saturated)
    saturated.update(by_kind(host))
    return Verification(
        core=network.core,
        network=network,
        run=run,
        outputs=outputs,
        raw=raw,
        values=sum(stage.values for stage in made),
        mismatches=sum(stage.mismatches for stage in made),
        cycle_model_equal=all(stage.cycle_model_equal for stage in made),
        saturated=dict(saturated),
        losses=tuple(joined([*(loss for stage in made for loss in stage.losses), *host])),
        waveform=session.waveform,
    )


def _cycles(batches: list[list[StageRun]], values: list[NDArray[Any]], layers: int) -> Cycles:
    """Joins the cycles of all batches; the core may have split each into smaller ones."""
    by_layer = [np.zeros((len(stages[0].by_layer), layers), np.int64) for stages in batches]
    for found, stages in zip(by_layer, batches, strict=True):
        for stage in stages:
            found[:, list(stage.layers)] += stage.by_layer
    images = [
        np.full(len(found), len(part) // len(found), np.int64) for found, part in zip(by_layer, values, strict=True)
    ]
    return Cycles(
        by_layer=np.concatenate(by_layer),
        totals=np.concatenate([np.sum([stage.totals for stage in stages], axis=0) for stages in batches]),
        images=np.concatenate(images),
    )
