"""What a package holds: names that read, sums that fit, ports as they are, and the same files each time."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.networks import random_network
from support.packages import GEOMETRIES, sample_package

from zeroskip.cosim.eie import package as eie
from zeroskip.cosim.package.build import Package, make_package
from zeroskip.cosim.package.folder import write_package
from zeroskip.fpga.tools import YOSYS
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.import_path import child_path

EXPLAINED = ("The SystemVerilog keyword `bit' (at /share/", "with list of registers")
"""What Yosys says that docs/howto/take-the-rtl-away.md explains."""


def package_of(core: str) -> Package:
    return sample_package(core, GEOMETRIES.get(core) or GEOMETRIES[core.partition("-")[0]])


@pytest.fixture(scope="module", params=list(GEOMETRIES))
def package(request: pytest.FixtureRequest) -> Package:
    return package_of(request.param)


def verilog(package: Package) -> dict[str, str]:
    return {name: text.decode() for name, text in package.files.items() if re.match(r"rtl/.*\.v$", name)}


def test_every_module_once(package: Package) -> None:
    """A file for each module, with its name, and no two of the same text."""
    bodies = []
    for name, text in verilog(package).items():
        (module,) = re.findall(r"^module (\w+)", text, re.M)
        assert name == f"rtl/{module}.v"
        bodies.append(text.partition("\nmodule ")[2].partition("\n")[2])
    assert len(set(bodies)) == len(bodies)


def test_names_read(package: Package) -> None:
    """No escaped names, no numbers after a dollar sign, no attributes of the source, no primitives of a vendor."""
    modules = {name.removeprefix("rtl/").removesuffix(".v") for name in verilog(package)}
    for text in verilog(package).values():
        code = re.sub(r"//.*", "", text)
        assert "\\" not in code
        assert set(re.findall(r"\$\w+", code)) <= {"$signed", "$readmemh", "$random"}
        assert set(re.findall(r"\(\* *(\w+)", code)) <= {"keep", "no_rw_check", "blackbox"}
        instances = re.findall(r"^    (\w+) (?:#\(|#\(.*\) \w+ \(|\w+ \()$", code, re.M)
        assert set(instances) <= modules


def test_verilog_2005(package: Package) -> None:
    for text in verilog(package).values():
        assert not re.search(r"\b(logic|always_ff|always_comb|typedef|enum|struct)\b", re.sub(r"//.*", "", text))


def test_heads(package: Package) -> None:
    """Version, geometry and licence stand in each file of the core's own."""
    manifest = package.manifest
    for name, text in verilog(package).items():
        head = text.partition("`default_nettype")[0]
        if name != "rtl/zeroskip_sram.v":
            assert f"zeroskip {manifest['version']}, {manifest['title']}:" in head
            assert all(f"{field}={value}" in head for field, value in manifest["geometry"].items())
            assert "SPDX-License-Identifier: Apache-2.0" in head


def test_manifest(package: Package) -> None:
    """Sums and ports are those of the files; every port has a meaning, and every memory a size."""
    manifest = json.loads(package.files["manifest.json"])
    assert manifest["files"] == {
        name: hashlib.sha256(text).hexdigest() for name, text in package.files.items() if name != "manifest.json"
    }
    top = verilog(package)[f"rtl/{manifest['top']}.v"]
    head = top[top.index("\nmodule ") : top.index("\n);")]
    found = [
        {"name": name, "direction": direction, "width": int(high or 0) + 1}
        for direction, high, name in re.findall(
            r"^    (input|output) +(?:wire|reg) +(?:\[(\d+):0\] )?(\w+)", head, re.M
        )
    ]
    assert [{key: port[key] for key in ("name", "direction", "width")} for port in manifest["ports"]] == found
    assert all(port["meaning"] for port in manifest["ports"])
    assert manifest["geometry"] == dataclasses.asdict(GEOMETRIES[manifest["core"]])
    assert sum(size["instances"] for size in manifest["memory_sizes"]) == len(manifest["memories"]) > 0


def test_words_fill_their_ports(package: Package) -> None:
    """The fields of a word follow each other, up to the width of the port that takes it."""
    widths = {port["name"]: port["width"] for port in package.manifest["ports"]}
    ports = {"load": "load__payload", "job": "start__payload", "read": "read__payload", "triples": "triples__payload"}
    checked = 0
    for name, fields in package.manifest["words"].items():
        end = 0
        for field in fields:
            assert field["offset"] == end
            end += field["width"]
        if name in ports:
            assert end == widths[ports[name]]
            checked += 1
    assert checked or package.manifest["registers"]


