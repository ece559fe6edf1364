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


def board_design(board: Board, geometry: TileGeometry, *, mhz: float, baud: int) -> TileDesign:
    """The design of a tile on a board.

    Raises ClockError where no PLL makes `mhz`, and ValueError where the clock does not suit the serial line.
    """
    made = board.made_mhz(mhz)
    linked = LinkedTile(geometry, clock=round(made * 1e6), carrier=board.carrier)
    # D is read while it is written: none of the tile's memories may have one port.
    found = serial_design(board, linked, mhz=mhz, baud=baud, single_port_rams=False)
    return TileDesign(geometry=geometry, mhz=made, design=found.design, boot=found.boot, boot_bytes=linked.boot_bytes)
