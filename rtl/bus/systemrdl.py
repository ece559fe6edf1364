"""A register map in SystemRDL 2.0 (Accellera), from which PeakRDL and the like make headers, pages and IP-XACT."""

from __future__ import annotations

import json

from zeroskip.rtl.bus.register_map import REGISTER_BITS, Field, Kind, Register, RegisterMap, Window

REGISTERS = "REGISTERS"
"""The name of the block that holds all registers."""

_PROPERTIES = {
    Kind.CONSTANT: ("sw = r;", "hw = na;"),
    Kind.STATUS: ("sw = r;", "hw = w;"),
    Kind.SETTING: ("sw = rw;", "hw = r;"),
    Kind.PULSE: ("sw = rw;", "hw = r;", "singlepulse;"),
    Kind.EVENT: ("sw = rw;", "hw = w;", "woclr;", "hwset;"),
}


def systemrdl(described: RegisterMap) -> str:
    """The text of an .rdl file."""
    lines = [
        f"addrmap {described.name} {{",
        f"    name = {_text(described.title)};",
        f"    desc = {_text(described.meaning)};",
        "    littleendian;",
        "",
        # A block of its own: IP-XACT has memories beside blocks of registers, not beside registers.
        "    addrmap {",
        f"        default regwidth = {REGISTER_BITS};",
        f"        default accesswidth = {REGISTER_BITS};",
    ]
    for register in described.registers:
        lines += ["", *(f"    {line}" for line in _register(register))]
    lines += [f"    }} {REGISTERS} @ 0x0;"]
    for window in described.windows:
        lines += ["", *_window(window)]
    return "\n".join([*lines, "};", ""])


def _register(register: Register) -> list[str]:
    lines = ["    reg {", f"        desc = {_text(register.meaning)};"]
    for field in register.fields:
        lines += _field(field)
    return [*lines, f"    }} {register.name} @ {register.address:#x};"]


def _field(field: Field) -> list[str]:
    properties = " ".join(_PROPERTIES[field.kind])
    # What the hardware writes has no value of its own after a reset.
    reset = "" if field.kind is Kind.STATUS else f" = {field.width}'d{field.reset}"
    place = f"[{field.low + field.width - 1}:{field.low}]"
    return [
        "        field {",
        f"            desc = {_text(field.meaning)};",
        f"            {properties}",
        f"        }} {field.name} {place}{reset};",
    ]


def _window(window: Window) -> list[str]:
    """A memory for each instance: IP-XACT has no arrays of them."""
    lines = [
        "    external mem {",
        f"        desc = {_text(window.meaning)};",
        f"        mementries = {window.entries};",
        f"        memwidth = {8 * window.word_bytes};",
        f"        sw = {'w' if window.written else 'r'};",
    ]
    places = [f"{name} @ {address:#x}" for name, address in instances(window)]
    return [*lines, "    }", *(f"      {place}," for place in places[:-1]), f"      {places[-1]};"]


def instances(window: Window) -> list[tuple[str, int]]:
    """The name and the address of each instance of a window."""
    if window.instances == 1:
        return [(window.name, window.base)]
    return [(f"{window.name}_{index}", window.base + index * window.stride) for index in range(window.instances)]


def _text(text: str) -> str:
    """A string: SystemRDL escapes quotes and backslashes as JSON does."""
    return json.dumps(text, ensure_ascii=False)
