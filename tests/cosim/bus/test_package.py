"""A package of the array on AXI: its register map in every language, a network in its memories, and clear errors."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_network
from support.packages import GEOMETRIES, make, run_built, sample_package

from zeroskip.api.rtl.emit import emit_rtl
from zeroskip.cosim.bus.rooms import on_bus
from zeroskip.cosim.package.build import make_package
from zeroskip.cosim.package.folder import write_package
from zeroskip.cosim.package.registers import constants
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus.eie_map import eie_map

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog")

SMALL = GEOMETRIES["eie-axi"]


def test_c_and_python_have_the_map(tmp_path: Path) -> None:
    """The C compiler and Python find every constant of the description."""
    write_package(sample_package("eie-axi", SMALL), tmp_path / "package")
    registers = tmp_path / "package/registers"
    described = eie_map(SMALL, 32)
    wanted = dict(constants(described))
    assert wanted["EVENTS"] == described.register("EVENTS").address
    found = runpy.run_path(str(registers / "eie_axi_array.py"))
    assert {name: value for name, value in found.items() if name[0] != "_"} == wanted
    checks = [f"_Static_assert(ZEROSKIP_EIE_{name} == {value}, {name!r});" for name, value in wanted.items()]
    entries = described.window("ENTRIES")
    place = entries.base + entries.stride + 3 * entries.word_bytes
    checks.append(f'_Static_assert(ZEROSKIP_EIE_ENTRIES_AT(1, 3) == {place}, "a word of the second PE");')
    source = "\n".join(['#include "eie_axi_array.h"', *checks, ""]).replace("'", '"')
    (registers / "check.c").write_text(source)
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", registers / "check.c"], check=True)


@needs_icarus
@pytest.mark.parametrize(
    ("core", "bus"),
    [
        ("eie", "apb"),
        ("eie", "wishbone"),
        ("eie", "axi-master"),
        ("mma", "axi"),
        ("mma", "apb"),
        ("mma", "wishbone"),
        ("mapping", "axi"),
        ("mapping", "apb"),
        ("mapping", "wishbone"),
    ],
)
def test_the_other_buses(core: str, bus: str, tmp_path: Path) -> None:
    """Their test benches pass, the lint is clean, and every port has a meaning."""
    package = sample_package(f"{core}-{bus}", GEOMETRIES[core])
    write_package(package, tmp_path / "package")
    for target in ("icarus", "lint"):
        done = make(tmp_path / "package", target)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "%Warning" not in done.stderr
    top = {"eie": "array", "mma": "gemm", "mapping": "mapper"}[core]
    assert package.manifest["top"] == f"{core}_{bus.replace('-', '_')}_{top}"
    assert all(port["meaning"] for port in package.manifest["ports"])


def test_the_data_sheet_has_the_map() -> None:
    sheet = sample_package("eie-axi", SMALL).files["datasheet.md"].decode()
    described = eie_map(SMALL, 32)
    for register in described.registers:
        assert f"| `{register.address:#05x}` | `{register.name}` |" in sheet
        assert all(f"| `{field.name}` |" in sheet for field in register.fields)
    for window in described.windows:
        assert f"| `{window.base:#x}` | `{window.name}` |" in sheet
    assert "There is no register map" not in sheet


@needs_icarus
def test_a_network_in_the_memories(tmp_path: Path) -> None:
    """No matrices are written over the bus: they are in files, and changed digits of entries are noticed."""
    network = random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)
    room = on_bus("eie", "axi", 16)
    package = make_package(room.describe(network.geometry), room.network_vectors(network, contents=True))
    write_package(package, tmp_path / "package")
    folder = tmp_path / "package"
    done = make(folder, "verilator")
    assert done.returncode == 0, done.stdout + done.stderr
    file = folder / "contents/shell_array_pe_0_spmat_words.hex"
    # The codes of the first words.
    file.write_text(re.sub(r"(?m)^([0-9a-f]{14})[0-9a-f]{2}$", r"\g<1>10", file.read_text()))
    assert run_built(folder).returncode != 0


def test_a_core_that_hangs_ends_the_test_bench(tmp_path: Path) -> None:
    """The program waits for results that nothing makes: the image before them is left out."""
    write_package(sample_package("eie-axi", SMALL), tmp_path / "package")
    program = tmp_path / "package/vectors/program.bin"
    data = program.read_bytes()
    program.write_bytes(data[: data.index(b"I\0\0\0")] + data[data.index(b"O\0\0\0") :])
    done = make(tmp_path / "package", "verilator")
    assert done.returncode != 0
    assert "FAIL: line" in done.stdout + done.stderr
    assert (tmp_path / "package/build/verilator.txt").read_text().splitlines()[-1].startswith("T ")


@pytest.mark.parametrize(
    ("core", "options", "message"),
    [
        ("eie", {"bus": "ahb"}, "bus must be one of axi, apb, wishbone, axi-master, not 'ahb'"),
        ("mapping", {"bus": "axi-master"}, "bus must not be axi-master for the Mapping unit: it is for the EIE array"),
        (
            "eie",
            {"stream_bits": 32},
            "stream_bits must be left out except for the EIE array on a bus: others have no streams of a chosen width",
        ),
        (
            "mma",
            {"bus": "axi", "stream_bits": 32},
            "stream_bits must be left out except for the EIE array on a bus: others have no streams of a chosen width",
        ),
        (
            "eie",
            {"bus": "axi", "stream_bits": 128},
            "stream_bits must be one of 16, 32, 64, which divide the 64 bits of a load of 64 PEs, not 128",
        ),
        ("mma", {"bus": "axi-master"}, "bus must not be axi-master for the N:M tile: it is for the EIE array"),
        (
            "eie",
            {"bus": "axi-master", "stream_bits": 32},
            "stream_bits must be left out with bus axi-master, whose memory has words of 32 bits",
        ),
        (
            "eie",
            {"bus": "axi-master", "geometry": EieGeometry(pes=1)},
            "pes must be at least 2 for lists in memory, not 1",
        ),
        ("eie", {"system": "arm"}, "system must be one of riscv, not 'arm'"),
        ("eie", {"bus": "axi", "geometry": TileGeometry()}, "geometry must be EieGeometry, not TileGeometry"),
    ],
)
def test_what_is_wrong(core: str, options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(message)}$"):
        emit_rtl(core, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
