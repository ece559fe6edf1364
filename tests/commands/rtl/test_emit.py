"""`zeroskip rtl emit` as a user runs it, and one clear error for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_network

from zeroskip.model.cores import load_core
from zeroskip.model.eie.geometry import EieGeometry

Command = Callable[..., tuple[int, str, str]]

SMALL = ("--core", "eie", "--pes", "2", "--entry-words", "256", "--pointers", "64", "--activation-rows", "32")


def test_a_core(zs: Command, tmp_path: Path) -> None:
    """The JSON tells what is in the folder; a second run writes the same, in place of the first."""
    code, out, err = zs("rtl", "emit", *SMALL, "--layers", "2", "--output", "out", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["core"], result["top"]) == ("eie", "eie_array")
    assert result["geometry"]["pes"] == 2
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in Path("out").resolve().rglob("*.*"))
    assert set(found) <= set(result["files"])
    assert "constraints/eie_array.sdc" in result["files"]
    code, out, _ = zs("rtl", "emit", *SMALL, "--layers", "2", "--output", "out", "--json")
    assert (code, json.loads(out)["digest"]) == (0, result["digest"])


def test_a_network(zs: Command, tmp_path: Path) -> None:
    """Its geometry and, where asked for, its sparse matrices."""
    network = random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)
    load_core("eie").save(network, tmp_path / "net.zs")
    code, out, err = zs("rtl", "emit", "--network", "net.zs", "--with-contents", "--output", "out")
    assert code == 0, err
    assert "memories with contents" in out
    assert len(list((tmp_path / "out/contents").iterdir())) == 6
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["geometry"]["entry_words"] == network.geometry.entry_words
    assert sum(memory["contents"] is not None for memory in manifest["memories"]) == 6


def test_a_system(zs: Command, tmp_path: Path) -> None:
    """The processor, its firmware, and the network that the driver loads; the table tells how to run it."""
    network = random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)
    load_core("eie").save(network, tmp_path / "net.zs")
    code, out, err = zs("rtl", "emit", "--network", "net.zs", "--system", "riscv", "--output", "out")
    assert code == 0, err
    assert "make -C out system" in out
    assert {"firmware.hex", "picorv32.v", "rom.hex", "system.v"} <= {
        path.name for path in (tmp_path / "out/system").iterdir()
    }
    assert (tmp_path / "out/driver/network.bin").stat().st_size % 4 == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--core must be given, one of eie, mma, mapping, or --network"),
        (("--core", "eie", "--pes", "3"), "pes must be a power of two from 1 to 256, not 3"),
        (("--core", "mma", "--m", "65"), "m must be from 1 to 64, not 65"),
        (("--core", "mma", "--out", "int32"), "int32"),
        (("--core", "mapping", "--width", "3"), "width must be a power of two"),
        (("--core", "mma", "--pes", "4"), "--pes is an option of the EIE array, which --core mma does not use"),
        (("--core", "eie", "--with-contents"), "with_contents needs a network"),
        (("--core", "mapping", "--network", "net.zs"), "--network means nothing with --core mapping"),
        (("--network", "net.zs"), "net.zs"),
        (("--core", "mma", "--system", "riscv"), "system must be left out for the N:M tile: it is for the EIE array"),
        (
            ("--core", "eie", "--system", "riscv", "--bus", "apb"),
            "bus must be axi with a system, whose processor is on AXI4-Lite, not 'apb'",
        ),
        (("--core", "eie", "--output", "data.npz"), "it is not a folder"),
        (("--core", "eie", "--output", "."), "it holds files that are not from `zeroskip rtl emit`"),
    ],
)
def test_what_is_wrong(zs: Command, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    before = sorted(tmp_path.iterdir())
    output = () if "--output" in arguments else ("--output", "out")
    code, out, err = zs("rtl", "emit", *arguments, *output)
    assert (code, out) == (1, "")
    assert message in err
    assert sorted(path for path in tmp_path.iterdir() if path.name != "__pycache__") == [
        path for path in before if path.name != "__pycache__"
    ]


def test_a_geometry_beside_a_network(zs: Command, tmp_path: Path) -> None:
    network = random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)
    load_core("eie").save(network, tmp_path / "net.zs")
    code, _, err = zs("rtl", "emit", "--network", "net.zs", "--pes", "4", "--output", "out")
    assert code == 1
    assert "--pes means nothing with --network, whose core has its geometry" in err
    assert not (tmp_path / "out").exists()
