"""A simulator that runs one network or one product, and records the waveform of a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from zeroskip.cosim.build import Design, WaveFormat
from zeroskip.cosim.player import Player
from zeroskip.cosim.simulator import LoadName, Simulator, SimulatorError, cache_folder
from zeroskip.cosim.waves.vcd import name_without_colons

TRACED_SECONDS, TRACED_SLOWDOWN = 60, 20
"""Time limit of the run that records a waveform: seconds to start, and a factor of the failed run's time."""

LIMIT_CYCLES, LIMIT_FACTOR = 1000, 2
"""The most cycles that a start may take: a factor of those of the cycle model, and some more."""

NO_STARTS = 2**31
"""More starts than a program has."""

NO_LIMIT = 2**32 - 1
"""The greatest limit that the four bytes of a program hold."""


def most_cycles(expected: Any) -> Any:
    """Cycles (a number or an array) after which a start that takes `expected` ones by the cycle model has hung."""
    return np.minimum(LIMIT_FACTOR * expected + LIMIT_CYCLES, NO_LIMIT)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a simulator holds before the first program: contents of `memories` (Player), and then what `program` does,
    if there is one. `load`: how a core that loads each product by itself does it."""

    load: LoadName = "direct"
    memories: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[bytes] = ()


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The waveform of a whole run: its file, and its format."""

    file: Path
    format: WaveFormat


class Session:
    """A context in which programs are played. The simulator is built if necessary, is set up before the block begins,
    and runs until the block ends.

    At the first failure (a program fails, or `fail` is called), the failing starts run again on a traced build. Their
    waveform (VCD) is written to `waveform`, by default in the cache folder. With `recording`, everything from
    the first start on is recorded there instead. `files` are files that the player writes in addition to its record,
    each given by the name of its plusarg. `announce` is called with a description before any work that takes longer
    than a second.
    """

    def __init__(
        self,
        design: Design,
        *,
        setup: Setup | None = None,
        files: Sequence[str] = (),
        simulator: Simulator = Simulator.VERILATOR,
        seed: int = 0,
        waveform: Path | None = None,
        recording: Recording | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._design = design
        self.setup = setup or Setup()
        self._files = files
        self._simulator = simulator
        self._seed = seed
        self._wanted = waveform
        self._recording = recording
        self._announce = announce
        self._seconds = 0.0
        self.waveform: Path | None = None
        """The waveform that was recorded."""

    def __enter__(self) -> Session:
        plusargs: dict[str, str | Path] = {}
        traced: WaveFormat | None = None
        if self._recording is not None:
            traced, plusargs = self._recording.format, _recorded(self._recording.file, range(NO_STARTS))
        build = self._design.build(self._simulator, traced=traced, announce=self._announce)
        memories = self.setup.memories
        self._player = Player(build, seed=self._seed, files=self._files, plusargs=plusargs, memories=memories)
        self._player.__enter__()
        try:
            if self.setup.program:
                self._player.play(self.setup.program)
        except BaseException as error:
            self._player.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._player.__exit__(kind, error, at)
        if self._recording is not None and self._recording.format == "vcd" and self._recording.file.exists():
            name_without_colons(self._recording.file)

    def play(self, program: Iterable[bytes], on_starts: Callable[[int], None] = lambda _: None) -> bytes:
        """Plays a program (Player.play). If the simulator fails, the error names the waveform of the failing start and
        the one before it."""
        begin = time.monotonic()
        try:
            record = self._player.play(program, on_starts)
            self._seconds = time.monotonic() - begin
            return record
        except SimulatorError as error:
            self._seconds = time.monotonic() - begin
            # It failed in the start after the recorded ones, or while the last recorded results were read.
            recorded = self._player.starts_recorded()
            raise self.failed(range(max(0, recorded - 1), recorded + 1), str(error)) from error

    def failed(self, starts: range, message: str) -> SimulatorError:
        """Records the waveform of the failing `starts` of the last program, and returns the error that names it."""
        self.fail(starts)
        first, *rest = message.split("\n")
        if self.waveform is not None:
            first = f"{first}; waveform: {self.waveform}"
        error = SimulatorError("\n".join([first, *rest]))
        error.waveform = self.waveform
        return error

    def file(self, name: str) -> str:
        """The contents of one of `files` for the last program."""
        return self._player.file(name).read_text()

    def fail(self, starts: range) -> None:
        """Records the waveform of the failing `starts` of the last program, counted from zero."""
        if self.waveform is not None or self._recording is not None:
            return
        self._announce("recording the waveform of what failed")
        path = self._wanted
        if path is None:
            path = cache_folder() / "waveforms" / f"{self._design.top}-{time.strftime('%Y%m%d-%H%M%S')}.vcd"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        build = self._design.build(self._simulator, traced="vcd", announce=self._announce)
        limit = time.monotonic() + TRACED_SECONDS + TRACED_SLOWDOWN * self._seconds

        def watch(starts: int) -> None:
            if time.monotonic() > limit:
                raise TimeoutError

        plusargs = _recorded(path, starts)
        try:
            memories = self.setup.memories
            with Player(build, seed=self._seed, files=self._files, plusargs=plusargs, memories=memories) as player:
                if self.setup.program:
                    player.play(self.setup.program)
                player.play([self._player.file("program").read_bytes()], watch)
        except (SimulatorError, TimeoutError):
            # The traced build fails in the same way, or does not end.
            pass
        if path.exists():
            name_without_colons(path)
            self.waveform = path


def _recorded(file: Path, starts: range) -> dict[str, str | Path]:
    """The plusargs by which a player records `starts`."""
    return {"waveform": file.absolute(), "first": str(starts.start), "last": str(starts.stop - 1)}
