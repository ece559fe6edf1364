"""A simulator that plays programs into a component, one after the other, and records the results.

The Verilog side is common_player.v. Programs and records go through files; a socket hands the turn from
one side to the other.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from zeroskip.cosim.build import Build
from zeroskip.cosim.simulator import SimulatorError
from zeroskip.model.temporary import TemporaryFolder

BENCH = "zeroskip.cosim.play_bench"
"""The bench of players in Verilog."""

WATCH_SECONDS = 0.2
"""Time between two looks at a record that is being written."""


class Player:
    """A running simulator, as a context: it starts with the block and ends with it, even after an exception.

    `plusargs` are those of the player's Verilog; `files` are the plusargs that name a file which it writes for each
    program. Memories and registers start with random contents by `seed`, or unknown if the simulator supports that, but
    for `memories`: the first words of memories (sram.v), as lines of hexadecimal numbers, by the instances' names.
    `bench` is the module of the cocotb bench, which plays a program whenever the host gives it the turn.
    """

    def __init__(
        self,
        build: Build,
        *,
        seed: int = 0,
        files: Sequence[str] = (),
        plusargs: Mapping[str, str | Path] = {},
        memories: Mapping[str, str] = {},
        bench: str = BENCH,
    ) -> None:
        self._build = build
        self._bench_module = bench
        self._seed = seed
        self._files = ("program", "record", *files)
        self._plusargs = plusargs
        self._memories = memories
        self._process: subprocess.Popen[Any] | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Player:
        self._folder = TemporaryFolder()
        try:
            self.file("memories").mkdir()
            for name, words in self._memories.items():
                self.file("memories").joinpath(f"{name}.hex").write_text(words)
        except BaseException:
            # As where the disk is full.
            self._folder.cleanup()
            raise
        self._host, self._bench = socket.socketpair()
        self._host.settimeout(WATCH_SECONDS)
        self._thread = threading.Thread(target=self._simulate, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # The end of the host's side ends the bench.
        self._host.close()
        if kind is not None and self._process is not None:
            self._process.kill()
        self._thread.join()
        self._folder.cleanup()
        if kind is None and self._error is not None:
            raise self._error

    def file(self, name: str) -> Path:
        """A file of the last program: its record, or another file that the player wrote."""
        return self._folder.path / name

    def play(self, program: Iterable[bytes], on_starts: Callable[[int], None] = lambda _: None) -> bytes:
        """Plays a program, given in pieces, and returns its record. `on_starts` is called with the number of starts
        recorded so far.

        Raises SimulatorError, with the end of the simulator's log, if the simulator ends before the program.
        """
        with self.file("program").open("wb") as file:
            file.writelines(program)
        self.file("record").unlink(missing_ok=True)
        try:
            self._host.send(b".")
        except OSError:
            self._ended()
        position = starts = 0
        while not self._finished():
            text = self._recorded(position)
            position += len(text)
            starts += text.count(b"C")
            on_starts(starts)
        return self.file("record").read_bytes()

    def starts_recorded(self) -> int:
        """Starts of the last program that ended."""
        return self._recorded(0).count(b"C")

    def _recorded(self, position: int) -> bytes:
        if not self.file("record").exists():
            return b""
        with self.file("record").open("rb") as file:
            file.seek(position)
            return file.read()

    def _finished(self) -> bool:
        """Waits a moment for the end of the program."""
        try:
            if self._host.recv(1):
                return True
        except TimeoutError:
            return False
        except OSError:
            pass
        self._ended()

    def _ended(self) -> NoReturn:
        self._thread.join()
        if self._error is not None:
            raise self._error
        raise SimulatorError(f"{self._build.top} ended before its program")

    def _simulate(self) -> None:
        try:
            self._build.run(
                bench=self._bench_module,
                folder=self._folder.path,
                plusargs={
                    **{name: self.file(name) for name in self._files},
                    "host": str(self._bench.fileno()),
                    **({"memories": self.file("memories")} if self._memories else {}),
                    **self._plusargs,
                },
                seed=self._seed,
                inherited=[self._bench.fileno()],
                started=self._started,
            )
        except BaseException as error:
            self._error = error
        finally:
            self._bench.close()

    def _started(self, process: subprocess.Popen[Any]) -> None:
        self._process = process
        # Only the simulator holds its side now, so that this process notices its end.
        self._bench.close()
