"""The EIE array on a board, with a network inside."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.fpga.bitstream.eie.contents import contents, matrix_memories
from zeroskip.fpga.bitstream.flow import BoardDesign, memory_bytes, serial_design
from zeroskip.fpga.bitstream.memories import Bits, Memory
from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.eie.boot import BootMemory, boot_memory
from zeroskip.fpga.eie.linked import LinkedArray
from zeroskip.fpga.identity import BUFFER
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry

MHZ = ((16, 70), (32, 60), (256, 40))
"""The clock of arrays of up to so many PEs on an ECP5, where the user asks for none: after routing, builds of 8 PEs on
an OrangeCrab and an ULX3S reached 103 and 79 MHz, and builds of 16 and 32 PEs on an ULX3S 82 and 73 (docs/measured).
More PEs were not measured."""


@dataclass(frozen=True, kw_only=True)
class ArrayDesign(BoardDesign):
    """An array of `geometry` on a board. `matrices` are the memories that hold a network's words and pointers."""

    geometry: EieGeometry
    matrices: tuple[Memory, ...]
    buffer: int

    @property
    def patched(self) -> list[str]:
        return [memory.name for memory in (*self.matrices, self.boot)]

    @property
    def holds_network(self) -> bool:
        return len(self.matrices) == 3 * self.geometry.pes

    @property
    def sizes(self) -> tuple[tuple[str, str], ...]:
        return (("processing elements", f"{self.geometry.pes}"),)

    def boot_memory(self, network: EieNetwork | None) -> BootMemory:
        """With tables where the bitstream holds the matrices too: a board has all of a network, or nothing of it."""
        inside = network if self.holds_network else None
        clock, carrier = round(self.mhz * 1e6), self.design.board.carrier
        return boot_memory(self.geometry, inside, buffer=self.buffer, clock=clock, carrier=carrier)

    def contents(self, network: EieNetwork) -> dict[Memory, Bits]:
        held = {self.boot: memory_bytes(self.boot_memory(network).contents)}
        return held | {memory: contents(network, memory) for memory in self.matrices}


def default_mhz(board: Board, geometry: EieGeometry) -> float:
    """The clock of an array where the user asks for none."""
    if board.family != "ecp5":
        return board.clock_mhz
    return next(mhz for pes, mhz in MHZ if geometry.pes <= pes)


def board_design(board: Board, geometry: EieGeometry, *, mhz: float | None, baud: int) -> ArrayDesign:
    """The design of an array on a board; it does not depend on the network. The clock is `mhz`, or default_mhz.

    Raises ClockError where no PLL makes `mhz`, and ValueError where the clock does not suit the serial line.
    """
    mhz = default_mhz(board, geometry) if mhz is None else mhz
    made = board.made_mhz(mhz)
    boot = boot_memory(geometry, None, buffer=BUFFER, clock=round(made * 1e6), carrier=board.carrier)
    found = serial_design(board, LinkedArray(geometry, boot=boot, buffer=BUFFER), mhz=mhz, baud=baud)
    return ArrayDesign(
        geometry=geometry,
        mhz=made,
        design=found.design,
        boot=found.boot,
        matrices=tuple(matrix_memories(found.memories, geometry)),
        buffer=BUFFER,
    )
