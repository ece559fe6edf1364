"""A SystemRDL compiler's view of an emitted register map, for benches that hold the hardware to it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from systemrdl import RDLCompiler
from systemrdl.node import FieldNode, MemNode, RegNode
from systemrdl.rdltypes import AccessType, OnWriteType

from zeroskip.rtl.bus.register_map import RegisterMap
from zeroskip.rtl.bus.systemrdl import REGISTERS, systemrdl


def compiled(described: RegisterMap, folder: Path) -> Any:
    """The top node of the map."""
    file = folder / f"{described.name}.rdl"
    file.write_text(systemrdl(described))
    compiler = RDLCompiler()
    compiler.compile_file(str(file))
    return compiler.elaborate().top


def facts(described: RegisterMap, folder: Path) -> dict[str, Any]:
    """What the compiler finds, as JSON. The ranges of settings are not SystemRDL's: they come from the description."""
    top = compiled(described, folder)
    block = top.get_child_by_name(REGISTERS)
    return {
        "registers": [_register(described, node) for node in block.descendants() if isinstance(node, RegNode)],
        "registers_size": 1 << math.ceil(math.log2(block.size)),
        "windows": [
            {
                "name": node.inst_name,
                "address": node.absolute_address,
                "entries": node.get_property("mementries"),
                "width": node.get_property("memwidth"),
                "sw": {AccessType.r: "r", AccessType.w: "w"}[node.get_property("sw")],
            }
            for node in top.children(unroll=True)
            if isinstance(node, MemNode)
        ],
    }


def _register(described: RegisterMap, node: RegNode) -> dict[str, Any]:
    fields = [_field(described, one) for one in node.fields()]
    return {
        "name": node.inst_name,
        "address": node.absolute_address,
        "fields": fields,
        "volatile": any(one["reset"] is None for one in fields),
    }


def _field(described: RegisterMap, node: FieldNode) -> dict[str, Any]:
    limits = next(one for one in described.register(node.parent.inst_name).fields if one.name == node.inst_name)
    writable = node.is_sw_writable
    once = node.get_property("singlepulse") or node.get_property("onwrite") is OnWriteType.woclr
    return {
        "name": node.inst_name,
        "low": node.low,
        "width": node.width,
        "sw": "rw" if writable else "r",
        "reset": node.get_property("reset"),
        "stored": writable and not once,
        "range": [limits.least, limits.largest],
    }
