"""The packaging script for Vivado, run in a Tcl interpreter in which Vivado's commands note how they are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_network
from support.packages import GEOMETRIES, sample_map, sample_package

from zeroskip.cosim.bus.rooms import on_bus
from zeroskip.cosim.package.build import Package, make_package
from zeroskip.cosim.package.folder import require_free, write_package
from zeroskip.cosim.package.vivado import tcl
from zeroskip.fpga.tools import YOSYS
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.register_map import Kind

tkinter = pytest.importorskip("tkinter", reason="optional: apt-get install python3-tk")

COMMANDS = [
    "create_project",
    "add_files",
    "set_property",
    "current_fileset",
    "get_files",
    "update_compile_order",
    "close_project",
    "ipx::package_project",
    "ipx::current_core",
    "ipx::infer_bus_interface",
    "ipx::infer_bus_interfaces",
    "ipx::associate_bus_interfaces",
    "ipx::get_bus_interfaces",
    "ipx::add_bus_parameter",
    "ipx::add_memory_map",
    "ipx::add_address_block",
    "ipx::add_register",
    "ipx::add_field",
    "ipx::create_xgui_files",
    "ipx::update_checksums",
    "ipx::check_integrity",
    "ipx::save_core",
]
"""The commands of Vivado that the script may use."""

Calls = list[tuple[str, ...]]


def run(package: Package, folder: Path, *arguments: str) -> Calls:
    """The calls of the script of a package in a folder. What a command gives is its name and its arguments."""
    write_package(package, folder)
    return source(folder, *arguments)


def source(folder: Path, *arguments: str) -> Calls:
    """The same for a package that is there."""
    interpreter = tkinter.Tcl()
    interpreter.eval("namespace eval ipx {}; set calls {}; rename puts to_channel")
    # What it says is of no interest, but it writes files.
    interpreter.eval("proc puts args { if {[llength $args] == 3} { to_channel {*}$args } }")
    for name in COMMANDS:
        interpreter.eval(f"proc {name} args {{ lappend ::calls [list {name} {{*}}$args]; list {name} {{*}}$args }}")
    interpreter.setvar("argv", arguments)
    interpreter.setvar("argc", str(len(arguments)))
    interpreter.eval(f"source {{{folder}/vivado/package_ip.tcl}}")
    return [words(call) for call in words(interpreter.eval("set calls"))]


def words(text: str) -> tuple[str, ...]:
    """The words of a list of Tcl."""
    return tuple(str(word) for word in tkinter.Tcl().splitlist(text))


def added(calls: Calls) -> list[Path]:
    """The files that are added."""
    return [Path(file) for call in calls if call[0] == "add_files" for file in words(call[-1])]


def properties(calls: Calls, kind: str) -> dict[str, dict[str, str]]:
    """The properties of what a command makes, by its last name: `reg0`, or of a field `REGISTER.FIELD`."""
    found: dict[str, dict[str, str]] = {}
    for call in calls:
        if call[0] == "set_property" and (made := words(call[-1]))[0] == kind:
            name = f"{words(made[-1])[1]}.{made[1]}" if kind == "ipx::add_field" else made[-2]
            found.setdefault(name, {})[call[1]] = call[2]
    return found


@dataclass(frozen=True)
class Packaged:
    """A package of a small core, by its name in GEOMETRIES, in a folder, and the calls of its script."""

    name: str
    package: Package
    folder: Path
    calls: Calls


@pytest.fixture(
    scope="module", params=["eie", "mma", "eie-axi", "eie-apb", "eie-wishbone", "eie-axi-master", "mma-axi"]
)
def packaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    package = sample_package(request.param, GEOMETRIES[request.param.partition("-")[0]])
    folder = tmp_path_factory.mktemp("with a space") / request.param
    return Packaged(request.param, package, folder, run(package, folder, "xc7z020clg400-1"))


def test_the_files_exist_and_stay(packaged: Packaged) -> None:
    """All Verilog is added, and the constraints, which are for the core alone; the package is unchanged."""
    package, folder, calls = packaged.package, packaged.folder, packaged.calls
    top = package.manifest["top"]
    files = added(calls)
    assert all(file.is_file() for file in files)
    names = sorted(str(file.relative_to(folder)) for file in files)
    assert names == sorted([*package.files[f"{top}.f"].decode().split(), f"constraints/{top}.xdc"])
    assert ("create_project", "-force", top, f"{folder}/build/vivado/project", "-part", "xc7z020clg400-1") in calls
    assert ("set_property", "USED_IN", "out_of_context", f"get_files *{top}.xdc") in calls
    assert [call[0] for call in calls[-3:]] == ["ipx::check_integrity", "ipx::save_core", "close_project"]
    require_free(folder)


def test_the_buses_have_a_clock(packaged: Packaged) -> None:
    buses = {call[2] for call in packaged.calls if call[:2] == ("ipx::associate_bus_interfaces", "-busif")}
    streams = {"s_axis", "m_axis"}
    wanted = {
        "eie-axi": {"s_axi", *streams},
        "eie-apb": {"s_apb", *streams},
        "eie-wishbone": streams,
        "eie-axi-master": {"s_axi", "m_axi"},
        "mma-axi": {"s_axi"},
    }
    assert buses == wanted.get(packaged.name, set())
    assert properties(packaged.calls, "ipx::add_bus_parameter")["POLARITY"] == {"value": "ACTIVE_HIGH"}


def test_the_registers_are_those_of_the_map(packaged: Packaged) -> None:
    """Where Vivado knows the bus: one block of all addresses, in it each register with its fields."""
    calls = packaged.calls
    blocks, registers = properties(calls, "ipx::add_address_block"), properties(calls, "ipx::add_register")
    if packaged.package.manifest["registers"] is None or packaged.name == "eie-wishbone":
        assert blocks == registers == {}
        return
    described = sample_map(packaged.name)
    (block,) = blocks.values()
    assert block == {"base_address": "0", "range": str(1 << described.address_bits), "width": "32", "usage": "register"}
    assert {name: int(one["address_offset"], 16) for name, one in registers.items()} == {
        one.name: one.address for one in described.registers
    }
    fields = properties(calls, "ipx::add_field")
    assert {name: (int(one["bit_offset"]), int(one["bit_width"])) for name, one in fields.items()} == {
        f"{one.name}.{field.name}": (field.low, field.width) for one in described.registers for field in one.fields
    }
    cleared = {name for name, one in fields.items() if one.get("modified_write_value") == "oneToClear"}
    assert cleared == {f"{one.name}.{field.name}" for one, field in described.fields(Kind.EVENT)}


def test_contents_are_found_by_their_names(tmp_path: Path) -> None:
    """Vivado takes the contents of memories by their bare names: in a folder with the copies, Yosys does too."""
    network = random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)
    room = on_bus("eie", "axi", 16)
    package = make_package(room.describe(network.geometry), room.network_vectors(network, contents=True))
    files = added(run(package, tmp_path / "package", "xc7z020clg400-1"))
    memories = [file.name for file in files if file.suffix == ".mem"]
    assert len(memories) == sum(name.startswith("contents/") for name in package.files) > 0
    copies = tmp_path / "package/build/vivado/sources"
    assert {file.parent for file in files if file.suffix != ".xdc"} == {copies}
    sources = " ".join(file.name for file in files if file.suffix == ".v")
    YOSYS.run(["-p", f"read_verilog {sources}; hierarchy -check -top eie_axi_array"], folder=copies)
    (copies / memories[0]).rename(copies / "elsewhere.mem")
    with pytest.raises(Exception, match=memories[0]):
        YOSYS.run(["-p", f"read_verilog {sources}; hierarchy -check -top eie_axi_array"], folder=copies)


def test_a_second_time(tmp_path: Path) -> None:
    """What an earlier run has made is replaced."""
    first = run(sample_package("mma", GEOMETRIES["mma"]), tmp_path / "package", "xc7z020clg400-1")
    assert source(tmp_path / "package", "xc7z020clg400-1") == first


def test_the_part_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(tkinter.TclError, match="name the part: -tclargs xc7z020clg400-1"):
        run(sample_package("mma", GEOMETRIES["mma"]), tmp_path / "package")


def test_words_of_tcl() -> None:
    text = 'a [b] $c "d" ; e'
    assert tkinter.Tcl().eval(f"lindex {tcl(text)} 0") == "a"
    assert tkinter.Tcl().eval(f"set x {tcl(text)}") == text
    with pytest.raises(ValueError, match="must have no braces"):
        tcl("a } b")
