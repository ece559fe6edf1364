"""Where each bit of a memory lies in the contents of block RAMs: found by synthesising copies of the memory.

Every bit of the memory has a number. Copy k holds bit k of these numbers, so that the contents of the block RAMs of all
copies spell them:

    the bit with number 8 = 1000:  copies 0, 1 and 2 hold 0 in it, copy 3 holds 1

Nothing is assumed about how the tool cuts a memory into block RAMs. What is found for a memory alone is checked for
the memory within the design by markers (zeroskip.fpga.bitstream.config).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.fpga.bitstream import gowin
from zeroskip.fpga.bitstream.memories import Bits, Memory, module_texts, with_contents
from zeroskip.fpga.tools import YOSYS
from zeroskip.model.temporary import TemporaryFolder

SYNTHESIS = {
    "ecp5": "synth_ecp5",
    # The iCE40's block RAMs show an unknown word at power-up: registers that become part of one must not start at zero.
    "ice40": "setattr -unset init a:uninitialised; synth_ice40 -dsp -device u",
    "gowin": "synth_gowin -family gw2a",
}

RAM_CELLS = {
    "ecp5": (("DP16KD",), "INITVAL_{:02X}", 64, 320),
    "ice40": (("SB_RAM40_4K",), "INIT_{:X}", 16, 256),
    "gowin": (gowin.KINDS, gowin.PARAMETER, gowin.ROWS, gowin.ROW_BITS),
}
"""For each family the cells that are a block RAM, their parameters with contents, how many, and bits of each."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A block RAM that holds a part of a memory. `numbers` (int32, one for each bit of the cell's contents) are 1 +
    word * width + bit, or 0 for a bit that holds nothing of the memory. `suffix` follows the memory's name in the name
    of the cell."""

    suffix: str
    numbers: NDArray[np.int32]

    def contents(self, bits: Bits) -> NDArray[np.uint8]:
        """The cell's contents where the memory holds `bits`."""
        flat = np.concatenate([np.zeros(1, np.uint8), bits.reshape(-1)])
        return flat[self.numbers]


def layouts(rtlil: str, chosen: Sequence[Memory], family: str) -> dict[Memory, list[Slice]]:
    """The slices of each of the memories `chosen`; memories whose modules are alike are synthesised once.

    Raises ToolError where a memory does not become block RAM.
    """
    texts = module_texts(rtlil)
    alike: dict[str, list[Memory]] = {}
    for memory in chosen:
        text = texts[memory.module].replace(f"module \\{memory.module}\n", "", 1)
        # Two memories of one module are not alike.
        alike.setdefault(f"{memory.memory} {text}", []).append(memory)
    found: dict[Memory, list[Slice]] = {}
    for same in alike.values():
        slices = _slices(same[0], texts, family)
        found |= dict.fromkeys(same, slices)
    return found


def _slices(memory: Memory, texts: Mapping[str, str], family: str) -> list[Slice]:
    text = texts[memory.module]
    size = memory.depth * memory.width
    planes = size.bit_length()
    # Shuffled: Yosys drops columns of a memory without a write port that are the same in all words.
    shuffled = np.random.default_rng(0).permutation(size) + 1
    numbers = shuffled.reshape(memory.depth, memory.width)
    place = np.zeros(size + 1, np.int32)
    place[shuffled] = np.arange(1, size + 1)
    inside = set(re.findall(r"^  cell \\(\S+) \\\S+$", text, re.M)) & texts.keys()
    modules, ports = [_box(texts[name]) for name in sorted(inside)], _ports(text)
    for plane in range(planes):
        copy = text.replace(f"module \\{memory.module}\n", f"module \\copy_{plane}\n")
        here = Memory(name="", module=f"copy_{plane}", memory=memory.memory, depth=memory.depth, width=memory.width)
        modules.append(with_contents(copy, {here: (numbers >> plane & 1).astype(np.uint8)}))
    modules.append(_around(planes, ports))
    cells = _synthesised("\n".join(modules), family)
    kinds, _, count, width = RAM_CELLS[family]
    slices = []
    for name in sorted(cells):
        # Names of copy 0 name those of the others.
        if not name.startswith(f"copy_0.{memory.memory}") or cells[name]["type"] not in kinds:
            continue
        suffix = name.removeprefix(f"copy_0.{memory.memory}")
        found = np.zeros(count * width, np.int32)
        for plane in range(planes):
            found |= cell_contents(cells[f"copy_{plane}.{memory.memory}{suffix}"], family).astype(np.int32) << plane
        slices.append(Slice(suffix=suffix, numbers=place[found]))
    if set(range(1, size + 1)) - set().union(*(one.numbers.tolist() for one in slices)):
        raise RuntimeError(f"the memory {memory.name} must become block RAM, which the synthesis did not make of it")
    return slices


def cell_contents(cell: dict[str, Any], family: str) -> NDArray[np.uint8]:
    """The bits at power-up of a block RAM in a netlist that Yosys wrote as JSON; undefined ones are 0."""
    if family == "gowin":
        return gowin.contents(cell)
    _, parameter, count, width = RAM_CELLS[family]
    parts = []
    for index in range(count):
        digits = cell["parameters"].get(parameter.format(index), "0" * width)
        parts.append(np.frombuffer(digits[::-1].encode(), np.uint8) == ord("1"))
    bits: NDArray[np.uint8] = np.concatenate(parts).astype(np.uint8)
    return bits


def _ports(text: str) -> list[tuple[str, str, int]]:
    """(name, direction, width) of the ports of a module."""
    wires = re.findall(r"^  wire width (\d+) (input|output) \d+ +\\(\S+)$", text, re.M)
    return [(name, way, int(width)) for width, way, name in wires]


def _box(text: str) -> str:
    """A module without what is in it."""
    ports = re.findall(r"^  wire width \d+ (?:input|output) .*$", text, re.M)
    return "\n".join(["attribute \\blackbox 1", text.partition("\n")[0], *ports, "end", ""])


def _around(planes: int, ports: Sequence[tuple[str, str, int]]) -> str:
    """A module `probe` that holds the copies: all have the same inputs, and outputs of their own."""
    lines, number = ["attribute \\top 1", "module \\probe"], 0
    for name, way, width in ports:
        copies = [""] if way == "input" else [f"${plane}" for plane in range(planes)]
        for copy in copies:
            lines.append(f"  wire width {width} {way} {number} \\{name}{copy}")
            number += 1
    for plane in range(planes):
        lines.append(f"  cell \\copy_{plane} \\copy_{plane}")
        for name, way, _ in ports:
            lines.append(f"    connect \\{name} \\{name}{'' if way == 'input' else f'${plane}'}")
        lines.append("  end")
    return "\n".join([*lines, "end", ""])


def _synthesised(rtlil: str, family: str) -> dict[str, Any]:
    """The cells of the design `probe` after synthesis."""
    with TemporaryFolder() as folder:
        (folder / "probe.il").write_text(rtlil)
        # As far as block RAMs are made: the look-up tables of the copies are of no use.
        script = f"read_rtlil probe.il; {SYNTHESIS[family]} -top probe -run begin:map_ffram; select probe; "
        script += "write_json -selected probe.json"
        YOSYS.run(["-q", "-p", script], folder=folder)
        return netlist_cells(folder / "probe.json", "probe")


def netlist_cells(netlist: Path, top: str) -> dict[str, Any]:
    """The cells of module `top` in a netlist that Yosys wrote as JSON."""
    cells: dict[str, Any] = json.loads(netlist.read_text())["modules"][top]["cells"]
    return cells
