"""`zeroskip.simulate`: a compiled network on the RTL of its core. Imports nothing heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from zeroskip.api.checks import require_at_least, require_settings, typed
from zeroskip.api.inputs import Data, labels_field, name_of, samples_of, sources_of
from zeroskip.api.paths import optional_path, require_writable, reserves
from zeroskip.api.records import beside_records, records_of, rows_of, summary_of
from zeroskip.api.told import keeps_warnings
from zeroskip.api.verified import Verified
from zeroskip.cosim.records import Records
from zeroskip.cosim.simulator import LoadName, SimulatorName
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.cosim.verify import Verification
    from zeroskip.model.core import StoredBits
    from zeroskip.model.network.losses import Loss

CompiledNetwork: TypeAlias = Any
"""The path of a file from `zeroskip compile`, what `zeroskip.compile` returned, or its `network`."""


@dataclass(frozen=True, kw_only=True)
class SimulateSettings:
    """`limit` is how many samples run; None means all. With `saturate`, inputs that do not fit the core's format
    are clipped and counted. `seed` is for the random contents of the memories before they are loaded. `load`:
    matrices get into the core's memories directly, and results out of those of the tile, or through the ports, which
    takes many cycles more. `waves_samples` is how many samples a waveform, a trace or a viewer shows."""

    limit: int | None = None
    saturate: bool = False
    simulator: SimulatorName = "verilator"
    load: LoadName = "direct"
    seed: int = 0
    waves_samples: int = 1

    def __post_init__(self) -> None:
        require_settings(self, simulator=SimulatorName, load=LoadName)
        require_at_least(self, limit=1, seed=0, waves_samples=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulation(Verified):
    """A network's run on the RTL.

    `verification` has outputs, cycles and how they compare with the models. `accuracy` has fractions by step, here
    only "hardware"; None if the data have no labels. `perplexity` likewise; None if not each token has a label.
    `clipped_inputs` did not fit the core's format, and `losses` are what the formats lost of each layer's values.
    """

    network: str
    accuracy: dict[str, float] | None
    perplexity: dict[str, float] | None
    bits: StoredBits
    clipped_inputs: int
    losses: tuple[Loss, ...]
    report: Path | None
    records: Records
    """Waveform, trace and page of the first samples."""
    sessions: tuple[Path, ...]
    """Sessions of GTKWave and Surfer beside the waveform, but for those that the user has saved."""
    seconds: float
    warnings: tuple[str, ...] = ()
    """What was warned of: losses that are much, and ranges of values that do not fit."""

    def summary(self) -> dict[str, Any]:
        """What `zeroskip simulate --json` prints: the same keys for every core; `geometry` and the kinds of `saturated`
        are the core's own."""
        return {
            "network": self.network,
            **self.verification.summary(),
            "accuracy": self.accuracy,
            "perplexity": self.perplexity,
            "bits": self.bits.summary(),
            "clipped_inputs": self.clipped_inputs,
            "lost": [loss.summary() for loss in self.losses if loss.much],
            "warnings": list(self.warnings),
            "report": None if self.report is None else str(self.report),
            **summary_of(self.records, self.sessions),
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in (self.accuracy or {}).items()]
        rows += [(f"perplexity, {step}", f"{value:.3f}") for step, value in (self.perplexity or {}).items()]
        rows.append(("inputs clipped", f"{self.clipped_inputs:,}"))
        if self.report is not None:
            rows.append(("report", str(self.report)))
        return [*rows, *rows_of(self.records, self.sessions), *self.verification.rows()]


def _waveform(report: Path) -> Path:
    """The waveform of a failure, next to the report."""
    return report.with_suffix(".vcd")


def _beside(path: Path) -> list[Path]:
    """What is written beside each of the files: the waveform of a failure, and the sessions of a waveform."""
    return [_waveform(path), *beside_records(path)]


