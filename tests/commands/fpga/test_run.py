"""`zeroskip fpga run`: a user's network on a simulated board, and what is wrong told in one line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.boards import AdderBoard
from support.networks import random_network

from zeroskip.api.fpga.run import RunSettings
from zeroskip.api.mapping.board import BoardMapSettings
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.model.eie.bundle import save
from zeroskip.model.eie.geometry import EieGeometry

Command = Callable[..., tuple[int, str, str]]

COMPILE = ("compile", "mynet:Net", "--weights", "weights.safetensors", "--data", "data.npz", "--output", "net.zs")


def compiled(zs: Command, *options: Any) -> None:
    code, _, err = zs(*COMPILE, *options)
    assert code == 0, err


def test_a_network_on_a_simulated_board(zs: Command) -> None:
    """What it says of outputs is what `simulate` says; the rates follow from its own counts."""
    compiled(zs, "--pes", 2)
    code, out, err = zs("simulate", "net.zs", "--data", "data.npz", "--outputs", "rtl.npz", "--json")
    assert code == 0, err
    rtl = json.loads(out)
    code, out, err = zs(
        "fpga",
        "run",
        "net.zs",
        "--data",
        "data.npz",
        "--port",
        "sim-fast",
        "--clock",
        50,
        "--outputs",
        "b.npz",
        "--json",
    )
    assert code == 0, err
    board = json.loads(out)
    for key in ("images", "values", "mismatches", "cycle_model_equal", "accuracy", "saturated"):
        assert board[key] == rtl[key], key
    assert board["cycles_per_image"] == pytest.approx(rtl["cycles_per_image"]["mean"])
    for name, array in np.load("rtl.npz").items():
        assert np.array_equal(array, np.load("b.npz")[name]), name
    assert (board["loaded"], board["retries"], board["port"]) == (True, 0, "sim-fast")
    rates, line = board["speed"]["images_per_second"], board["speed"]["bytes_per_image"]
    assert rates["core"] == pytest.approx(50e6 / board["cycles_per_image"])
    # 30 inputs of two bytes, and heads; ten bits a byte.
    assert 60 < line["sent"] < 120
    assert rates["line"] == pytest.approx(300_000 / line["sent"])
    assert (rates["expected"], rates["bound"]) == (rates["line"], "line")
    assert board["torch"]["together"] > 0
    assert board["energy"]["joules_per_image"] is None


def test_a_simulated_board_behind_usb(zs: Command) -> None:
    """USB carries one direction at a time: 19 packets of 64 bytes in a frame of a millisecond."""
    compiled(zs, "--pes", 2)
    code, out, err = zs("fpga", "run", "net.zs", "--data", "data.npz", "--port", "sim-usb", "--limit", 3, "--json")
    assert code == 0, err
    board = json.loads(out)
    assert (board["images"], board["mismatches"], board["cycle_model_equal"], board["retries"]) == (3, 0, True, 0)
    line = board["speed"]["bytes_per_image"]
    assert board["speed"]["images_per_second"]["line"] == pytest.approx(1_216_000 / (line["sent"] + line["received"]))
    assert board["speed"]["baud"] is None


def test_the_warnings_are_those_of_simulate(zs: Command, tmp_path: Path) -> None:
    """Weights are so large that most outputs are clipped: the board equals the models, and is of no use."""
    rng = np.random.default_rng(0)
    save(random_network(rng, EieGeometry(pes=2), (12, 10, 3), 0.9, shift=0), tmp_path / "large.zs")
    np.savez(tmp_path / "large.npz", inputs=rng.uniform(1, 9, (4, 12)).astype(np.float32))
    found = []
    for command in (("simulate",), ("fpga", "run", "--port", "sim-fast")):
        code, out, err = zs(*command, "large.zs", "--data", "large.npz", "--json")
        assert code == 0, err
        found.append(json.loads(out)["warnings"])
    assert found[1] == found[0]
    assert any("too large in the core's number format" in warning for warning in found[0])


def test_a_hundred_images_through_the_pins(zs: Command) -> None:
    compiled(zs, "--pes", 2)
    code, out, err = zs("fpga", "run", "net.zs", "--data", "data.npz", "--port", "sim", "--limit", 100, "--json")
    assert code == 0, err
    board = json.loads(out)
    assert (board["images"], board["values"], board["mismatches"]) == (100, 400, 0)
    assert board["cycle_model_equal"]


def test_a_network_on_a_board_with_a_tile(zs: Command) -> None:
    compiled(zs, "--core", "mma", "--m", 1, "--n", 2)
    code, out, err = zs("simulate", "net.zs", "--data", "data.npz", "--limit", 40, "--json")
    assert code == 0, err
    rtl = json.loads(out)
    code, out, err = zs("fpga", "run", "net.zs", "--data", "data.npz", "--port", "sim-fast", "--limit", 40, "--json")
    assert code == 0, err
    board = json.loads(out)
    for key in ("images", "values", "mismatches", "cycle_model_equal", "accuracy"):
        assert board[key] == rtl[key], key
    assert board["cycles_per_image"] == pytest.approx(rtl["cycles_per_image"]["mean"])


def test_a_port_that_is_not_there(zs: Command) -> None:
    compiled(zs)
    code, out, err = zs("fpga", "run", "net.zs", "--data", "data.npz", "--port", "/dev/ttyNONE", "--baud", 115200)
    assert (code, out) == (1, "")
    assert err.startswith("error: port must be a serial port that can be opened with 115200 baud, not /dev/ttyNONE: ")


def test_a_board_with_another_core(zs: Command) -> None:
    """Over a serial port, the other end of which is a board in software."""
    compiled(zs)
    board, (master, slave) = AdderBoard(), os.openpty()

    def serve() -> None:
        while data := os.read(master, 4096):
            os.write(master, board.feed(data))

    threading.Thread(target=serve, daemon=True).start()
    port = os.ttyname(slave)
    code, out, err = zs("fpga", "run", "net.zs", "--data", "data.npz", "--port", port, "--baud", 115200)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: core of {port} must be 'eie', not 'adder': build a bitstream for this network")
    assert board.words == [0] * 16


def test_an_interruption_ends_the_simulator(zs: Command, tmp_path: Path) -> None:
    """Ctrl-C while images run: one line, behind those that tell what takes long, and no process is left."""
    compiled(zs, "--pes", 2)
    command = ("fpga", "run", "net.zs", "--data", "data.npz", "--port", "sim")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    mark = {"ZEROSKIP_TEST_MARK": str(tmp_path)}
    running = subprocess.Popen(
        [sys.executable, "-m", "zeroskip", *command],
        cwd=tmp_path,
        env=os.environ | mark,
        text=True,
        start_new_session=True,
        **pipes,
    )
    with running:
        while running.poll() is None and not simulators(mark):
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    *progress, last = err.splitlines()
    assert (running.returncode, out, last) == (130, "", "interrupted: no results are kept")
    assert not any("Error" in line or "Traceback" in line for line in progress)
    assert not simulators(mark)


def simulators(mark: dict[str, str]) -> list[Path]:
    """The simulators of processes that were started with a variable of their own."""
    (variable,) = (f"{name}={value}".encode() for name, value in mark.items())
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (folder / "environ").read_bytes() and b"+program=" in (folder / "cmdline").read_bytes():
                found.append(folder)
        except OSError:
            pass
    return found


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--baud", 7_500_001), "baud must be 7,324 to 7,500,000 at a clock of 30,000,000 Hz, not 7,500,001"),
        (("--clock", 10), "baud must be 2,441 to 2,500,000 at a clock of 10,000,000 Hz, not 3,000,000"),
        (("--baud", 300), "baud must be 7,324 to 7,500,000 at a clock of 30,000,000 Hz, not 300"),
    ],
)
@pytest.mark.parametrize("port", ["sim", "sim-fast"])
def test_a_rate_that_the_clock_cannot_carry(
    zs: Command, tmp_path: Path, port: str, options: tuple[object, ...], error: str
) -> None:
    """A bit takes 4 to 4,096 cycles. Nothing runs, and nothing is written."""
    compiled(zs)
    run = ("fpga", "run", "net.zs", "--data", "data.npz", "--port", port, "--outputs", "new/out.npz", *options)
    assert zs(*run) == (1, "", f"error: {error}\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("settings", [RunSettings, BoardMapSettings])
def test_the_clock_of_a_simulated_board(settings: type) -> None:
    """Without a word that of a build for an ECP5 board; no clock that no board has."""
    assert settings().clock == BOARDS["ulx3s-85f"].clock_mhz
    for clock in (1e-9, 0.0, 1e12, float("nan")):
        with pytest.raises(ValueError, match=rf"^clock must be from 1 to 1000 MHz, not {re.escape(f'{clock:g}')}$"):
            settings(clock=clock)
