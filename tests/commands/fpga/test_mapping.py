"""`zeroskip fpga build` and `run --core mapping`: a point cloud on a simulated board, and what is wrong in one line."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.boards import AdderBoard
from support.networks import random_network
from support.point_clouds import cube, distinct_points, map_by_hand

from zeroskip.fpga.tools import Tool
from zeroskip.model.eie import bundle
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry

Command = Callable[..., tuple[int, str, str]]

CLOUD = distinct_points(MapperGeometry(), 250, seed=4)
OFFSETS = cube(3, 3)


@pytest.fixture
def layer(tmp_path: Path) -> str:
    np.savez(tmp_path / "layer.npz", inputs=CLOUD, offsets=OFFSETS)
    return "layer.npz"


def test_a_map_on_a_simulated_board(zs: Command, layer: str, tmp_path: Path) -> None:
    """The triples are those of dictionaries, and those of `zeroskip mapping` with the same cycles; the times follow
    from the command's own counts."""
    code, out, err = zs("mapping", layer, "--width", 2, "--output", "rtl.npz", "--json")
    assert code == 0, err
    rtl = json.loads(out)
    code, out, err = zs("fpga", "run", "--core", "mapping", layer, "--port", "sim-fast", "--width", 2, "--json")
    assert code == 0, err
    board = json.loads(out)
    for key in ("width", "inputs", "outputs", "triples", "sort_cycles", "map_cycles", "mismatches", "equal"):
        assert board[key] == rtl[key], key
    assert (board["core"], board["port"], board["jobs"], board["retries"]) == ("mapping", "sim-fast", 2, 0)
    assert board["model_equal"]
    assert board["core_seconds"] == pytest.approx(board["cycles"] / 30e6)
    assert board["line_seconds"] == pytest.approx(max(board["bytes"].values()) * 10 / 3e6)
    # A triple and a key have at most 8 bytes each.
    assert board["bytes"]["received"] < 8.1 * (board["triples"] + len(CLOUD)) + 1000
    saved = np.load(tmp_path / "layer.map.npz")
    assert saved["triples"].tolist() == map_by_hand(CLOUD, CLOUD, OFFSETS)
    for name, array in np.load(tmp_path / "rtl.npz").items():
        assert np.array_equal(array, saved[name]), name


def test_a_strided_map_through_the_pins(zs: Command, tmp_path: Path) -> None:
    points, offsets = CLOUD[:60], OFFSETS[::5]
    np.savez(tmp_path / "strided.npz", inputs=points, offsets=offsets, strides=[2, 2, 2])
    run = ("fpga", "run", "strided.npz", "--core", "mapping", "--width", 2, "--port", "sim")
    code, out, err = zs(*run, "--outputs", "map.npz")
    assert code == 0, err
    assert "0 mismatches" in out
    down = points.copy()
    down[:, 1:] = np.floor_divide(points[:, 1:], 2) * 2
    outputs = np.unique(down, axis=0)
    saved = np.load(tmp_path / "map.npz")
    assert saved["outputs"].tolist() == outputs.tolist()
    assert saved["triples"].tolist() == map_by_hand(outputs, points, offsets)


@pytest.fixture
def untooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network's file. No tool may run."""

    def run(self: Tool, *given: Any, **named: Any) -> str:
        pytest.fail(f"{self.name} ran")

    monkeypatch.setattr(Tool, "run", run)
    bundle.save(random_network(np.random.default_rng(0), EieGeometry(pes=4), (60, 40, 9), 0.2), tmp_path / "net.zs")


@pytest.mark.usefixtures("untooled")
@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["build", "--board", "ulx3s-85f"], r"--network must be given, a network from .*, or --core mapping$"),
        (
            ["build", "--board", "ulx3s-85f", "--core", "mapping", "--network", "net.zs"],
            r"--network means nothing with --core mapping, which runs no networks$",
        ),
        (
            ["build", "--board", "ulx3s-85f", "--core", "mma", "--network", "net.zs"],
            r"core of net\.zs must be mma, not eie: compile the network with `zeroskip compile --core mma`, or leave",
        ),
        (
            ["build", "--board", "ulx3s-85f", "--network", "net.zs", "--width", "4"],
            r"--width is an option of the Mapping unit, which a network for the EIE array does not use$",
        ),
        (
            ["build", "--board", "ulx3s-85f", "--core", "mapping", "--pes", "4"],
            r"--pes means nothing with --core mapping$",
        ),
        (
            ["build", "--board", "ulx3s-85f", "--core", "mapping", "--width", "3"],
            r"width must be a power of two from 1 to 64, not 3$",
        ),
        (
            ["build", "--board", "ulx3s-85f", "--core", "mapping", "--width", "64"],
            r"width must be at most 32 on a board, not 64: 8 would fit \(--width 8\)$",
        ),
        (
            ["build", "--board", "ulx3s-12f", "--core", "mapping"],
            r"a unit of width 8 does not fit ULX3S 12F: [\d,]+ look-up tables for 21,859, [\d,]+ too few; .*4 would "
            r"fit \(--width 4\)$",
        ),
        (
            ["build", "--board", "icebreaker", "--core", "mapping", "--width", "1"],
            r"a unit of .*; no unit fits; Tang Nano 20K has ",
        ),
        (
            ["build", "--board", "ulx3s-85f", "--core", "mapping", "--output", "unit.zs"],
            r"unit\.zs cannot be written: ",
        ),
        (
            ["run", "layer.npz", "--core", "mapping", "--port", "sim", "--data", "digits"],
            r"--data means nothing with --core mapping$",
        ),
        (["run", "net.zs", "--port", "sim"], r"--data must be given: what the network runs$"),
        (["run", "net.zs", "--port", "sim", "--width", "2"], r"--width is an option of the Mapping unit, which a netw"),
        (["run", "layer.npz", "--port", "sim"], r"layer\.npz"),
        (["run", "net.zs", "--core", "mapping", "--port", "sim"], r"net\.zs"),
        (
            ["run", "layer.npz", "--core", "mapping", "--port", "sim", "--width", "64"],
            r"layer\.npz: width \* ",
        ),
        (
            ["run", "layer.npz", "--core", "mapping", "--port", "sim", "--outputs", "layer.npz"],
            r"layer\.npz cannot be written: it is also an input",
        ),
        (
            ["run", "layer.npz", "--core", "mapping", "--port", "/dev/ttyNONE"],
            r"port must be a serial port that can be opened with 3000000 baud, not /dev/ttyNONE: ",
        ),
    ],
)
def test_what_is_wrong(zs: Command, layer: str, options: list[str], error: str, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = zs("fpga", *options)
    assert (code, out) == (1, "")
    assert re.match(rf"error: {error}", " ".join(err.split())), err
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "nothing is written"


def test_a_board_with_another_core(zs: Command, layer: str) -> None:
    """Over a serial port, the other end of which is a board in software."""
    board, (master, slave) = AdderBoard(), os.openpty()

    def serve() -> None:
        while data := os.read(master, 4096):
            os.write(master, board.feed(data))

    threading.Thread(target=serve, daemon=True).start()
    port = os.ttyname(slave)
    code, out, err = zs("fpga", "run", layer, "--core", "mapping", "--port", port)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: core of {port} must be 'mapping', not 'adder': build a bitstream for the")
    assert board.words == [0] * 16
