"""The description of a package in IP-XACT (IEEE 1685-2009): ports, bus interfaces, registers, files.

That edition is the one that Vivado reads. The register map is one block of addresses, as integrators give a core one
range: a window is an array of words of 32 bits in it, as the bus accesses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from zeroskip.cosim.package.interfaces import VENDOR, VERSION, BusInterface
from zeroskip.rtl.bus.register_map import REGISTER_BITS, Field, Kind, Register, RegisterMap, Window

NAMESPACE = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
ElementTree.register_namespace("spirit", NAMESPACE)

ACCESS = {
    Kind.CONSTANT: "read-only",
    Kind.STATUS: "read-only",
    Kind.SETTING: "read-write",
    Kind.PULSE: "read-write",
    Kind.EVENT: "read-write",
}
"""What software may do with a field of each kind."""

BLOCK = "reg0"
"""The block of all addresses, as Vivado names one that it finds by itself."""

_VOLATILE = (Kind.STATUS, Kind.PULSE, Kind.EVENT)
"""What reads otherwise than it was written."""

_MEMORY_RANGE = 1 << 32
"""Bytes of what a core that begins transfers can reach."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """What the description of a package holds. `files` are the paths of the files, by the name of their set, each with
    its types; `ports` are (name, direction, width)."""

    vendor: str
    library: str
    name: str
    version: str
    title: str
    ports: Sequence[tuple[str, str, int]]
    interfaces: Sequence[BusInterface]
    registers: RegisterMap | None
    files: Mapping[str, Sequence[tuple[str, Sequence[str]]]]


def component_xml(described: Component) -> str:
    """The text of component.xml."""
    root = ElementTree.Element(_tag("component"))
    for name in ("vendor", "library", "name", "version"):
        _add(root, name, getattr(described, name))
    mapped = [one for one in described.interfaces if one.memory_mapped and not one.drives]
    spaces = [one for one in described.interfaces if one.memory_mapped and one.drives]
    group = _add(root, "busInterfaces")
    for interface in described.interfaces:
        _interface(group, interface)
    if spaces:
        group = _add(root, "addressSpaces")
        for interface in spaces:
            space = _add(group, "addressSpace")
            _texts(space, name=interface.name, range=_MEMORY_RANGE, width=REGISTER_BITS, addressUnitBits=8)
    if described.registers is not None:
        # On a bus that has no definition, the map stands alone.
        names = [one.name for one in mapped] or [described.registers.name]
        group = _add(root, "memoryMaps")
        for name in names:
            _memory_map(group, name, described.registers)
    _model(root, described)
    _files(root, described)
    _add(root, "description", described.title)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _interface(parent: ElementTree.Element, interface: BusInterface) -> None:
    element = _add(parent, "busInterface")
    _add(element, "name", interface.name)
    for kind, name in (("busType", interface.bus), ("abstractionType", f"{interface.bus}_rtl")):
        _add(element, kind, vendor=VENDOR, library=interface.library, name=name, version=VERSION)
    mode = _add(element, "master" if interface.drives else "slave")
    if interface.memory_mapped:
        kind = "addressSpaceRef" if interface.drives else "memoryMapRef"
        _add(mode, kind, **{kind: interface.name})
    maps = _add(element, "portMaps")
    for logical, physical in interface.ports.items():
        one = _add(maps, "portMap")
        _add(_add(one, "logicalPort"), "name", logical)
        _add(_add(one, "physicalPort"), "name", physical)
    _parameters(element, interface.parameters)


def _parameters(parent: ElementTree.Element, parameters: Mapping[str, str]) -> None:
    if parameters:
        group = _add(parent, "parameters")
        for name, value in parameters.items():
            _texts(_add(group, "parameter"), name=name, value=value)


def _memory_map(parent: ElementTree.Element, name: str, described: RegisterMap) -> None:
    element = _add(parent, "memoryMap")
    _texts(element, name=name, description=described.meaning)
    block = _add(element, "addressBlock")
    _texts(block, name=BLOCK, baseAddress=0, range=1 << described.address_bits, width=REGISTER_BITS, usage="register")
    for register in described.registers:
        _register(block, register)
    for window in described.windows:
        if window.instances == 1:
            _words(block, window.name, window, window.base)
    for window in described.windows:
        if window.instances > 1:
            _instances(block, window)
    _add(element, "addressUnitBits", 8)


def _register(parent: ElementTree.Element, register: Register) -> None:
    element = _add(parent, "register")
    _texts(element, name=register.name, description=register.meaning, addressOffset=hex(register.address))
    access = "read-write" if register.writable else "read-only"
    _texts(element, size=REGISTER_BITS, access=access)
    # What the hardware writes has no value of its own after a reset.
    fixed = sum(((1 << one.width) - 1) << one.low for one in register.fields if one.kind is not Kind.STATUS)
    if fixed:
        _texts(_add(element, "reset"), value=hex(register.reset), mask=hex(fixed))
    for field in register.fields:
        _field(element, field)


def _field(parent: ElementTree.Element, field: Field) -> None:
    element = _add(parent, "field")
    _texts(element, name=field.name, description=field.meaning, bitOffset=field.low, bitWidth=field.width)
    _texts(element, volatile=str(field.kind in _VOLATILE).lower(), access=ACCESS[field.kind])
    if field.kind is Kind.EVENT:
        _add(element, "modifiedWriteValue", "oneToClear")
    if field.kind is Kind.SETTING and field.limited:
        _texts(_add(element, "writeValueConstraint"), minimum=field.least, maximum=field.largest)


def _words(parent: ElementTree.Element, name: str, window: Window, offset: int) -> None:
    """A window, or an instance of it, as an array of words."""
    element = _add(parent, "register")
    words = window.entries * window.lanes
    _texts(element, name=name, description=window.meaning, dim=words, addressOffset=hex(offset), size=REGISTER_BITS)
    _texts(element, volatile="true", access="write-only" if window.written else "read-only")
    # Kept simple: a word of the bus, whatever the memory's words are.
    _texts(_add(element, "field"), name="WORD", bitOffset=0, bitWidth=REGISTER_BITS)


def _instances(parent: ElementTree.Element, window: Window) -> None:
    element = _add(parent, "registerFile")
    _texts(element, name=window.name, description=window.meaning, dim=window.instances)
    _texts(element, addressOffset=hex(window.base), range=window.stride)
    _words(element, "WORDS", window, 0)


_VIEWS = {"synthesis": ("rtl", "contents", "constraints"), "simulation": ("rtl", "contents")}
"""The sets of files that a view of the component has."""


def _model(parent: ElementTree.Element, described: Component) -> None:
    model = _add(parent, "model")
    views = _add(model, "views")
    for purpose in _VIEWS:
        view = _add(views, "view")
        _texts(view, name=purpose, envIdentifier=f":vivado.xilinx.com:{purpose}")
        _texts(view, language="Verilog", modelName=described.name)
        for name in described.files:
            if name in _VIEWS[purpose]:
                _add(_add(view, "fileSetRef"), "localName", name)
    ports = _add(model, "ports")
    for name, direction, width in described.ports:
        port = _add(ports, "port")
        _add(port, "name", name)
        wire = _add(port, "wire")
        _add(wire, "direction", {"input": "in", "output": "out"}[direction])
        if width > 1:
            _texts(_add(wire, "vector"), left=width - 1, right=0)


def _files(parent: ElementTree.Element, described: Component) -> None:
    sets = _add(parent, "fileSets")
    for name, files in described.files.items():
        group = _add(sets, "fileSet")
        _add(group, "name", name)
        for path, kinds in files:
            file = _add(group, "file")
            _add(file, "name", path)
            for kind in kinds:
                _add(file, "fileType" if kind in _FILE_TYPES else "userFileType", kind)


_FILE_TYPES = ("verilogSource", "cSource")
"""The types of files that IP-XACT knows, of those in a package."""


def _add(parent: ElementTree.Element, tag: str, text: object = None, /, **attributes: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, _tag(tag), {_tag(key): value for key, value in attributes.items()})
    if text is not None:
        element.text = str(text)
    return element


def _texts(parent: ElementTree.Element, **texts: object) -> None:
    """Elements that hold a text each, in order."""
    for name, text in texts.items():
        _add(parent, name, text)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
