"""The files that record a run: checks of their paths before the work. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zeroskip.api.paths import optional_path, require_writable
from zeroskip.cosim.records import Records, Window
from zeroskip.cosim.simulator import Simulator, require_fst
from zeroskip.cosim.waves.beside import sessions_of
from zeroskip.cosim.waves.window import require_converter


def records_of(
    simulator: Simulator,
    *sources: Path,
    waves: Path | str | None = None,
    trace: Path | str | None = None,
    viewer: Path | str | None = None,
    from_cycle: int | None = None,
    cycles: int | None = None,
    report: Path | None = None,
    failure: Path | None = None,
) -> Records:
    """The records that are wanted. `sources` are read, `report` is another page that is written, and `failure` the
    waveform of a failure. `from_cycle` and `cycles` say which part of the run the waveform shows, by default all of it.
    Raises ValueError or OSError for a path that cannot be written as what it is for, and for a part without a
    waveform."""
    records = Records(
        waves=optional_path(waves),
        window=_window(from_cycle, cycles, waves is not None),
        trace=optional_path(trace),
        viewer=optional_path(viewer),
    )
    if records.waves is not None:
        if records.waves.suffix not in (".fst", ".vcd"):
            raise ValueError(f"waves must end in .fst or .vcd, not {records.waves.suffix!r}: {records.waves}")
        if _same(records.waves, failure):
            raise ValueError(f"waves must be another file than {records.waves}, which would show a failure")
        for path in (records.waves, *sessions_of(records.waves)):
            require_writable(path, *sources, suffix=path.suffix)
        if records.waves.suffix == ".fst":
            if records.window is None:
                require_fst(simulator)
            else:
                require_converter()
    for name, file, suffix in (("trace", records.trace, ".json"), ("viewer", records.viewer, ".html")):
        if file is not None:
            if file.suffix != suffix:
                raise ValueError(f"{name} must end in {suffix}, not {file.suffix!r}: {file}")
            if _same(file, report):
                raise ValueError(f"{name} and report must be different files, not both {file}")
            require_writable(file, *sources, suffix=suffix)
    return records


def _window(from_cycle: int | None, cycles: int | None, recorded: bool) -> Window | None:
    for name, number, least in (("from_cycle", from_cycle, 0), ("cycles", cycles, 1)):
        if number is not None:
            if not recorded:
                raise ValueError(f"{name} must be left out without waves, the waveform of which it says a part")
            if number < least:
                raise ValueError(f"{name} must be at least {least}, not {number}")
    if from_cycle is None and cycles is None:
        return None
    return Window(first=from_cycle or 0, count=cycles)


def beside_records(path: Path) -> Iterable[Path]:
    """The sessions beside a waveform; nothing beside another file."""
    return sessions_of(path) if path.suffix in (".fst", ".vcd") else ()


def rows_of(records: Records, sessions: Iterable[Path]) -> list[tuple[str, str]]:
    """Records and sessions for people, as (label, value)."""
    files = (
        ("waveform of the run", records.waves and str(records.waves)),
        ("its sessions", ", ".join(path.name for path in sessions)),
        ("trace of the run", records.trace and str(records.trace)),
        ("viewer of the cycles", records.viewer and str(records.viewer)),
    )
    return [(label, text) for label, text in files if text]


def summary_of(records: Records, sessions: Iterable[Path]) -> dict[str, object]:
    """The same as JSON."""
    return {
        "waves": None if records.waves is None else str(records.waves),
        "sessions": [str(path) for path in sessions],
        "trace": None if records.trace is None else str(records.trace),
        "viewer": None if records.viewer is None else str(records.viewer),
    }


def _same(one: Path, other: Path | None) -> bool:
    return other is not None and one.resolve() == other.resolve()
