"""Which signals of a design are in a waveform of Verilator.

A recording simulator spends its time on the signals that change, so what says nothing new is left out. Icarus Verilog
records every signal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

OFF, ON = "/*verilator tracing_off*/", "/*verilator tracing_on*/"

DECLARATION = re.compile(r"^  ((?:input|output|wire|reg) (?:signed )?(?:\[\S+\] )?(\\\S+|\w+)(?: .*)?;)$", re.M)
MODULE = re.compile(r"^module (\S+?) ?\(", re.M)


def recorded(design: str, top: str, shared: Iterable[str], unrecorded: Collection[str]) -> str:
    """The Verilog of Amaranth's `design`, so that Verilator does not record

    - signals with numbers that Yosys or Amaranth gave (`$12`, `level$3`): copies, and parts of expressions,
    - fields and elements of structures (`payload.row`, `words[3]`), which the structure itself holds,
    - clock and reset, but those of `top`,
    - the ports of a module that holds nothing but an instance of a `shared` one, whose ports are the same,
    - all inside submodules with the names `unrecorded`.
    """
    wrapper = re.compile(rf"^  (?:{'|'.join(shared) or '$.'}) \\instance  \(", re.M)
    modules = re.split(r"^(?=module )", design, flags=re.M)
    return "".join(_module(text, top, wrapper, unrecorded) for text in modules)


def _module(text: str, top: str, wrapper: re.Pattern[str], unrecorded: Collection[str]) -> str:
    name = MODULE.match(text)
    if name is None:
        return text
    parts = name[1].lstrip("\\").split(".")
    nothing = wrapper.search(text) is not None or not set(parts[1:]).isdisjoint(unrecorded)
    names = {declared[2] for declared in DECLARATION.finditer(text)}
    clocks = () if parts == [top] else ("clk", "rst")

    def declaration(declared: re.Match[str]) -> str:
        signal = declared[2]
        if nothing or "$" in signal or signal in clocks or _is_part(signal, names):
            return f"  {OFF} {declared[1]} {ON}"
        return declared[0]

    return DECLARATION.sub(declaration, text)


def _is_part(signal: str, names: Collection[str]) -> bool:
    """Whether the signal is a field or an element of one of `names`. Names with such parts are escaped, others not."""
    whole = signal.removeprefix("\\")
    while part := re.fullmatch(r"(.+?)(?:\.[^.\[\]]+|\[\d+\])", whole):
        whole = part[1]
        if whole in names or f"\\{whole}" in names:
            return True
    return False
