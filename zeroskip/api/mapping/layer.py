"""Kernel maps on the RTL of the mapping unit: `zeroskip mapping`. Imports nothing heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_settings, typed
from zeroskip.api.mapping.width import WIDTH, require_width
from zeroskip.api.paths import require_writable, reserves
from zeroskip.api.records import beside_records, records_of, rows_of, summary_of
from zeroskip.cosim.records import Records
from zeroskip.cosim.simulator import SimulatorName
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.cosim.mapping.play import LayerRun


@dataclass(frozen=True, kw_only=True)
class MappingSettings:
    """How many keys the unit merges in a cycle (a power of two up to 64), and the simulator."""

    width: int = WIDTH
    simulator: SimulatorName = "verilator"

    def __post_init__(self) -> None:
        require_settings(self, simulator=SimulatorName)
        require_width(self.width)


@dataclass(frozen=True, kw_only=True, eq=False)
class MappingResult:
    """A layer's map on the RTL: the `run`, beside both models."""

    file: Path
    output: Path
    report: Path | None
    records: Records
    sessions: tuple[Path, ...]
    """Sessions beside the waveform that was recorded."""
    run: LayerRun
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every triple and every cycle is right."""
        return self.run.equal

    def summary(self) -> dict[str, Any]:
        """What `zeroskip mapping --json` prints."""
        return {
            "file": str(self.file),
            "output": str(self.output),
            **self.run.summary(),
            "report": None if self.report is None else str(self.report),
            **summary_of(self.records, self.sessions),
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        return [
            *self.run.rows(),
            ("written to", str(self.output)),
            *([] if self.report is None else [("report", str(self.report))]),
            *rows_of(self.records, self.sessions),
        ]


def _waveform(output: Path) -> Path:
    """The waveform of a failure, next to the output."""
    return output.with_suffix(".vcd")


@typed
@reserves("output", "report", "waves", "trace", "viewer", beside=beside_records)
def run_mapping(
    file: Path | str,
    *,
    settings: MappingSettings | None = None,
    output: Path | str | None = None,
    report: Path | str | None = None,
    waves: Path | str | None = None,
    from_cycle: int | None = None,
    cycles: int | None = None,
    trace: Path | str | None = None,
    viewer: Path | str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> MappingResult:
    """Sort the points of a sparse layer and find its kernel map on the RTL, and compare both with the golden model and
    the cycle model.

    `file` is an NPZ file of integers: inputs (points x (batch, x, y, ...)), offsets (count x coordinates), and, where
    the outputs are not the inputs, outputs (points) or strides (powers of two). triples (offset, input, output),
    outputs and cycles are written to `output`, an NPZ file; where it is None, to the file with the suffix .map.npz.
    `report` is an HTML page to write. `waves` is a waveform to write (.fst or .vcd), of `cycles` cycles from
    `from_cycle` on where these are given, with sessions beside it, `trace` a JSON file of what happens in each cycle,
    and `viewer` an HTML page that plays the cycles: for these the layer runs once more.

    Raises ValueError if the file is wrong or does not fit the unit, OSError where a file cannot be read or written.
    """
    start = time.monotonic()
    file = Path(file)
    output = Path(output or file.with_suffix(".map.npz"))
    settings = settings or MappingSettings()
    progress(Step(task="loading the points"))
    from zeroskip.cosim.mapping.play import run_layer
    from zeroskip.cosim.mapping.record import record_layer, viewer_of
    from zeroskip.cosim.mapping.report import write_report
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.mapping.layer import plan_layer
    from zeroskip.model.mapping.layer_npz import fitted_geometry, load_layer, naming

    simulator = Simulator(settings.simulator)
    require_tools(simulator)
    require_writable(output, file, suffix=".npz")
    if report is not None:
        report = Path(report)
        require_writable(report, file, suffix=".html")
        if report.resolve() == output.resolve():
            raise ValueError(f"output and report must be different files, not both {output}")
    records = records_of(
        simulator,
        file,
        waves=waves,
        from_cycle=from_cycle,
        cycles=cycles,
        trace=trace,
        viewer=viewer,
        report=report,
        failure=_waveform(output),
    )
    layer = load_layer(file)
    with naming(file):
        geometry = fitted_geometry(layer, width=settings.width)
        shown = None
        if records.viewer is not None:
            plan = plan_layer(layer.inputs, layer.offsets, geometry, outputs=layer.outputs, strides=layer.strides)
            shown = viewer_of(plan)
        run = run_layer(
            layer.inputs,
            layer.offsets,
            geometry,
            outputs=layer.outputs,
            strides=layer.strides,
            simulator=simulator,
            seed=seed,
            waveform=_waveform(output),
            announce=lambda task: progress(Step(task=task)),
            on_jobs=lambda done, total: progress(Step(task="running on the RTL", done=done, total=total, unit="jobs")),
        )
    save_map(output, run)
    sessions: tuple[Path, ...] = ()
    if records.wanted:
        sessions = record_layer(
            run.plan, records, name=file.name, viewer=shown, simulator=simulator, seed=seed, progress=progress
        )
    if report is not None:
        write_report(report, title=f"zeroskip: {file.name}", run=run)
    return MappingResult(
        file=file,
        output=output,
        report=report,
        records=records,
        sessions=sessions,
        run=run,
        seconds=time.monotonic() - start,
    )


def save_map(output: Path, run: LayerRun) -> None:
    """Writes triples, outputs, output_rows and cycles of a run to an NPZ file."""
    import numpy as np

    from zeroskip.model.files import save_npz

    cycles = np.array([*run.sort_cycles, run.map_cycles], np.int64)
    save_npz(output, triples=run.triples, outputs=run.outputs, output_rows=run.output_rows, cycles=cycles)
