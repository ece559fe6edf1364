"""The SystemVerilog package of a core: its geometry, and the words of its ports as types."""

from __future__ import annotations

import dataclasses
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data

from zeroskip.cosim.package.description import Description
from zeroskip.rtl.verilog.names import plain


def sv_package(description: Description, name: str) -> str:
    """The text of the package `name`."""
    lines = [f"package {name};"]
    for field in dataclasses.fields(description.geometry):
        value = getattr(description.geometry, field.name)
        if isinstance(value, int):
            lines.append(f"    localparam int unsigned {field.name.upper()} = {value};")
        else:
            lines.append(f'    localparam string {field.name.upper()} = "{value}";')
    for enum_name, enum in description.enums.items():
        width = Shape.cast(enum).width
        members = [f"        {enum_name.upper()}_{one.name} = {width}'d{one.value}" for one in enum]
        lines += ["", f"    typedef enum logic {_range(width)}{{", ",\n".join(members), f"    }} {enum_name}_t;"]
    for word_name, layout in description.words.items():
        lines += ["", f"    // {layout.size} bits.", *_struct(word_name, layout, description)]
    return "\n".join([*lines, "endpackage", ""])


def _struct(name: str, layout: Any, description: Description) -> list[str]:
    """A word as a packed struct: SystemVerilog's first member is the most significant."""
    assert isinstance(layout, data.StructLayout)
    members = []
    for key, field in reversed(list(layout)):
        enum = next((one for one, kind in description.enums.items() if field.shape is kind), None)
        kind = f"{enum}_t " if enum else f"logic {'signed ' if _signed(field.shape) else ''}{_dimensions(field.shape)}"
        members.append(f"        {kind}{plain(str(key))};")
    return ["    typedef struct packed {", *members, f"    }} {name}_t;"]


def _signed(shape: Any) -> bool:
    return not isinstance(shape, data.Layout) and Shape.cast(shape).signed


def _dimensions(shape: Any) -> str:
    """The packed dimensions of a field: those of arrays are kept."""
    if isinstance(shape, data.ArrayLayout):
        return f"[{shape.length - 1}:0]{_dimensions(shape.elem_shape) or '[0:0] '}"
    return _range(Shape.cast(shape).width)


def _range(width: int) -> str:
    return "" if width == 1 else f"[{width - 1}:0] "
