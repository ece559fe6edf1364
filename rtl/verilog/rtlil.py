"""Reads RTLIL, the text form in which Amaranth hands a design to Yosys.

Only what Amaranth writes is understood. Names keep their marks: `\\name` is one of the source, `$1` one that was made
up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Const:
    """A constant: its bits (0, 1, x, and - where a pattern takes any), the most significant first."""

    bits: str

    @property
    def width(self) -> int:
        return len(self.bits)

    def cut(self, low: int, width: int) -> Const:
        """`width` bits from bit `low` on."""
        end = len(self.bits) - low
        return Const(self.bits[end - width : end])


@dataclass(frozen=True, slots=True)
class Part:
    """`width` bits of a wire, from bit `low` on."""

    wire: str
    low: int
    width: int

    def cut(self, low: int, width: int) -> Part:
        """`width` bits from bit `low` on."""
        return Part(self.wire, self.low + low, width)


Sig: TypeAlias = tuple["Const | Part", ...]
"""A signal: its parts, the least significant first."""


def width_of(sig: Sig) -> int:
    """Bits of a signal."""
    return sum(part.width for part in sig)


def cut(sig: Sig, low: int, width: int) -> Sig:
    """`width` bits of a signal from bit `low` on, or as many as it has there."""
    parts: list[Const | Part] = []
    at = 0
    for part in sig:
        first, end = max(low, at), min(low + width, at + part.width)
        if first < end:
            parts.append(part.cut(first - at, end - first))
        at += part.width
    return joined(parts)


def joined(parts: list[Const | Part]) -> Sig:
    """Parts as a signal, in which neighbours are one part where they can be."""
    found: list[Const | Part] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, Const) and isinstance(last, Const):
            found[-1] = Const(part.bits + last.bits)
        elif isinstance(part, Part) and isinstance(last, Part) and part.wire == last.wire:
            if part.low == last.low + last.width:
                found[-1] = Part(part.wire, last.low, last.width + part.width)
            else:
                found.append(part)
        elif part.width:
            found.append(part)
    return tuple(found)


@dataclass(kw_only=True, slots=True)
class Wire:
    name: str
    width: int
    signed: bool
    direction: str | None
    """input, output, or None."""
    attributes: dict[str, str]

    @property
    def init(self) -> str | None:
        """The bits with which a register starts, the most significant first."""
        text = self.attributes.get("\\init")
        return None if text is None else text.split("'", 1)[1]


@dataclass(kw_only=True, slots=True)
class Cell:
    kind: str
    name: str
    parameters: dict[str, str]
    """As they are written: `8`, `4'0101` or `"text"`."""
    ports: dict[str, Sig]

    def number(self, parameter: str) -> int:
        """A parameter that is a number."""
        text = self.parameters[parameter]
        return int(text.split("'", 1)[1], 2) if "'" in text else int(text)


@dataclass(kw_only=True, slots=True)
class Memory:
    name: str
    width: int
    size: int


@dataclass(kw_only=True, slots=True)
class Assign:
    target: Sig
    value: Sig


@dataclass(kw_only=True, slots=True)
class Case:
    """What is done if one of the patterns fits, the most significant bit first; without patterns, in any case."""

    patterns: list[str]
    body: list[Assign | Switch]


@dataclass(kw_only=True, slots=True)
class Switch:
    """The first case that fits is done."""

    on: Sig
    cases: list[Case]


@dataclass(kw_only=True, slots=True)
class Module:
    name: str
    wires: dict[str, Wire] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    processes: list[list[Assign | Switch]] = field(default_factory=list)
    connections: list[Assign] = field(default_factory=list)
    better: dict[str, str] = field(default_factory=dict)
    """Names of wires that say more than their own (zeroskip.rtl.verilog.source_names)."""

    def called(self, wire: str) -> str:
        """The name of a wire or of a field of it: a better one, where there is one."""
        whole, dot, part = wire.partition(".")
        return f"{self.better.get(whole, whole)}{dot}{part}"


def parse(text: str) -> list[Module]:
    """The modules of a design, in the order of the text. Raises ValueError for what Amaranth does not write."""
    lines = iter([stripped for line in text.splitlines() if (stripped := line.strip())])
    modules: list[Module] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "module":
            modules.append(_module(rest, lines))
        elif word != "attribute":
            raise ValueError(f"RTLIL outside of a module: {line}")
    return modules


def _module(name: str, lines: Iterator[str]) -> Module:
    module = Module(name=name.removeprefix("\\"))
    attributes: dict[str, str] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "attribute":
            key, value = rest.split(" ", 1)
            attributes[key] = value
            continue
        if word == "wire":
            wire = _wire(rest, attributes)
            module.wires[wire.name] = wire
        elif word == "memory":
            options = rest.split()
            made = Memory(name=options[-1].removeprefix("\\"), width=1, size=1)
            for option, value in zip(options[:-1:2], options[1:-1:2], strict=True):
                setattr(made, option, int(value))
            module.memories[made.name] = made
        elif word == "cell":
            module.cells.append(_cell(module, rest, lines))
        elif word == "process":
            module.processes.append(_body(module, lines, ("end",))[0])
        elif word == "connect":
            target, source = _signals(module, rest)
            if target:
                module.connections.append(Assign(target=target, value=source))
        elif word == "end":
            return module
        else:
            raise ValueError(f"RTLIL of a kind that Amaranth does not write: {line}")
        attributes = {}
    raise ValueError(f"RTLIL of {module.name} has no end")


def _wire(rest: str, attributes: dict[str, str]) -> Wire:
    words = rest.split()
    wire = Wire(name=words[-1], width=1, signed="signed" in words, direction=None, attributes=attributes)
    for option, value in pairwise(words):
        if option == "width":
            wire.width = int(value)
        elif option in ("input", "output"):
            wire.direction = option
    if wire.width == 0:
        # A port without bits is none.
        wire.direction = None
    return wire


def _cell(module: Module, head: str, lines: Iterator[str]) -> Cell:
    kind, name = head.split()
    cell = Cell(kind=kind, name=name, parameters={}, ports={})
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "end":
            return cell
        if word == "parameter":
            key, value = rest.removeprefix("signed ").removeprefix("real ").split(" ", 1)
            cell.parameters[key.removeprefix("\\")] = value
        elif word == "connect":
            port, value = rest.split(" ", 1)
            cell.ports[port.removeprefix("\\")] = _signals(module, value)[0]
    raise ValueError(f"RTLIL of {cell.name} has no end")


def _body(module: Module, lines: Iterator[str], ends: tuple[str, ...]) -> tuple[list[Assign | Switch], str]:
    """Statements up to a line that begins with one of the words `ends`, and that line."""
    body: list[Assign | Switch] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ends:
            return body, line
        if word == "assign":
            target, value = _signals(module, rest)
            body.append(Assign(target=target, value=value))
        elif word == "switch" and rest == "{}":
            # Statements behind a condition, of what the condition assigns too.
            body += [one for case in _switch(module, "1'1", lines).cases for one in case.body]
        elif word == "switch":
            body.append(_switch(module, rest, lines))
        elif word != "attribute":
            raise ValueError(f"RTLIL of a kind that Amaranth does not write: {line}")
    raise ValueError("RTLIL of a process has no end")


def _switch(module: Module, rest: str, lines: Iterator[str]) -> Switch:
    switch = Switch(on=_signals(module, rest)[0], cases=[])
    body, line = _body(module, lines, ("case", "end"))
    assert not body, "statements before the first case"
    while line != "end":
        patterns = [one.strip().split("'")[-1] for one in line.removeprefix("case").split(",") if one.strip()]
        body, line = _body(module, lines, ("case", "end"))
        switch.cases.append(Case(patterns=patterns, body=body))
    return switch


def _signals(module: Module, text: str) -> list[Sig]:
    """The signals that a text names, one after the other."""
    tokens = text.split()
    found: list[Sig] = []
    at = 0
    while at < len(tokens):
        sig, at = _signal(module, tokens, at)
        found.append(sig)
    return found


def _signal(module: Module, tokens: list[str], at: int) -> tuple[Sig, int]:
    token = tokens[at]
    at += 1
    if token == "{":
        inner: list[Sig] = []
        while tokens[at] != "}":
            sig, at = _signal(module, tokens, at)
            inner.append(sig)
        sig = joined([part for one in reversed(inner) for part in one])
        at += 1
    elif token[0] in "\\$":
        sig = (Part(token, 0, module.wires[token].width),) if module.wires[token].width else ()
    elif "'" in token:
        bits = token.split("'", 1)[1]
        sig = (Const(bits),) if bits else ()
    else:
        sig = (Const(f"{int(token) & 0xFFFFFFFF:032b}"),)
    while at < len(tokens) and tokens[at][0] == "[":
        high, _, low = tokens[at][1:-1].partition(":")
        first = int(low or high)
        sig = cut(sig, first, int(high) - first + 1)
        at += 1
    return sig, at
