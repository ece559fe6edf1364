"""What drives each wire of a module, what of it is read, and how the wires are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeAlias

from zeroskip.rtl.verilog.names import Names, plain
from zeroskip.rtl.verilog.rtlil import Assign, Cell, Module, Part, Sig, Switch, cut

Process: TypeAlias = "list[Assign | Switch]"

NARROWING = {"$add", "$sub", "$mul", "$neg", "$and", "$or", "$xor", "$not", "$mux"}
"""Cells of which the low bits of the result depend on as many low bits of the inputs alone."""

OUTPUTS = {"$memrd_v2": "DATA", "$dff": "Q"}


Ports: TypeAlias = "Mapping[str, tuple[str, str]]"
"""The ports of a module by their names in the design: their Verilog names, and their directions."""


def ports_of(module: Module) -> Ports:
    """The ports of a module, in the order in which they are written: clock and reset, then by name, and the ports of a
    stream together."""
    names = Names()
    found = {}
    for wire in module.wires.values():
        if wire.direction is not None:
            own = _part_name(module, wire.name) if is_part_port(wire.name) else plain(module.called(wire.name))
            found[wire.name.removeprefix("\\")] = (names.take(own), wire.direction)
    return dict(sorted(found.items(), key=lambda item: _port_order(item[1][0])))


def is_part_port(wire: str) -> bool:
    """Whether a port is a part of a signal, for which Amaranth has no name: `port$12$3`."""
    return wire.startswith("\\port$")


def _part_name(module: Module, wire: str) -> str:
    """A name for such a port: what the names of its fields begin with, or the name of what it is a part of."""
    fields = [
        plain(module.called(part.wire)).split("_")
        for one in module.connections
        if len(one.value) == 1 and isinstance(one.value[0], Part) and one.value[0].wire == wire
        for part in one.target
        if isinstance(part, Part)
    ]
    common = "_".join(words[0] for words in takewhile(lambda words: len(set(words)) == 1, zip(*fields, strict=False)))
    if common.strip("_"):
        return common.strip("_")
    for one in module.connections:
        if any(isinstance(part, Part) and part.wire == wire for part in one.value):
            (whole,) = one.target
            assert isinstance(whole, Part)
            return f"{plain(module.called(whole.wire))}_part"
    return "part"


def _port_order(name: str) -> tuple[bool, bool, str, int, str]:
    stem, _, end = name.rpartition("__")
    ends = ("payload", "valid", "ready")
    if end in ends:
        return name != "clk", name != "rst", stem, ends.index(end), name
    return name != "clk", name != "rst", name, 0, name


@dataclass(frozen=True)
class Target:
    """The wire that a process drives."""

    wire: str
    process: Process


def is_made_up(wire: str) -> bool:
    """Whether Amaranth made the wire, for a value without a name in the source."""
    return wire.startswith("$")


def statements(body: Process) -> Iterator[Assign | Switch]:
    """All statements of a process, those inside of others too."""
    for one in body:
        yield one
        if isinstance(one, Switch):
            for case in one.cases:
                yield from statements(case.body)


class Netlist:
    """A module's wires, seen from both ends.

    `ports` are those of the module, and of the modules that it may have inside. `driver` is the cell, the Target or the
    signal that drives a wire; `live` are the bits of a wire, from bit 0 on, that anything needs; `fields` are the
    source's names of parts of wires, and `aliases` its names for made-up wires.
    """

    def __init__(self, module: Module, ports: Mapping[str, Ports]) -> None:
        self.module = module
        self._ports = ports
        self.driver: dict[str, Cell | Target | Sig] = {}
        self.instances = [cell for cell in module.cells if not cell.kind.startswith("$")]
        self.registers = [cell for cell in module.cells if cell.kind == "$dff"]
        self.writes = [cell for cell in module.cells if cell.kind == "$memwr_v2"]
        self.contents = {
            cell.parameters["MEMID"].strip('"').replace("\\", ""): cell
            for cell in module.cells
            if cell.kind == "$meminit_v2"
        }
        self.fields: dict[Part, str] = {}
        self.aliases: dict[str, str] = {}
        self.live: dict[str, int] = {}
        self._find_drivers()
        self._find_live()
        self._find_names()

    def width(self, wire: str) -> int:
        """Bits of a wire that are kept: made-up wires lose high bits that nothing reads."""
        whole = self.module.wires[wire].width
        if is_made_up(wire):
            driver = self.driver.get(wire)
            if isinstance(driver, Cell) and driver.kind in NARROWING:
                return min(whole, self.live.get(wire, 0))
        return whole

    def input_of(self, cell: Cell, port: str) -> Sig:
        """A cell's input, as far as the kept bits of its result depend on it."""
        sig = cell.ports[port]
        if cell.kind in NARROWING and port != "S":
            (result,) = cell.ports["Y"]
            assert isinstance(result, Part)
            return cut(sig, 0, self.width(result.wire))
        return sig

    @property
    def own_ports(self) -> Ports:
        """The ports of the module itself."""
        return self._ports[self.module.name]

    def is_output(self, cell: Cell, port: str) -> bool:
        """Whether a port of an instance is one of its outputs."""
        return self.port(cell, port)[1] == "output"

    def ports(self, cell: Cell) -> Ports:
        """The ports of an instance."""
        return self._ports[cell.kind.removeprefix("\\")]

    def port(self, cell: Cell, port: str) -> tuple[str, str]:
        """The Verilog name of a port of an instance, and its direction."""
        return self.ports(cell)[port]

    def _find_drivers(self) -> None:
        for cell in self.module.cells:
            if cell.kind.startswith("$"):
                sig = cell.ports.get(OUTPUTS.get(cell.kind, "Y"))
                if sig is not None:
                    (part,) = sig
                    assert isinstance(part, Part)
                    assert part.width == self.module.wires[part.wire].width, "a cell drives a part of a wire"
                    self.driver[part.wire] = cell
        for process in self.module.processes:
            targets = {
                part.wire
                for one in statements(process)
                if isinstance(one, Assign)
                for part in one.target
                if isinstance(part, Part)
            }
            assert len(targets) == 1, "a process drives more than one wire"
            (wire,) = targets
            self.driver[wire] = Target(wire, process)
        for one in self.module.connections:
            (part,) = one.target
            assert isinstance(part, Part)
            assert part.width == self.module.wires[part.wire].width, "a part of a wire is connected"
            self.driver[part.wire] = one.value

    def _find_names(self) -> None:
        """The wires that nobody reads are names of the source for something else; for the signals at the ports of an
        instance, the ports say enough."""
        ports = {self.port(cell, port)[0] for cell in self.instances for port in cell.ports}
        for one in self.module.connections:
            (target,) = one.target
            assert isinstance(target, Part)
            if target.wire in self.live or len(one.value) != 1:
                continue
            (value,) = one.value
            if isinstance(value, Part):
                if value.width < self.module.wires[value.wire].width:
                    if plain(self.module.called(target.wire)) in ports:
                        continue
                    self.fields.setdefault(value, target.wire)
                elif is_made_up(value.wire):
                    self.aliases.setdefault(value.wire, target.wire)

    def _find_live(self) -> None:
        todo: list[tuple[str, int]] = []

        def need(sig: Sig, width: int | None = None) -> None:
            for part in sig if width is None else cut(sig, 0, width):
                if isinstance(part, Part):
                    todo.append((part.wire, part.low + part.width))

        for wire in self.module.wires.values():
            if wire.direction == "output":
                todo.append((wire.name, wire.width))
        for cell in self.writes:
            for sig in cell.ports.values():
                need(sig)
        for cell in self.instances:
            # A shared module is given a reset though it may have no use for one.
            known = self.ports(cell)
            cell.ports = {port: sig for port, sig in cell.ports.items() if port in known}
            for port, sig in cell.ports.items():
                if not self.is_output(cell, port):
                    need(sig)
        while todo:
            wire_name, high = todo.pop()
            if self.live.get(wire_name, 0) >= high:
                continue
            first = wire_name not in self.live
            self.live[wire_name] = high
            driver = self.driver.get(wire_name)
            if isinstance(driver, Cell):
                if driver.kind in NARROWING:
                    for port, sig in driver.ports.items():
                        if port != "Y":
                            need(sig, None if port == "S" else high)
                elif first:
                    for port, sig in driver.ports.items():
                        if port != OUTPUTS.get(driver.kind, "Y"):
                            need(sig)
            elif isinstance(driver, Target):
                if first:
                    for one in statements(driver.process):
                        need(one.value if isinstance(one, Assign) else one.on)
            elif driver is not None:
                need(driver, high)


