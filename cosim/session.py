"""A simulator that runs one network or one product, and the waveform of what goes wrong in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

from zeroskip.cosim.build import Design
from zeroskip.cosim.player import Player
from zeroskip.cosim.simulator import Simulator, SimulatorError, cache_folder

TRACED_SECONDS, TRACED_SLOWDOWN = 60, 20
"""How long the run that records a waveform may take: seconds to start, and times the run that failed."""


class Session:
    """A context in which programs are played: the simulator is built where it has to be, runs from the beginning to the
    end of the block, and has played `setup` when the block begins.

    Where a program fails, or `fail` is called, the starts in question run once more on a traced build and their
    waveform (VCD) is kept as `waveform`, by default in the cache folder; only those of the first failure. `files` are
    files that the player writes beside its record, each the name of a plusarg. `announce` is called with what is done
    before anything that takes longer than a second.
    """

    def __init__(
        self,
        design: Design,
        *,
        setup: Sequence[bytes] = (),
        files: Sequence[str] = (),
        simulator: Simulator = Simulator.VERILATOR,
        seed: int = 0,
        waveform: Path | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._design = design
        self._setup = setup
        self._files = files
        self._simulator = simulator
        self._seed = seed
        self._wanted = waveform
        self._announce = announce
        self._seconds = 0.0
        self.waveform: Path | None = None
        """The waveform that was recorded."""

    def __enter__(self) -> Session:
        build = self._design.build(self._simulator, announce=self._announce)
        self._player = Player(build, seed=self._seed, files=self._files)
        self._player.__enter__()
        try:
            if self._setup:
                self._player.play(self._setup)
        except BaseException as error:
            self._player.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._player.__exit__(kind, error, at)

    def play(self, program: Iterable[bytes], on_starts: Callable[[int], None] = lambda _: None) -> bytes:
        """Plays a program (Player.play). Where the simulator fails, the error names the waveform of the
        start in which it did, and of the one before."""
        begin = time.monotonic()
        try:
            record = self._player.play(program, on_starts)
            self._seconds = time.monotonic() - begin
            return record
        except SimulatorError as error:
            self._seconds = time.monotonic() - begin
            # It ended in the start after those recorded, or while the results of the last of them were read.
            recorded = self._player.starts_recorded()
            self.fail(range(max(0, recorded - 1), recorded + 1))
            if self.waveform is None:
                raise
            first, *rest = str(error).split("\n")
            found = SimulatorError("\n".join([f"{first}; waveform: {self.waveform}", *rest]))
            found.waveform = self.waveform
            raise found from error

    def file(self, name: str) -> str:
        """What the player wrote into one of `files` for the last program."""
        return self._player.file(name).read_text()

    def fail(self, starts: range) -> None:
        """Says that `starts` of the last program, counted from zero, went wrong."""
        if self.waveform is not None:
            return
        self._announce("recording the waveform of what failed")
        path = self._wanted
        if path is None:
            path = cache_folder() / "waveforms" / f"{self._design.top}-{time.strftime('%Y%m%d-%H%M%S')}.vcd"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        build = self._design.build(self._simulator, traced=True, announce=self._announce)
        limit = time.monotonic() + TRACED_SECONDS + TRACED_SLOWDOWN * self._seconds

        def watch(starts: int) -> None:
            if time.monotonic() > limit:
                raise TimeoutError

        plusargs: dict[str, str | Path] = {
            "waveform": path.absolute(),
            "first": str(starts.start),
            "last": str(starts.stop - 1),
        }
        try:
            with Player(build, seed=self._seed, files=self._files, plusargs=plusargs) as player:
                if self._setup:
                    player.play(self._setup)
                player.play([self._player.file("program").read_bytes()], watch)
        except (SimulatorError, TimeoutError):
            # It fails here too, as it did before, or does not end.
            pass
        if path.exists():
            self.waveform = path
