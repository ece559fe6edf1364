"""From a compiled network to a bitstream with the network inside."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass

import numpy as np

from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.top import BoardTop
from zeroskip.fpga.build import config as texts
from zeroskip.fpga.build import eie
from zeroskip.fpga.build.config import PatchError
from zeroskip.fpga.build.design import Design, design
from zeroskip.fpga.build.memories import Bits, Memory, memories
from zeroskip.fpga.build.pack import pack, unpack
from zeroskip.fpga.build.phases import Announce
from zeroskip.fpga.build.route import Routed, route
from zeroskip.fpga.eie.boot import BootMemory, boot_memory
from zeroskip.fpga.eie.linked import BUFFER, LinkedArray
from zeroskip.fpga.tools import (
    ECPPACK,
    ECPUNPACK,
    ICEPACK,
    ICEUNPACK,
    INSTALL,
    NEXTPNR_ECP5,
    NEXTPNR_ICE40,
    YOSYS,
    ToolError,
)
from zeroskip.fpga.tops.serial import SerialTop
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry

_BOOT = re.compile(r"(?:^|\.)link\.boot(?:\$\d+)?$")


@dataclass(frozen=True, kw_only=True)
class BoardDesign:
    """An array of `geometry` on a board: its design, the frequency `mhz` of its clock, and the memories that hold a
    network: those of the matrices, and the boot memory."""

    geometry: EieGeometry
    mhz: float
    design: Design
    matrices: tuple[Memory, ...]
    boot: Memory
    buffer: int

    @property
    def patched(self) -> list[str]:
        return [memory.name for memory in (*self.matrices, self.boot)]

    @property
    def holds_matrices(self) -> bool:
        """Whether the bitstream holds the words and pointers of a network; otherwise the host loads them."""
        return len(self.matrices) == 3 * self.geometry.pes

    def boot_memory(self, network: EieNetwork | None) -> BootMemory:
        """With tables where the bitstream holds the matrices too: a board has all of a network, or nothing of it."""
        inside = network if self.holds_matrices else None
        return boot_memory(self.geometry, inside, buffer=self.buffer, clock=round(self.mhz * 1e6))

    def contents(self, network: EieNetwork) -> dict[Memory, Bits]:
        """What the memories hold for a network."""
        boot = np.frombuffer(self.boot_memory(network).contents, np.uint8)
        held = {self.boot: np.unpackbits(boot[:, None], axis=1, bitorder="little")}
        return held | {memory: eie.contents(network, memory) for memory in self.matrices}


def array_design(board: Board, geometry: EieGeometry, *, mhz: float, baud: int) -> BoardDesign:
    """The design of an array on a board; it does not depend on the network.

    Raises ClockError where no PLL makes `mhz`, and ValueError where the clock does not suit the serial line.
    """
    made = board.made_mhz(mhz)
    clock = round(made * 1e6)
    boot = boot_memory(geometry, None, buffer=BUFFER, clock=clock)
    core = LinkedArray(geometry, boot=boot, buffer=BUFFER)
    found = design(board, BoardTop(board, mhz, SerialTop(core, clock=clock, baud=baud)))
    every = memories(found.rtlil)
    (boots,) = [memory for memory in every if _BOOT.search(memory.name)]
    matrices = eie.matrix_memories(every, geometry)
    return BoardDesign(geometry=geometry, mhz=made, design=found, matrices=tuple(matrices), boot=boots, buffer=BUFFER)


def route_array(board_design: BoardDesign, *, seed: int = 1, announce: Announce = lambda phase: None) -> Routed:
    """Routes the array, or takes it from the cache."""
    return route(board_design.design, board_design.patched, mhz=board_design.mhz, seed=seed, announce=announce)


def bitstream(board_design: BoardDesign, routed: Routed, network: EieNetwork, announce: Announce) -> bytes:
    """The bitstream with the network in the memories, read back bit by bit before it is returned.

    Raises PatchError where a memory does not hold what it must.
    """
    family = board_design.design.board.family
    contents = board_design.contents(network)
    announce("writing the network into the block RAMs")
    config = texts.patched(routed.config, family, routed.placed, contents)
    announce("packing the bitstream")
    packed = pack(config, family)
    announce("reading the network back from the bitstream")
    held = texts.read_back(unpack(packed, family), family, routed.placed)
    for memory, bits in contents.items():
        if memory not in held or not np.array_equal(held[memory], bits):
            raise PatchError(f"the bitstream must hold the network in {memory.name}, and holds something else")
    return packed


TOOLS = {
    "ecp5": (YOSYS, NEXTPNR_ECP5, ECPPACK, ECPUNPACK),
    "ice40": (YOSYS, NEXTPNR_ICE40, ICEPACK, ICEUNPACK),
}
"""The tools that a build for each family needs."""


def require_tools(family: str) -> None:
    """Raises ToolError, with the command that installs them, where the tools of a family are not installed."""
    for tool in TOOLS[family]:
        tool.require()
    if importlib.util.find_spec("amaranth_boards") is None:
        raise ToolError(f"amaranth-boards is not installed; install it with: {INSTALL}")