def wire_names(netlist: Netlist, names: Names) -> dict[str, str]:
    """Verilog names of a module's wires, but for made-up ones without a name in the source."""
    wires = netlist.module.wires
    found: dict[str, str] = {}
    for port, (name, _) in netlist.own_ports.items():
        found[f"\\{port}"] = names.take(name)
    # Signals between the parts of a module have the names that they have as ports of the parts.
    for outputs in (True, False):
        for cell in netlist.instances:
            for port, sig in cell.ports.items():
                if len(sig) != 1 or not isinstance(sig[0], Part) or sig[0].wire in found:
                    continue
                part = sig[0]
                if part.width != netlist.width(part.wire) or netlist.is_output(cell, port) != outputs:
                    continue
                own = netlist.port(cell, port)[0]
                if is_made_up(part.wire) or is_part_port(part.wire) or plain(netlist.module.called(part.wire)) == own:
                    found[part.wire] = names.take(f"{plain(cell.name)}_{own}")
    for name in wires:
        if name not in found and not is_made_up(name):
            found[name] = ""
    registers = {part.wire for cell in netlist.registers for part in cell.ports["Q"] if isinstance(part, Part)}
    for name in sorted((name for name, text in found.items() if not text), key=lambda name: name not in registers):
        if name in netlist.live:
            found[name] = names.take(plain(netlist.module.called(name)))
    for made_up, name in netlist.aliases.items():
        if made_up not in found and made_up in netlist.live:
            found[made_up] = names.take(plain(netlist.module.called(name)))
    return {name: text for name, text in found.items() if text}


