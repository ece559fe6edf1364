"""From a core on a board to its bitstream."""

from __future__ import annotations

import importlib.util
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from zeroskip.fpga.bitstream import config as texts
from zeroskip.fpga.bitstream.config import PatchError
from zeroskip.fpga.bitstream.design import Design, design
from zeroskip.fpga.bitstream.memories import Bits, Memory, memories
from zeroskip.fpga.bitstream.pack import UNPACKED, pack, unpack
from zeroskip.fpga.bitstream.phases import Announce
from zeroskip.fpga.bitstream.route import Routed, route
from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.top import BoardTop
from zeroskip.fpga.tools import (
    ECPPACK,
    ECPUNPACK,
    GOWIN_PACK,
    ICEPACK,
    ICEUNPACK,
    INSTALL,
    NEXTPNR_ECP5,
    NEXTPNR_GOWIN,
    NEXTPNR_ICE40,
    YOSYS,
    ToolError,
)
from zeroskip.fpga.tops.serial import SerialTop

_BOOT = re.compile(r"(?:^|\.)link\.boot(?:\$\d+)?$")


@dataclass(frozen=True, kw_only=True)
class SerialDesign:
    """The design of a core behind a board's serial line, all its `memories`, and the boot memory among them."""

    design: Design
    memories: tuple[Memory, ...]
    boot: Memory


@dataclass(frozen=True, kw_only=True)
class BoardDesign(ABC):
    """A core on a board: its design, the frequency `mhz` of its clock, and the boot memory, which holds what the board
    says of itself."""

    mhz: float
    design: Design
    boot: Memory

    @property
    @abstractmethod
    def patched(self) -> list[str]:
        """The names of the memories that get their contents after routing."""

    @property
    @abstractmethod
    def holds_network(self) -> bool:
        """Whether the bitstream holds a network; otherwise the host loads it."""

    @property
    @abstractmethod
    def sizes(self) -> tuple[tuple[str, str], ...]:
        """The core's sizes as (label, value), for people."""

    @abstractmethod
    def contents(self, network: Any) -> dict[Memory, Bits]:
        """What the patched memories hold for a network."""


@dataclass(frozen=True, kw_only=True)
class LoadedDesign(BoardDesign):
    """A core whose bitstream holds nothing but what it says of itself, `boot_bytes`."""

    boot_bytes: bytes

    @property
    def patched(self) -> list[str]:
        return [self.boot.name]

    @property
    def holds_network(self) -> bool:
        return False

    def contents(self, network: Any) -> dict[Memory, Bits]:
        return {self.boot: memory_bytes(self.boot_bytes)}


def serial_design(board: Board, linked: Any, *, mhz: float, baud: int, single_port_rams: bool = True) -> SerialDesign:
    """The design of a core (with the ports of LinkedArray) behind the board's carrier: a serial line of `baud`, or USB.
    With `single_port_rams`, its wide memories are of that kind where the board has them.

    Raises ClockError where no PLL makes `mhz`, and ValueError where the clock does not suit the serial line.
    """
    top = BoardTop(board, mhz, _carried(board, linked, mhz, baud))
    found = design(board, top, single_port_rams=single_port_rams)
    every = tuple(memories(found.rtlil))
    (boot,) = [memory for memory in every if _BOOT.search(memory.name)]
    return SerialDesign(design=found, memories=every, boot=boot)


def _carried(board: Board, linked: Any, mhz: float, baud: int) -> Any:
    if board.carrier == "usb":
        from zeroskip.fpga.tops.usb import UsbTop

        return UsbTop(linked)
    return SerialTop(linked, clock=round(board.made_mhz(mhz) * 1e6), baud=baud)


def memory_bytes(held: bytes) -> Bits:
    """The contents of a memory of bytes."""
    return np.unpackbits(np.frombuffer(held, np.uint8)[:, None], axis=1, bitorder="little")


def route_board(board_design: BoardDesign, *, seed: int = 1, announce: Announce = lambda phase: None) -> Routed:
    """Routes the design, or takes it from the cache."""
    return route(board_design.design, board_design.patched, mhz=board_design.mhz, seed=seed, announce=announce)


def bitstream(board_design: BoardDesign, routed: Routed, network: Any, announce: Announce) -> bytes:
    """The bitstream with what the memories hold for a network, read back bit by bit before it is returned: from the
    bitstream, or, where no tool does that, from the text that it was packed from.

    Raises PatchError where a memory does not hold what it must.
    """
    family = board_design.design.board.family
    contents = board_design.contents(network)
    announce("writing the contents of the block RAMs")
    config = texts.patched(routed.config, family, routed.placed, contents)
    announce("packing the bitstream")
    packed = pack(config, family)
    announce("reading the block RAMs back")
    read = unpack(packed, family) if family in UNPACKED else config
    held = texts.read_back(read, family, routed.placed)
    for memory, bits in contents.items():
        if memory not in held or not np.array_equal(held[memory], bits):
            raise PatchError(f"the bitstream must hold what was written to {memory.name}, and holds something else")
    return packed


TOOLS = {
    "ecp5": (YOSYS, NEXTPNR_ECP5, ECPPACK, ECPUNPACK),
    "ice40": (YOSYS, NEXTPNR_ICE40, ICEPACK, ICEUNPACK),
    "gowin": (YOSYS, NEXTPNR_GOWIN, GOWIN_PACK),
}
"""The tools that a build for each family needs."""

PACKAGES = {"amaranth-boards": "amaranth_boards", "luna-usb": "luna"}
"""Libraries for boards, by their names in the registry, and their modules."""


def require_tools(board: Board) -> None:
    """Raises ToolError, with the command that installs it, where what a build for the board needs is not installed."""
    for tool in TOOLS[board.family]:
        tool.require()
    require_package("amaranth-boards")
    if board.carrier == "usb":
        require_package("luna-usb")


def require_package(name: str) -> None:
    """Raises ToolError, with the command that installs it, where one of PACKAGES is not installed."""
    if importlib.util.find_spec(PACKAGES[name]) is None:
        raise ToolError(f"{name} is not installed; install it with: {INSTALL}")
