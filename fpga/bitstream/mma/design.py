"""The N:M tile on a board. No network is inside: the host loads the operands of each product."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.fpga.bitstream.flow import LoadedDesign, serial_design
from zeroskip.fpga.bitstream.mma.fit import size
from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.mma.linked import LinkedTile
from zeroskip.model.mma.geometry import TileGeometry


@dataclass(frozen=True, kw_only=True)
class TileDesign(LoadedDesign):
    """A tile of `geometry` on a board."""

    geometry: TileGeometry

    @property
    def sizes(self) -> tuple[tuple[str, str], ...]:
        geometry = self.geometry
        words = f"{geometry.a_words:,}, {geometry.b_words:,} and {geometry.d_words:,}"
        return (("tile", size(geometry)), ("words of A, B and D", words))


MHZ = 60
"""The clock of a tile on an ECP5, where the user asks for none: after routing, tiles of 2 x 2 x 4 in fp16 and 2 x 2 x 8
in int8 reached 94 MHz and more (docs/measured)."""


def board_design(board: Board, geometry: TileGeometry, *, mhz: float | None, baud: int) -> TileDesign:
    """The design of a tile on a board. The clock is `mhz`, or MHZ.

    Raises ClockError where no PLL makes `mhz`, and ValueError where the clock does not suit the serial line.
    """
    if mhz is None:
        mhz = MHZ if board.family == "ecp5" else board.clock_mhz
    made = board.made_mhz(mhz)
    linked = LinkedTile(geometry, clock=round(made * 1e6), carrier=board.carrier)
    # D is read while it is written: none of the tile's memories may have one port.
    found = serial_design(board, linked, mhz=mhz, baud=baud, single_port_rams=False)
    return TileDesign(geometry=geometry, mhz=made, design=found.design, boot=found.boot, boot_bytes=linked.boot_bytes)