def test_list_core_file_and_sheet_name_files_that_exist(package: Package) -> None:
    top = package.manifest["top"]
    listed = package.files[f"{top}.f"].decode().split()
    assert sorted(listed) == sorted(verilog(package))
    core = yaml.safe_load(package.files[f"{top}.core"].decode().partition("\n")[2])
    named = [
        entry if isinstance(entry, str) else next(iter(entry))
        for group in core["filesets"].values()
        for entry in group["files"]
    ]
    assert set(named) <= set(package.files)
    assert set(listed) <= set(named)
    sheet = package.files["datasheet.md"].decode()
    assert all(f"`{port['name']}`" in sheet for port in package.manifest["ports"])
    waves = json.loads(sheet.partition("```wavedrom\n")[2].partition("\n```")[0])
    assert {row["name"] for row in _rows(waves["signal"])} <= {port["name"] for port in package.manifest["ports"]}


def _rows(signals: list[Any]) -> list[dict[str, Any]]:
    found = []
    for one in signals:
        if isinstance(one, dict):
            found.append(one)
        elif isinstance(one, list):
            found += _rows(one[1:])
    return found


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from support.networks import random_network
from support.packages import GEOMETRIES
from zeroskip.cosim.mma import package as mma
from zeroskip.cosim.eie import package as eie
from zeroskip.cosim.package.build import make_package
geometry = GEOMETRIES["mma"]
print(make_package(mma.describe(geometry), mma.sample_vectors(geometry)).digest)
"""


def test_the_same_files_in_every_process() -> None:
    """The digest, and what it is of."""
    tests = str(Path(__file__).parents[2])
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(child_path())}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, tests], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert digests == {package_of("mma").digest}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ecp5", "ice40", "gowin", "xilinx"])
@pytest.mark.parametrize(
    "core",
    [
        *GEOMETRIES,
        "eie-apb",
        "eie-wishbone",
        "eie-axi-master",
        "mma-axi",
        "mma-apb",
        "mma-wishbone",
        "mapping-axi",
        "mapping-apb",
        "mapping-wishbone",
    ],
)
def test_synthesis(core: str, family: str, tmp_path: Path) -> None:
    """Yosys reads the files for each family, and warns of nothing that is not explained."""
    package = package_of(core)
    write_package(package, tmp_path / "package")
    top = package.manifest["top"]
    files = package.files[f"{top}.f"].decode().replace("\n", " ")
    script = f"read_verilog {files}; synth_{family} -top {top}; check -assert"
    log = YOSYS.run(["-p", script], folder=tmp_path / "package")
    warnings = [line for line in log.splitlines() if "warning" in line.lower() and "unique messages" not in line]
    assert [line for line in warnings if not any(known in line for known in EXPLAINED)] == []


def test_black_boxes(tmp_path: Path) -> None:
    """Yosys leaves an instance for each memory of the manifest."""
    package = package_of("eie")
    write_package(package, tmp_path / "package")
    files = package.files["eie_array.f"].decode().replace("\n", " ")
    script = (
        f"read_verilog -DZEROSKIP_SRAM_BLACK_BOX {files}; hierarchy -check -top eie_array; proc; flatten; "
        "select -assert-count "
        f"{len(package.manifest['memories'])} t:*zeroskip_sram*"
    )
    YOSYS.run(["-p", script], folder=tmp_path / "package")


def test_synthesis_finds_the_contents(tmp_path: Path) -> None:
    """Yosys starts the memory of each PE with the words of that PE, from its file."""
    network = random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)
    package = make_package(eie.describe(network.geometry), eie.network_vectors(network, contents=True))
    write_package(package, tmp_path / "package")
    files = package.files["eie_array.f"].decode().replace("\n", " ")
    script = f"read_verilog {files}; hierarchy -top eie_array; proc; flatten; memory -nomap; write_rtlil all.il"
    YOSYS.run(["-p", script], folder=tmp_path / "package")
    starts = re.findall(r"parameter \\INIT \d+'([01x]+)", (tmp_path / "package/all.il").read_text())
    for pe in range(2):
        used = -(-int(network.pointers[pe, -1]) // network.geometry.entries_per_word)
        words = [word.tobytes()[::-1].hex() for word in network.entries[pe, :used]]
        bits = "".join(f"{int(word, 16):0{network.geometry.word_bits}b}" for word in reversed(words))
        assert sum(start.endswith(bits) for start in starts) == 1