def hint(wire: str, netlist: Netlist, names: Mapping[str, str], depth: int = 4) -> str:
    """A name for a made-up wire: what it is made of."""
    driver = netlist.driver.get(wire)
    if isinstance(driver, Target):
        switch = next((one for one in driver.process if isinstance(one, Switch)), None)
        of = _first([switch.on], netlist, names, depth) if switch else ""
        return f"by_{of}" if of else "chosen"
    if isinstance(driver, Cell):
        made = _WORDS.get(driver.kind, driver.kind.strip("$"))
        of = _first([driver.ports[port] for port in ("A", "B", "S") if port in driver.ports], netlist, names, depth)
        return f"{of}_{made}" if of else f"{made}_value"
    return "part"


_WORDS = {
    "$add": "plus",
    "$sub": "minus",
    "$mul": "times",
    "$neg": "negated",
    "$and": "and",
    "$or": "or",
    "$xor": "xor",
    "$not": "not",
    "$mux": "chosen",
    "$eq": "is",
    "$ne": "is_not",
    "$shift": "shifted",
    "$shr": "shifted",
    "$sshr": "shifted",
    "$shl": "shifted",
    "$reduce_or": "any",
    "$reduce_bool": "any",
    "$reduce_and": "all",
    "$reduce_xor": "parity",
    "$modfloor": "modulo",
    "$divfloor": "divided",
    "$memrd_v2": "read",
}


def _first(sigs: list[Sig], netlist: Netlist, names: Mapping[str, str], depth: int) -> str:
    """The name of the first part of signals that has one, or else of what the first part is made of."""
    parts = [part for sig in sigs for part in sig if isinstance(part, Part)]
    for part in parts:
        if name := names.get(netlist.fields.get(part, part.wire)) or names.get(part.wire):
            return "_".join(name.split("_")[:4]).strip("_") if len(name) > 24 else name
    if parts and depth:
        driver = netlist.driver.get(parts[0].wire)
        if isinstance(driver, Cell):
            inside = [driver.ports[port] for port in ("A", "B", "S") if port in driver.ports]
            return _first(inside, netlist, names, depth - 1)
    return ""
