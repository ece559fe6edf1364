"""SRAM macros in place of the memories: black boxes for the synthesis, with area and access time from a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockSignal, Elaboratable, Instance, Module, Value

from zeroskip.rtl.emit import SharedModules
from zeroskip.rtl.sram import Sram

Size = tuple[int, int]
"""(depth, width): words, and bits of a word."""


@dataclass(frozen=True, kw_only=True)
class Macro:
    """An SRAM of `depth` words of `width` bits. `area` is in the unit of the standard cells; `access_ns` is the time
    from the clock to the data."""

    depth: int
    width: int
    area: float
    access_ns: float

    @property
    def size(self) -> Size:
        return self.depth, self.width


def read_table(file: Path) -> dict[Size, Macro]:
    """Reads a JSON list of objects with the fields of a Macro.

    Raises OSError where there is no such file, and ValueError that names the entry and the field that is wrong.
    """
    if not file.is_file():
        raise OSError(f"{file} must be a JSON table of SRAM macros, and there is no such file")
    try:
        entries = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file} must be a JSON table of SRAM macros: {error}") from None
    if not isinstance(entries, list):
        raise ValueError(f"{file} must be a JSON list of objects, one for each SRAM macro")
    table: dict[Size, Macro] = {}
    for index, entry in enumerate(entries):
        macro = _macro(f"{file}: entry {index}", entry)
        if macro.size in table:
            raise ValueError(f"{file}: {macro.depth} words of {macro.width} bits must stand there once, not twice")
        table[macro.size] = macro
    return table


def _macro(where: str, entry: object) -> Macro:
    names = [field.name for field in fields(Macro)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise ValueError(f"{where} must have the fields {', '.join(names)}, not {entry!r}")
    for name in ("depth", "width"):
        if type(entry[name]) is not int or entry[name] < 1:
            raise ValueError(f"{where}: {name} must be a whole number from 1, not {entry[name]!r}")
    for name in ("area", "access_ns"):
        number = entry[name]
        if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number) or number < 0:
            raise ValueError(f"{where}: {name} must be a number from 0, not {number!r}")
    return Macro(**entry)


def require_sizes(file: Path, table: Mapping[Size, Macro], needed: Iterable[Size]) -> None:
    """Raises ValueError with all sizes that the table of a file lacks."""
    missing = sorted(set(needed) - set(table))
    if missing:
        sizes = ", ".join(f"{depth} words of {width} bits" for depth, width in missing)
        raise ValueError(f"{file} must have an SRAM macro for every memory of the blocks, and lacks {sizes}")


def cell_name(size: Size) -> str:
    depth, width = size
    return f"sram_{depth}x{width}"


class MacroMemories(SharedModules):
    """A platform that makes every memory of an SRAM macro; each pin is one bit. `sizes` are those it made."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[Size] = set()

    def get_sram(self, sram: Sram) -> Elaboratable:
        self.sizes.add((sram.depth, sram.width))
        pins = {
            "i_clk": ClockSignal(),
            "i_we": sram.write.en,
            "i_re": sram.read.en,
            **_bits("i_wa", sram.write.addr),
            **_bits("i_wd", sram.write.data),
            **_bits("i_ra", sram.read.addr),
            **_bits("o_rd", sram.read.data),
        }
        m = Module()
        m.submodules.sram = Instance(cell_name((sram.depth, sram.width)), **pins)
        return m


def _bits(name: str, port: Any) -> dict[str, Value]:
    return {f"{name}{index}": bit for index, bit in enumerate(Value.cast(port))}


TRANSITION_NS = 0.05
"""Of the edges at the outputs of a macro."""

_HEAD = """library (srams) {
  delay_model : table_lookup;
  time_unit : "1ns";
  voltage_unit : "1V";
  current_unit : "1mA";
  pulling_resistance_unit : "1kohm";
  leakage_power_unit : "1nW";
  capacitive_load_unit (1, pf);
"""


def library(macros: Iterable[Macro]) -> str:
    """The macros in the Liberty format. Inputs must be there at the clock's edge, and load nothing."""
    thresholds = [
        f"  {kind}_threshold_pct_{edge} : {percent};\n"
        for kind, percent in {"input": 50, "output": 50, "slew_lower": 20, "slew_upper": 80}.items()
        for edge in ("rise", "fall")
    ]
    return "".join([_HEAD, *thresholds, *(_cell(macro) for macro in macros), "}\n"])


def _cell(macro: Macro) -> str:
    address = (macro.depth - 1).bit_length()
    inputs = ["we", "re", *(f"{kind}{bit}" for kind in ("wa", "ra") for bit in range(address))]
    inputs += [f"wd{bit}" for bit in range(macro.width)]
    setup = _arc("setup_rising", rise_constraint=0, fall_constraint=0)
    access = _arc(
        "rising_edge",
        cell_rise=macro.access_ns,
        cell_fall=macro.access_ns,
        rise_transition=TRANSITION_NS,
        fall_transition=TRANSITION_NS,
    )
    pins = [
        "    pin (clk) { direction : input; clock : true; capacitance : 0; }\n",
        *(f"    pin ({name}) {{ direction : input; capacitance : 0; {setup} }}\n" for name in inputs),
        *(f"    pin (rd{bit}) {{ direction : output; {access} }}\n" for bit in range(macro.width)),
    ]
    return f"  cell ({cell_name(macro.size)}) {{\n    area : {macro.area};\n{''.join(pins)}  }}\n"


def _arc(kind: str, **values: float) -> str:
    tables = " ".join(f'{name} (scalar) {{ values ("{value}"); }}' for name, value in values.items())
    return f'timing () {{ related_pin : "clk"; timing_type : {kind}; {tables} }}'
