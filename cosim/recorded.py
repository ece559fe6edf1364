"""Which signals of a design are in a waveform of Verilator.

A recording simulator spends its time on the signals that change, so what says nothing new is left out. Icarus Verilog
records every signal.
"""

from __future__ import annotations

import re
from collections.abc import Collection

OFF, ON = "/*verilator tracing_off*/", "/*verilator tracing_on*/"

DECLARATION = re.compile(r"^  ((?:input|output|wire|reg) (?:signed )?(?:\[\S+\] )?(\\\S+|\w+)(?: .*)?;)$", re.M)
MODULE = re.compile(r"^module (\S+?) ?\(", re.M)
INSTANCE = re.compile(r"^  (\S+) +(\S+) +\(\n(.*?)^  \);$", re.M | re.S)
CONNECTION = re.compile(r"^    \.(\S+?) ?\((\S+?) ?\),?$", re.M)
ASSIGNMENT = re.compile(r"^  assign (\S+) += (.*);$", re.M)
EXPRESSION = re.compile(r"\\(\$.*|port\$\d+\$\d+)")
LOGIC = re.compile(r"^  always|^  assign .* = .*[|&^~?+*<>=!-]", re.M)


def recorded(design: str, top: str, shared: Collection[str], unrecorded: Collection[str]) -> str:
    """The Verilog of Amaranth's `design`, so that Verilator does not record

    - signals that Yosys named by numbers (`$12`, `port$3$0`): expressions, and bundles of ports,
    - copies that Amaranth numbered (`level$3`) of `level` in the same module, or of a port `level` of a submodule,
    - fields and elements of structures (`payload.row`, `words[3]`), which the structure itself holds,
    - clock and reset, but those of `top`,
    - the ports of a module without logic around an instance of a `shared` one, whose ports are the same,
    - all inside submodules with the names `unrecorded`.
    """
    modules = re.split(r"^(?=module )", design, flags=re.M)
    return "".join(_module(text, top, shared, unrecorded) for text in modules)


def _module(text: str, top: str, shared: Collection[str], unrecorded: Collection[str]) -> str:
    name = MODULE.match(text)
    if name is None:
        return text
    parts = name[1].lstrip("\\").split(".")
    around = any(module in shared for module, _, _ in INSTANCE.findall(text)) and not LOGIC.search(text)
    nothing = around or not set(parts[1:]).isdisjoint(unrecorded)
    names = {declared[2] for declared in DECLARATION.finditer(text)}
    copies = _copies(text, names, unrecorded)
    clocks = () if parts == [top] else ("clk", "rst")

    def declaration(declared: re.Match[str]) -> str:
        signal = declared[2]
        again = signal in copies or signal in clocks or _is_part(signal, names)
        if nothing or again or EXPRESSION.fullmatch(signal):
            return f"  {OFF} {declared[1]} {ON}"
        return declared[0]

    return DECLARATION.sub(declaration, text)


def _copies(text: str, names: Collection[str], unrecorded: Collection[str]) -> set[str]:
    """The signals with a number that are equal to the one of the same name without it, here or in a submodule."""
    copies = set()
    for left, right in ASSIGNMENT.findall(text):
        for copy, original in ((left, right.strip()), (right.strip(), left)):
            if original in names and _unnumbered(copy) == original:
                copies.add(copy)
    for _, instance, connections in INSTANCE.findall(text):
        if instance not in unrecorded:
            copies |= {signal for port, signal in CONNECTION.findall(connections) if _unnumbered(signal) == port}
    return copies


def _unnumbered(signal: str) -> str | None:
    numbered = re.fullmatch(r"\\(\w+)\$\d+", signal)
    return None if numbered is None else numbered[1]


def _is_part(signal: str, names: Collection[str]) -> bool:
    """Whether the signal is a field or an element of one of `names`. Names with such parts are escaped, others not."""
    whole = signal.removeprefix("\\")
    while part := re.fullmatch(r"(.+?)(?:\.[^.\[\]]+|\[\d+\])", whole):
        whole = part[1]
        if whole in names or f"\\{whole}" in names:
            return True
    return False
