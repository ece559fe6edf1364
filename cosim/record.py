"""Runs a network once more to record it: the waveform with its sessions, and the trace that is made of a waveform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zeroskip.cosim.build import WaveFormat
from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.cosim.verify import verify
from zeroskip.cosim.waves.decoder import write_trace
from zeroskip.cosim.waves.write import write_sessions
from zeroskip.model.files import replacing
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.temporary import TemporaryFolder

DECODING = "decoding the trace"
"""The progress step in which a waveform becomes a trace."""


def record(
    network: Any,
    inputs: NDArray[Any],
    *,
    name: str,
    waves: Path | None,
    trace: Path | None,
    simulator: Simulator,
    load: LoadName,
    seed: int,
    progress: Progress = silent,
) -> tuple[Path, ...]:
    """Records a batch (zeroskip.cosim.verify.verify) as the waveform `waves`, .fst or .vcd, and as `trace`; `name` is
    that of the network, for the trace. Returns the sessions written beside the waveform.

    A trace is made of a waveform in the format VCD, which needs no library to read: where `waves` is none, the batch
    runs once more, for one that does not stay.
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
    if trace is not None:
        with TemporaryFolder() as folder:
            recorded = waves
            if recorded is None or recorded.suffix != ".vcd":
                recorded = folder / "run.vcd"
                run(recorded, "vcd")
            progress(Step(task=DECODING))
            write_trace(trace, recorded, driver.decoder(network.geometry), network=name, samples=len(inputs))
    return sessions
