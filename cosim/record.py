"""Records a run: the waveform with its sessions, and the trace and the page of the cycles that are made of a
waveform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zeroskip.cosim.build import WaveFormat
from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.records import Records
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.cosim.verify import verify
from zeroskip.cosim.viewer.page import write_viewer
from zeroskip.cosim.viewer.viewer import Viewer
from zeroskip.cosim.waves.decoder import Decoder, write_trace
from zeroskip.cosim.waves.shown import Group
from zeroskip.cosim.waves.window import write_window
from zeroskip.cosim.waves.write import write_sessions
from zeroskip.model.files import replacing
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.temporary import TemporaryFolder

DECODING = "decoding the trace"
"""The progress step in which a waveform becomes a trace or a page."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is recorded: the groups of its waveform, what makes its trace and its page, and what both say of it. `of`
    says for the page how much ran, as "3 samples"; `about` the same for the trace."""

    groups: Sequence[Group]
    decoder: Decoder
    viewer: Viewer | None
    name: str
    of: str
    about: dict[str, object]


def require_viewable(viewer: Viewer, count: int, one: str, *, smaller: str, fewer: str | None = None) -> None:
    """Raises ValueError if the viewer cannot show a run of `count` of what `one` names, whose cycles the models count.
    `smaller` says what to take instead, and `fewer` is the option that takes fewer, where there is one."""
    cycles = viewer.cycles()
    if cycles <= viewer.most_cycles:
        return
    helps = fewer is not None and cycles <= viewer.most_cycles * count
    remedy = f"take fewer ({fewer})" if helps else f"take {smaller}; a trace shows longer runs"
    run = f"the {one} takes" if count == 1 else f"the {count} {one}s take"
    raise ValueError(
        f"viewer shows runs of at most {viewer.most_cycles:,} cycles with this geometry, and {run} {cycles:,}: {remedy}"
    )


def record(
    run: Callable[[Path, WaveFormat], None], subject: Subject, records: Records, progress: Progress = silent
) -> tuple[Path, ...]:
    """Writes the records; `run` runs the subject, and writes its waveform. Returns the sessions written beside the
    waveform.

    Trace and page are made of a waveform in the format VCD, which needs no library to read: where `waves` is none, the
    subject runs once more, for one that does not stay.
    """
    waves, trace, viewer = records.waves, records.trace, records.viewer
    sessions: tuple[Path, ...] = ()
    with TemporaryFolder() as folder:
        # A whole run, to be decoded or cut.
        whole: Path | None = None

        def recorded() -> Path:
            nonlocal whole
            if whole is None:
                whole = folder / "run.vcd"
                run(whole, "vcd")
            return whole

        if waves is not None:
            form: WaveFormat = "fst" if waves.suffix == ".fst" else "vcd"
            with replacing(waves) as temporary:
                if records.window is None:
                    run(temporary, form)
                else:
                    decoder = subject.decoder
                    write_window(temporary, form, recorded(), records.window, decoder.clock, decoder.begins)
            sessions = write_sessions(waves, subject.groups)
            if records.window is None and form == "vcd":
                whole = waves
        if trace is not None or viewer is not None:
            recorded()
            progress(Step(task=DECODING))
            if trace is not None:
                write_trace(trace, recorded(), subject.decoder, **subject.about)
            if viewer is not None:
                assert subject.viewer is not None, "a page needs its viewer"
                write_viewer(viewer, recorded(), subject.viewer, title=subject.name, of=subject.of)
    return sessions


def record_network(
    network: Any,
    inputs: NDArray[Any],
    records: Records,
    *,
    name: str,
    viewer: Viewer | None,
    simulator: Simulator,
    load: LoadName,
    seed: int,
    progress: Progress = silent,
) -> tuple[Path, ...]:
    """Runs a batch once more (zeroskip.cosim.verify.verify), and records it. `name` is that of the network, which trace
    and page say. Returns the sessions."""

    def run(file: Path, form: WaveFormat) -> None:
        recording = Recording(file=file, format=form)
        verify(network, inputs, simulator=simulator, load=load, seed=seed, recording=recording, progress=progress)

    driver = load_driver(network.core)
    subject = Subject(
        groups=driver.shown(network.geometry),
        decoder=driver.decoder(network.geometry),
        viewer=viewer,
        name=name,
        of=f"{len(inputs)} {'sample' if len(inputs) == 1 else 'samples'}",
        about={"network": name, "samples": len(inputs)},
    )
    return record(run, subject, records, progress)
