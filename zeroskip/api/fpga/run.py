"""`zeroskip fpga run`: a compiled network on a board, or on a simulated one. Imports nothing heavy."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_at_least, require_settings, typed
from zeroskip.api.fpga.port import SIMULATED_MHZ, open_port, require_simulated_clock, require_simulated_line
from zeroskip.api.inputs import Data, labels_field, name_of, samples_of, sources_of
from zeroskip.api.paths import optional_path, require_writable, reserves
from zeroskip.api.simulate import CompiledNetwork, load_compiled, save_outputs
from zeroskip.api.told import keeps_warnings
from zeroskip.api.verified import Verified
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.cosim.verify import Verification
    from zeroskip.fpga.figures import BoardSpeed
    from zeroskip.fpga.host.host import LineCounts
    from zeroskip.fpga.torch_rate import TorchRate

RUNNING = "running on the board"
"""The progress step that counts images."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """`baud` is the bits a second of a serial line; USB has its own. `clock` is that of a simulated board in MHz;
    another board tells its own. `limit` is how many samples run; None means all. With `saturate`, inputs that do not
    fit the core's format are clipped and counted. `seed` is for the random contents of a simulated board's memories
    before they are loaded."""

    baud: int = 3_000_000
    clock: float = SIMULATED_MHZ
    limit: int | None = None
    saturate: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        require_settings(self)
        require_simulated_clock(self.clock)
        require_at_least(self, baud=1, limit=1, seed=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoardRun(Verified):
    """A network's run on a board.

    `verification` has outputs, cycles and how they compare with the models. `loaded` says whether the host loaded the
    network; otherwise the board held it. `speed` follows from the cycles and the bytes on the line, and is None where
    the board does not tell its clock; `torch` was measured on this machine's CPU.
    """

    network: str
    port: str
    accuracy: dict[str, float] | None
    clipped_inputs: int
    loaded: bool
    counts: LineCounts
    speed: BoardSpeed | None
    torch: TorchRate
    seconds: float
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """What `zeroskip fpga run --json` prints. Rates are images a second."""
        from zeroskip.fpga.figures import ENERGY

        found = self.verification
        return {
            "network": self.network,
            "port": self.port,
            "core": found.core,
            "images": found.images,
            "values": found.values,
            "mismatches": found.mismatches,
            "cycle_model_equal": found.cycle_model_equal,
            "cycles_per_image": float(found.cycles.mean()),
            "accuracy": self.accuracy,
            "clipped_inputs": self.clipped_inputs,
            "saturated": found.saturated,
            "loaded": self.loaded,
            "retries": self.counts.retries,
            "speed": None if self.speed is None else self.speed.summary(),
            "torch": self.torch.summary(),
            "energy": {"joules_per_image": None, "why": ENERGY},
            "warnings": list(self.warnings),
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        found = self.verification
        rows = [
            ("images on the board", f"{found.images:,}"),
            *((f"accuracy, {step}", f"{value:.2%}") for step, value in (self.accuracy or {}).items()),
            ("inputs clipped", f"{self.clipped_inputs:,}"),
            ("network", "loaded over the line" if self.loaded else "in the bitstream"),
            ("frames sent again", f"{self.counts.retries:,} times"),
            ("cycles per image", f"{found.cycles.mean():,.1f}"),
        ]
        if self.speed is not None:
            speed = self.speed
            rows += [
                ("bytes per image", f"{speed.sent:,.0f} to the board, {speed.received:,.0f} back"),
                (f"images/s, core at {speed.clock / 1e6:g} MHz", f"{speed.core:,.0f}"),
                (f"images/s, {speed.carrier.title}", f"{speed.line:,.0f}"),
                ("images/s, expected", f"{speed.images_per_second:,.0f} (the {speed.bound} limits it)"),
            ]
        return [
            *rows,
            (f"images/s, torch, {self.torch.threads} threads", f"{self.torch.together:,.0f}"),
            ("images/s, torch, one by one", f"{self.torch.one_by_one:,.0f}"),
            ("energy", "not measured: it takes the board's power in watts"),
            ("cycle model", "equal" if found.cycle_model_equal else "NOT EQUAL"),
            ("board against golden model", f"{found.mismatches:,} mismatches in {found.values:,} values"),
        ]


@typed
@reserves("outputs")
@keeps_warnings
def run(
    network: CompiledNetwork,
    data: Data,
    *,
    port: str,
    settings: RunSettings | None = None,
    outputs: Path | str | None = None,
    progress: Progress = silent,
) -> BoardRun:
    """Run a compiled network on a board, and compare it with the golden model and the cycle model.

    `network` and `data` are those of `simulate`. `port` is a serial port ("/dev/ttyUSB0", or "/dev/ttyACM0" of a board
    with USB), "sim", a simulated board at whose serial pins the host talks, "sim-usb", one at whose two USB lines it
    does, or "sim-fast", the same without a line. `outputs` is an NPZ file to write, as by `simulate`.

    The board must hold an array of the network's geometry. The network is loaded unless the board's bitstream contains
    it. What the line damages is sent again.

    Raises ValueError if network, data and settings do not fit each other, OSError where a file cannot be read or
    written, LineLost where the line fails, BoardError where the board is not one for this network or refuses something,
    and SimulatorError where the simulator is missing or fails.
    """
    start = time.monotonic()
    settings = settings or RunSettings()
    outputs = optional_path(outputs)
    progress(Step(task="loading the network"))
    source = Path(network) if isinstance(network, str | Path) else None
    require_simulated_line(port, settings.baud, settings.clock)
    if outputs is not None:
        require_writable(outputs, *sources_of(data, source), suffix=".npz")
    name, compiled = load_compiled(network)
    from zeroskip.fpga.drivers import load_board_driver, simulated_board

    driver = load_board_driver(compiled.core)
    values, labels = samples_of(data, "test", progress)
    from zeroskip.model.data.labels import require_classes

    field = f"{name_of(data)}: inputs"
    compiled.flat(values, field)
    require_classes(labels_field(data, "test"), labels, compiled.outputs)
    values, labels = values[: settings.limit], None if labels is None else labels[: settings.limit]
    inputs, clipped = driver.encode(compiled, values, saturate=settings.saturate)
    if compiled.samples is not None:
        compiled.samples.warn_of_range([values], field)
    from zeroskip.cosim.verify import verify_in
    from zeroskip.fpga.host.host import Host
    from zeroskip.model.data.dataset import accuracy as accuracy_of
    from zeroskip.model.network.losses import input_loss, warn_of

    simulated = functools.partial(
        simulated_board(compiled.core), compiled.geometry, clock=settings.clock * 1e6, seed=settings.seed
    )
    with open_port(port, baud=settings.baud, simulated=simulated, progress=progress) as pipe:
        host = Host(pipe)
        progress(Step(task="asking the board who it is"))
        host.connect()
        loaded = driver.load(host, compiled, progress)
        before = host.counts
        session = driver.session(host, compiled)
        verification = verify_in(session, driver, compiled, inputs, task=RUNNING, progress=progress)
        counts = host.counts
    warn_of([input_loss(compiled.flat(values), inputs, clipped), *verification.losses])
    if outputs is not None:
        save_outputs(outputs, verification)
    progress(Step(task="measuring torch"))
    return BoardRun(
        network=name if source is None else str(source),
        port=port,
        verification=verification,
        accuracy=None if labels is None else {"hardware": accuracy_of(verification.outputs, labels)},
        clipped_inputs=clipped,
        loaded=loaded,
        counts=counts,
        speed=_speed(host.facts, settings.baud, verification, before, counts),
        torch=driver.torch_rate(compiled, inputs),
        seconds=time.monotonic() - start,
    )


def _speed(
    facts: dict[str, Any], baud: int, verification: Verification, before: LineCounts, after: LineCounts
) -> BoardSpeed | None:
    clock: float | None = facts.get("clock")
    if clock is None:
        return None
    from zeroskip.fpga.figures import BoardSpeed, line_of

    return BoardSpeed(
        clock=clock,
        carrier=line_of(facts, baud),
        cycles=float(verification.cycles.mean()),
        sent=(after.sent - before.sent) / verification.images,
        received=(after.received - before.received) / verification.images,
    )
