"""Runs a network once more to record it: the waveform with its sessions, and the trace and the page of the cycles that
are made of a waveform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zeroskip.cosim.build import WaveFormat
from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.cosim.verify import verify
from zeroskip.cosim.viewer.page import write_viewer
from zeroskip.cosim.waves.decoder import write_trace
from zeroskip.cosim.waves.write import write_sessions
from zeroskip.model.cores import CORES
from zeroskip.model.files import replacing
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.temporary import TemporaryFolder

DECODING = "decoding the trace"
"""The progress step in which a waveform becomes a trace or a page."""


def require_viewable(network: Any, inputs: NDArray[Any]) -> None:
    """Raises ValueError if the viewer cannot show a batch, whose cycles the models count."""
    viewer = load_driver(network.core).viewer(network)
    if viewer is None:
        raise ValueError(f"viewer shows no network for the {CORES[network.core].title} yet; its cycles are in a trace")
    cycles = viewer.cycles(inputs)
    if cycles > viewer.most_cycles:
        fewer = cycles <= viewer.most_cycles * len(inputs)
        remedy = "take fewer (waves_samples)" if fewer else "take a smaller network; a trace shows longer runs"
        samples = "sample" if len(inputs) == 1 else f"{len(inputs)} samples"
        raise ValueError(
            f"viewer shows runs of at most {viewer.most_cycles:,} cycles on this array, and the {samples} "
            f"{'takes' if len(inputs) == 1 else 'take'} {cycles:,}: {remedy}"
        )


def record(
    network: Any,
    inputs: NDArray[Any],
    *,
    name: str,
    waves: Path | None,
    trace: Path | None,
    viewer: Path | None,
    simulator: Simulator,
    load: LoadName,
    seed: int,
    progress: Progress = silent,
) -> tuple[Path, ...]:
    """Records a batch (zeroskip.cosim.verify.verify) as the waveform `waves`, .fst or .vcd, as `trace` and as the
    page `viewer`; `name` is that of the network, which both say. Returns the sessions written beside the waveform.

    Trace and page are made of a waveform in the format VCD, which needs no library to read: where `waves` is none, the
    batch runs once more, for one that does not stay.
    """
    driver = load_driver(network.core)

    def run(file: Path, form: WaveFormat) -> None:
        recording = Recording(file=file, format=form)
        verify(network, inputs, simulator=simulator, load=load, seed=seed, recording=recording, progress=progress)

    sessions: tuple[Path, ...] = ()
    if waves is not None:
        with replacing(waves) as temporary:
            run(temporary, "fst" if waves.suffix == ".fst" else "vcd")
        sessions = write_sessions(waves, driver.shown(network.geometry))
    if trace is not None or viewer is not None:
        with TemporaryFolder() as folder:
            recorded = waves
            if recorded is None or recorded.suffix != ".vcd":
                recorded = folder / "run.vcd"
                run(recorded, "vcd")
            progress(Step(task=DECODING))
            if trace is not None:
                write_trace(trace, recorded, driver.decoder(network.geometry), network=name, samples=len(inputs))
            if viewer is not None:
                shown = driver.viewer(network)
                assert shown is not None, "the core has a viewer (require_viewable)"
                write_viewer(viewer, recorded, shown, network=name, samples=len(inputs))
    return sessions
