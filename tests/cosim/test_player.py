"""The simulator as a process that plays one program after another, and what happens where it ends too early."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_inputs, random_network

from zeroskip.cosim.build import Build
from zeroskip.cosim.eie.design import player_design
from zeroskip.cosim.eie.program import network_program, stage_program
from zeroskip.cosim.mma.design import tile_design
from zeroskip.cosim.player import Player
from zeroskip.cosim.session import Session, Setup
from zeroskip.cosim.simulator import Simulator, SimulatorError
from zeroskip.model.eie import bundle
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma.geometry import TileGeometry

ROOT = Path(__file__).parents[2]

SIMULATORS = [
    Simulator.VERILATOR,
    pytest.param(
        Simulator.ICARUS,
        marks=pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed"),
    ),
]


@pytest.fixture(scope="module")
def network() -> EieNetwork:
    return random_network(np.random.default_rng(11), EieGeometry(pes=4), (70, 40, 9), 0.2)


def rows(network: EieNetwork, count: int) -> np.ndarray:
    return random_inputs(np.random.default_rng(count), count, network.inputs, (0.5,))


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_programs_one_behind_the_other(network: EieNetwork, simulator: Simulator) -> None:
    """The network stays loaded; each program has a record of its own, as if it were the only one."""
    (stage,) = network.stages
    first, second = (list(stage_program(network, stage, rows(network, count))) for count in (2, 3))
    build = player_design(network.geometry).build(simulator)
    with Player(build, files=("trace",)) as player:
        empty = player.play([network_program(network)])
        records = [player.play(program) for program in (first, second, first)]
        trace = player.file("trace").read_text()
    assert empty.split() == [b"A", b"0", b"0", b"0", b"0", b"0"] * 4
    assert records[0] == records[2]
    assert [record.count(b"C") for record in records] == [2, 3, 2]
    cycles = records[0].split(b"\n")[0].split()[2:]
    assert len(trace.splitlines()) == sum(map(int, cycles))


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_simulator_stops_by_itself(simulator: Simulator) -> None:
    build = tile_design(TileGeometry(m=1, n=1)).build(simulator)
    with (
        pytest.raises(SimulatorError, match=re.compile(r"did not run to its end.*\+results is missing", re.S)),
        Player(build) as player,
    ):
        player.play([b""])


def test_the_simulator_is_killed(network: EieNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it, and the next program says so too."""
    killed = killer(monkeypatch)
    program = [network_program(network), *endless(network)]
    player = Player(player_design(network.geometry).build(Simulator.VERILATOR))
    player.__enter__()
    with pytest.raises(SimulatorError, match="ended with exit code -9"):
        player.play(program, lambda starts: os.kill(killed[-1], signal.SIGKILL))
    with pytest.raises(SimulatorError, match="ended with exit code -9"):
        player.play(program)
    with pytest.raises(SimulatorError, match="ended with exit code -9"):
        player.__exit__(None, None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with the one that started it")
def test_the_simulator_ends_with_its_host(network: EieNetwork, tmp_path: Path) -> None:
    """Though the host is killed, and can do nothing for it, while it reads without end."""
    bundle.save(network, tmp_path / "network.zs")
    (tmp_path / "program").write_bytes(b"".join([network_program(network), *endless(network)]))
    code = """
from pathlib import Path
from zeroskip.cosim.build import Build
from zeroskip.cosim.eie.design import player_design
from zeroskip.cosim.player import Player
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.eie import bundle

run = Build.run
def watched(self, *, started, **arguments):
    run(self, started=lambda process: (print(process.pid, flush=True), started(process)), **arguments)
Build.run = watched
with Player(player_design(bundle.load(Path("network.zs")).geometry).build(Simulator.VERILATOR)) as player:
    player.play([Path("program").read_bytes()])
"""
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert host.stdout is not None
    simulator = Path("/proc") / host.stdout.readline().strip() / "stat"

    def numbers() -> list[str]:
        """From its state on (proc(5)); the twelfth are the hundredths of a second that it has computed."""
        return simulator.read_text().rpartition(")")[2].split()

    wait_for(lambda: int(numbers()[11]) > 300)
    host.kill()
    host.communicate()
    wait_for(lambda: not simulator.exists() or numbers()[0] == "Z")


def test_every_bench_ends_with_its_host() -> None:
    benches = [
        path
        for folder in ("cosim", "fpga")
        for path in (ROOT / folder).rglob("*.py")
        if "@cocotb.test" in path.read_text()
    ]
    assert len(benches) >= 6
    assert [path.name for path in benches if "\nend_together()\n" not in path.read_text()] == []


def wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_error_names_the_waveform(network: EieNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It shows where the simulator was when it ended: here behind the second start, where it reads without end."""
    from zeroskip.cosim import session as module

    monkeypatch.setattr(module, "TRACED_SECONDS", 5)
    killed = killer(monkeypatch)
    (stage,) = network.stages
    program = [*stage_program(network, stage, rows(network, 1)), *endless(network)]
    with (
        pytest.raises(SimulatorError, match="waveform") as caught,
        Session(
            player_design(network.geometry),
            setup=Setup(program=[network_program(network)]),
            waveform=tmp_path / "ended.vcd",
        ) as session,
    ):
        session.play(program, lambda starts: os.kill(killed[0], signal.SIGKILL) if starts else None)
    assert caught.value.waveform == tmp_path / "ended.vcd"
    assert f"waveform: {tmp_path / 'ended.vcd'}" in str(caught.value).splitlines()[0]
    assert (tmp_path / "ended.vcd").read_text().startswith("$")


def endless(network: EieNetwork) -> list[bytes]:
    """A program that starts the first layer and then reads activations without end."""
    program = b"".join(stage_program(network, network.stages[0], rows(network, 1)))
    return [program[:-4] + b"\xff\xff\xff\xff"]


def killer(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the processes that are started."""
    started: list[int] = []
    run = Build.run

    def watched(self: Build, **arguments: object) -> None:
        inner = arguments.pop("started")
        arguments["started"] = lambda process: (started.append(process.pid), inner(process))  # type: ignore[operator]
        run(self, **arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Build, "run", watched)
    return started
