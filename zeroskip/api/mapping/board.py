"""`zeroskip fpga run --core mapping`: kernel maps on a board with a mapping unit. Imports nothing heavy."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_at_least, require_settings, typed
from zeroskip.api.fpga.port import SIMULATED, SIMULATED_MHZ, open_port, require_simulated_clock, require_simulated_line
from zeroskip.api.mapping.layer import save_map
from zeroskip.api.mapping.width import WIDTH, require_width
from zeroskip.api.paths import require_writable, reserves
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.cosim.mapping.play import LayerRun
    from zeroskip.fpga.figures import Line
    from zeroskip.fpga.host.host import LineCounts


@dataclass(frozen=True, kw_only=True)
class BoardMapSettings:
    """`baud` is the bits a second of a serial line; USB has its own. `width` (keys merged in a cycle) and `clock` (MHz)
    are those of a simulated board; another board tells its own. `seed` is for the random contents of a simulated
    board's memories."""

    width: int = WIDTH
    baud: int = 3_000_000
    clock: float = SIMULATED_MHZ
    seed: int = 0

    def __post_init__(self) -> None:
        require_settings(self)
        require_width(self.width)
        require_simulated_clock(self.clock)
        require_at_least(self, baud=1, seed=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoardMap:
    """A layer's map from a board: the `run`, beside both models. `clock` is the board's in Hz, or None where it does
    not tell it; `counts` are what went over the line."""

    file: Path
    output: Path
    port: str
    run: LayerRun
    clock: float | None
    line: Line
    counts: LineCounts
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every triple and every cycle is right."""
        return self.run.equal

    @property
    def core_seconds(self) -> float | None:
        """What all jobs take at the board's clock."""
        return None if self.clock is None else self.run.cycles / self.clock

    @property
    def line_seconds(self) -> float:
        """What the bytes take on the line."""
        return self.line.seconds(self.counts.sent, self.counts.received)

    def summary(self) -> dict[str, Any]:
        """What `zeroskip fpga run --core mapping --json` prints."""
        return {
            "file": str(self.file),
            "output": str(self.output),
            "port": self.port,
            "core": "mapping",
            **self.run.summary(),
            "jobs": len(self.run.plan.cycles),
            "clock": None if self.clock is None else self.clock / 1e6,
            "baud": self.line.baud,
            "bytes": {"sent": self.counts.sent, "received": self.counts.received},
            "retries": self.counts.retries,
            "core_seconds": self.core_seconds,
            "line_seconds": self.line_seconds,
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        counts = self.counts
        rows = [
            *self.run.rows(),
            ("jobs", f"{len(self.run.plan.cycles)}"),
            ("frames sent again", f"{counts.retries:,} times"),
            ("bytes", f"{counts.sent:,} to the board, {counts.received:,} back"),
            (f"seconds, {self.line.title}", f"{self.line_seconds:.3g}"),
        ]
        if self.clock is not None:
            rows.append((f"seconds, unit at {self.clock / 1e6:g} MHz", f"{self.core_seconds:.3g}"))
        return [*rows, ("written to", str(self.output))]


@typed
@reserves("output")
def run_mapping_on_board(
    file: Path | str,
    *,
    port: str,
    settings: BoardMapSettings | None = None,
    output: Path | str | None = None,
    progress: Progress = silent,
) -> BoardMap:
    """Sort the points of a sparse layer and find its kernel map on a board with a mapping unit, and compare both with
    the golden model and the cycle model.

    `file` and `output` are those of run_mapping. `port` is a serial port ("/dev/ttyUSB0", or "/dev/ttyACM0" of a board
    with USB), "sim", a simulated board at whose serial pins the host talks, "sim-usb", one at whose two USB lines it
    does, or "sim-fast", the same without a line. A simulated board has a unit that holds the layer; another board says
    how large its own is.

    The map is found offset by offset, or more at once, so that the triples of a job find room on the board: the cycles
    are those of all jobs.

    Raises ValueError if the file is wrong or does not fit the board, OSError where a file cannot be read or written,
    LineLost where the line fails, BoardError where the board has no mapping unit or refuses something, and
    SimulatorError where the simulator is missing or fails.
    """
    start = time.monotonic()
    file = Path(file)
    output = Path(output or file.with_suffix(".map.npz"))
    settings = settings or BoardMapSettings()
    progress(Step(task="loading the points"))
    require_simulated_line(port, settings.baud, settings.clock)
    require_writable(output, file, suffix=".npz")
    from zeroskip.fpga.figures import line_of
    from zeroskip.fpga.host.host import Host
    from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
    from zeroskip.fpga.mapping.layer import linked_geometry, run_layer
    from zeroskip.fpga.simulation.mapping import simulated_board
    from zeroskip.model.mapping.layer_npz import load_layer, naming

    layer = load_layer(file)
    with naming(file):
        geometry = linked_geometry(layer, width=settings.width) if port in SIMULATED else LinkedMapperGeometry()
    simulated = functools.partial(simulated_board, geometry, clock=settings.clock * 1e6, seed=settings.seed)
    with open_port(port, baud=settings.baud, simulated=simulated, progress=progress) as pipe:
        host = Host(pipe)
        progress(Step(task="asking the board who it is"))
        host.connect()
        with naming(file):
            run = run_layer(
                host,
                layer.inputs,
                layer.offsets,
                outputs=layer.outputs,
                strides=layer.strides,
                on_jobs=lambda done, total: progress(
                    Step(task="running on the board", done=done, total=total, unit="jobs")
                ),
            )
        counts = host.counts
    save_map(output, run)
    return BoardMap(
        file=file,
        output=output,
        port=port,
        run=run,
        clock=host.facts.get("clock"),
        line=line_of(host.facts, settings.baud),
        counts=counts,
        seconds=time.monotonic() - start,
    )