@typed
@reserves("outputs", "report", "waves", "trace", "viewer", beside=_beside)
@keeps_warnings
def simulate(
    network: CompiledNetwork,
    data: Data,
    *,
    settings: SimulateSettings | None = None,
    outputs: Path | str | None = None,
    report: Path | str | None = None,
    waves: Path | str | None = None,
    from_cycle: int | None = None,
    cycles: int | None = None,
    trace: Path | str | None = None,
    viewer: Path | str | None = None,
    progress: Progress = silent,
) -> Simulation:
    """Run a compiled network on the RTL of its core, and compare it with the golden model and the cycle model.

    `network` is a file's path, a Compiled, or its network. `data` has inputs (n, ...) float32 and labels (n,) or None;
    of a data set with splits, those of the test split run. `outputs` is an NPZ file to write: `outputs` (float, n x
    outputs), `raw`, the same in the core's own bits, and `cycles` (n,). `report` is an HTML page to write. `waves` is
    the waveform of the first samples to write (.fst or .vcd), for which they run once more. Beside it come sessions
    that show it in GTKWave (.gtkw) and Surfer (.sucl), unless the user has saved one there. It has `cycles` cycles from
    `from_cycle` on, where these are given; cycle 0 is the one in which the first start is taken.
    `trace` is a JSON file to write of what happens in each cycle of the same samples, for the viewer of Perfetto.
    `viewer` is an HTML page to write that plays these cycles on a drawing of the core.

    Where the RTL differs from a model, `equal` is false, and `verification.waveform` is the waveform of the first start
    that differs, next to the report or, without one, in the cache folder.

    Raises ValueError if network, data and settings do not fit each other, OSError where a file cannot be read or
    written, and SimulatorError where the simulator is missing or fails.
    """
    start = time.monotonic()
    settings = settings or SimulateSettings()
    outputs, report = optional_path(outputs), optional_path(report)
    progress(Step(task="loading the network"))
    from zeroskip.cosim.simulator import Simulator, require_tools

    simulator = Simulator(settings.simulator)
    require_tools(simulator)
    source = Path(network) if isinstance(network, str | Path) else None
    for path, suffix in ((report, ".html"), (outputs, ".npz")):
        if path is not None:
            require_writable(path, *sources_of(data, source), suffix=suffix)
    records = records_of(
        simulator,
        *sources_of(data, source),
        waves=waves,
        from_cycle=from_cycle,
        cycles=cycles,
        trace=trace,
        viewer=viewer,
        report=report,
        failure=None if report is None else _waveform(report),
    )
    if outputs is not None and report is not None and outputs.resolve() == report.resolve():
        raise ValueError(f"outputs and report must be different files, not both {outputs}")
    name, compiled = load_compiled(network)
    values, labels = samples_of(data, "test", progress)
    from zeroskip.model.data.labels import require_classes

    field = f"{name_of(data)}: inputs"
    compiled.flat(values, field)
    # All of them: wrong ones beyond the limit mean that the data are not the network's.
    require_classes(labels_field(data, "test"), labels, compiled.outputs)
    values, labels = values[: settings.limit], None if labels is None else labels[: settings.limit]
    progress(Step(task="loading the simulator"))
    from zeroskip.cosim.drivers import load_driver
    from zeroskip.cosim.verify import verify
    from zeroskip.model.cores import load_core
    from zeroskip.model.data.dataset import accuracy as accuracy_of
    from zeroskip.model.data.dataset import perplexity as perplexity_of
    from zeroskip.model.network.losses import input_loss, warn_of

    inputs, clipped = load_driver(compiled.core).encode(compiled, values, saturate=settings.saturate)
    if compiled.samples is not None:
        compiled.samples.warn_of_range([values], field)
    recorded = inputs[: settings.waves_samples]
    shown = None
    if records.viewer is not None:
        from zeroskip.cosim.record import require_viewable

        shown = load_driver(compiled.core).viewer(compiled, recorded)
        require_viewable(shown, len(recorded), "sample", smaller="a smaller network", fewer="waves_samples")
    verification = verify(
        compiled,
        inputs,
        simulator=simulator,
        load=settings.load,
        seed=settings.seed,
        waveform=None if report is None else _waveform(report),
        progress=progress,
    )
    sessions: tuple[Path, ...] = ()
    if records.wanted:
        from zeroskip.cosim.record import record_network

        sessions = record_network(
            compiled,
            recorded,
            records,
            name=name,
            viewer=shown,
            simulator=simulator,
            load=settings.load,
            seed=settings.seed,
            progress=progress,
        )
    losses = [input_loss(compiled.flat(values), inputs, clipped), *verification.losses]
    warn_of(losses)
    accuracy = None if labels is None else {"hardware": accuracy_of(verification.outputs, labels)}
    spread = None if labels is None else perplexity_of(verification.outputs, labels)
    if outputs is not None:
        save_outputs(outputs, verification)
    if report is not None:
        progress(Step(task="writing the report"))
        from zeroskip.cosim.report.page import write_report

        write_report(
            report,
            title=f"zeroskip: {name}",
            verification=verification,
            accuracy=accuracy,
            facts={"data": name_of(data), **dict(verification.rows())},
        )
    return Simulation(
        network=name if source is None else str(source),
        verification=verification,
        accuracy=accuracy,
        perplexity=None if spread is None else {"hardware": spread},
        bits=load_core(compiled.core).stored_bits(compiled),
        clipped_inputs=clipped,
        losses=tuple(losses),
        report=report,
        records=records,
        sessions=sessions,
        seconds=time.monotonic() - start,
    )


def load_compiled(network: CompiledNetwork) -> tuple[str, Any]:
    """A name for a compiled network, and the network. Raises BundleError (ValueError), which names the file,
    where the file holds none."""
    from zeroskip.model.cores import CORES, load_core
    from zeroskip.model.network.container import naming, read

    if not isinstance(network, str | Path):
        # The result of `zeroskip.compile` contains the network.
        compiled = getattr(network, "network", network)
        if getattr(compiled, "core", None) not in CORES:
            raise ValueError(f"network must be a compiled network or its file, not {type(network).__name__}")
        return "network", compiled
    path = Path(network)
    container = read(path)
    with naming(path):
        return path.name, load_core(_known(container.core)).from_container(container)


def core_of(path: Path) -> str:
    """The core that a file's network is for. Raises BundleError (ValueError)."""
    from zeroskip.model.network.container import naming, read

    container = read(path)
    with naming(path):
        return _known(container.core)


def _known(core: str) -> str:
    from zeroskip.model.cores import CORES
    from zeroskip.model.network.container import BundleError

    if core not in CORES:
        runs_elsewhere = core == "sparseconv"
        remedy = "zeroskip sparseconv FILE runs sparse networks" if runs_elsewhere else "a newer zeroskip may know it"
        raise BundleError(f"core must be one of {', '.join(CORES)}, not {core!r}: {remedy}")
    return core


def save_outputs(path: Path, verification: Verification) -> None:
    """Writes outputs, raw bits and cycles as NPZ."""
    from zeroskip.model.files import save_npz

    save_npz(path, outputs=verification.outputs, raw=verification.raw, cycles=verification.cycles)
