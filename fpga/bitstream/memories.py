"""The memories of a design's RTLIL, and what they hold at power-up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
"""Contents of a memory: a bit each, depth x width, column 0 the least significant bits of the words."""

_MODULE = re.compile(r"^module \\(\S+)\n(.*?)^end$", re.M | re.S)
_MEMORY = re.compile(r"^  memory width (\d+) size (\d+) \\(\S+)$", re.M)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """`name` is its place in the hierarchy below the top, "core.array.pe_0.spmat.words.memory"."""

    name: str
    module: str
    memory: str
    depth: int
    width: int


def module_texts(rtlil: str) -> dict[str, str]:
    """The text of each module."""
    return {found[1]: found[0] for found in _MODULE.finditer(rtlil)}


def memories(rtlil: str) -> list[Memory]:
    """All memories of a design, in the order of its text."""
    found = []
    for module in _MODULE.finditer(rtlil):
        below = module[1].partition(".")[2]
        for width, depth, memory in _MEMORY.findall(module[2]):
            name = ".".join(filter(None, [below, memory]))
            found.append(Memory(name=name, module=module[1], memory=memory, depth=int(depth), width=int(width)))
    return found


def with_contents(rtlil: str, contents: Mapping[Memory, Bits]) -> str:
    """The design with other contents in some of its memories, which become block RAM: other memories have none that
    could be replaced after routing."""
    by_module: dict[str, dict[str, Bits]] = {}
    for memory, bits in contents.items():
        by_module.setdefault(memory.module, {})[memory.memory] = bits

    def replace(module: re.Match[str]) -> str:
        text = module[0]
        for memory, bits in by_module.get(module[1], {}).items():
            text = _with_initial(text, memory, bits)
        return text

    return _MODULE.sub(replace, rtlil)


def _with_initial(module: str, memory: str, bits: Bits) -> str:
    declared = re.compile(rf"^  memory width \d+ size \d+ \\{re.escape(memory)}$", re.M)
    module = declared.sub(lambda found: f'  attribute \\ram_style "block"\n{found[0]}', module)
    cell = re.compile(
        rf'(cell \$meminit_v2 (?:(?!^  end$).)*?parameter \\MEMID "\\\\{re.escape(memory)}"\n.*?connect \\DATA )\S+\n',
        re.M | re.S,
    )
    # RTLIL writes the last word's most significant bit first.
    digits = "".join(map(str, bits.reshape(-1)[::-1]))
    text, count = cell.subn(lambda found: f"{found[1]}{len(digits)}'{digits}\n", module, count=1)
    if not count:
        raise ValueError(f"the memory {memory} must have contents in the design, which it has not")
    return text


def marker(memory: Memory) -> Bits:
    """Random bits by which a memory is found again in what the tools make of the design; the same in every build."""
    seed = np.frombuffer(memory.name.encode(), np.uint8)
    return np.random.default_rng(seed).integers(0, 2, (memory.depth, memory.width), np.uint8)
