"""One layer from a file on the RTL of the EIE array: `zeroskip layer`. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_settings, typed
from zeroskip.api.paths import optional_path, require_writable, reserves
from zeroskip.api.records import beside_records, records_of, rows_of, summary_of
from zeroskip.cosim.records import Records
from zeroskip.cosim.simulator import LoadName, SimulatorName
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.cosim.eie import layer as on_rtl
    from zeroskip.model.eie.layer_npz import LayerFile


@dataclass(frozen=True, kw_only=True)
class LayerSettings:
    """The array; its memories named in `fit` are made as large as the layer needs. With `balance_load` rows are
    assigned to PEs so that the load is balanced, otherwise in turn. `load`: the memories hold the matrix when the
    simulation starts, or it goes through the load port."""

    geometry: EieGeometry = field(default_factory=EieGeometry)
    fit: tuple[str, ...] = MEMORIES
    balance_load: bool = False
    simulator: SimulatorName = "verilator"
    load: LoadName = "direct"

    def __post_init__(self) -> None:
        require_settings(self, simulator=SimulatorName, load=LoadName)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerResult:
    """The layer of a `file` on the RTL."""

    file: Path
    layer: LayerFile
    result: on_rtl.LayerOnRtl
    records: Records
    """Waveform, trace and page of the run."""
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every bit and every cycle is right, and every output within its bound of the float product."""
        return self.result.verification.equal and self.result.within

    def summary(self) -> dict[str, Any]:
        """What `zeroskip layer --json` prints."""
        verification = self.result.verification
        return {
            "file": str(self.file),
            "outputs": self.result.outputs.tolist(),
            "argmax": int(self.result.outputs.argmax()),
            "raw": verification.raw[0].tolist(),
            "cycles": int(verification.cycles[0]),
            "utilisation": verification.run.utilisation,
            "pe_cycles": verification.run.pe_cycles,
            "max_difference": self.result.difference,
            "bound": self.result.bound,
            "within_bound": self.result.within,
            "mismatches": verification.mismatches,
            "cycle_model_equal": verification.cycle_model_equal,
            "saturated": verification.saturated,
            "waveform": None if verification.waveform is None else str(verification.waveform),
            **summary_of(self.records, self.result.sessions),
            "geometry": dataclasses.asdict(self.result.network.geometry),
            "seconds": self.seconds,
        }

    def _cycles_by_cause(self) -> str:
        """What each part of the cycles of all PEs went to."""
        cycles = self.result.verification.run.pe_cycles
        total = sum(cycles.values())
        return ", ".join(f"{cause} {count / total:.1%}" for cause, count in cycles.items())

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        import numpy as np

        codes = self.layer.codes
        weights = np.count_nonzero(codes)
        difference = f"{self.result.difference:.3g} (bound {self.result.bound:.3g})"
        return [
            ("outputs, inputs", f"{codes.shape[0]:,}, {codes.shape[1]:,}"),
            ("weights", f"{weights:,} ({weights / codes.size:.1%})"),
            ("largest difference from the float product", difference),
            ("largest output", f"number {self.result.outputs.argmax():,}, {self.result.outputs.max():.6g}"),
            *rows_of(self.records, self.result.sessions),
            *self.result.verification.rows()[1:],
            ("cycles of all PEs", self._cycles_by_cause()),
        ]


@typed
@reserves("output", "waves", "trace", "viewer", beside=beside_records)
def run_layer(
    file: Path | str,
    *,
    settings: LayerSettings | None = None,
    output: Path | str | None = None,
    waves: Path | str | None = None,
    from_cycle: int | None = None,
    cycles: int | None = None,
    trace: Path | str | None = None,
    viewer: Path | str | None = None,
    progress: Progress = silent,
) -> LayerResult:
    """Run a layer from a file on the RTL, and compare it with the golden model, the cycle model and the float
    product.

    `file` is an NPZ file with codebook (float32, 16), codes (uint8, outputs x inputs), activations (float32, inputs)
    and bias (float32, outputs; optional). The outputs are written to `output`, an NPZ file: float, raw, and the cycles.
    `waves` is a waveform to write (.fst or .vcd), of `cycles` cycles from `from_cycle` on where these are given, with
    sessions beside it, `trace` a JSON file of what happens in each cycle, and `viewer` an HTML page that plays the
    cycles: for these the layer runs once more.

    Raises ValueError if the file is wrong, the layer does not fit the geometry, or takes more cycles than the viewer
    shows; OSError where a file cannot be read or written.
    """
    start = time.monotonic()
    file, output = Path(file), optional_path(output)
    settings = settings or LayerSettings()
    progress(Step(task="loading the layer"))
    from zeroskip.cosim.eie import layer as on_rtl
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.eie.layer_npz import load_layer
    from zeroskip.model.files import save_npz

    simulator = Simulator(settings.simulator)
    require_tools(simulator)
    if output is not None:
        require_writable(output, file, suffix=".npz")
    records = records_of(simulator, file, waves=waves, from_cycle=from_cycle, cycles=cycles, trace=trace, viewer=viewer)
    layer = load_layer(file)
    progress(Step(task="running on the RTL"))
    result = on_rtl.run_layer(
        layer,
        settings.geometry,
        fit=list(settings.fit),
        balance_load=settings.balance_load,
        simulator=simulator,
        load=settings.load,
        records=records,
        name=file.name,
        progress=progress,
    )
    verification = result.verification
    if output is not None:
        save_npz(output, outputs=result.outputs, raw=verification.raw[0], cycles=verification.run.cycles.totals[0])
    return LayerResult(file=file, layer=layer, result=result, records=records, seconds=time.monotonic() - start)
