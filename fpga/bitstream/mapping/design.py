"""The mapping unit on a board. The host loads the points of each layer."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.fpga.bitstream.flow import LoadedDesign, serial_design
from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
from zeroskip.fpga.mapping.linked import LinkedMapper


@dataclass(frozen=True, kw_only=True)
class MapperDesign(LoadedDesign):
    """A mapping unit of `geometry` on a board."""

    geometry: LinkedMapperGeometry

    @property
    def sizes(self) -> tuple[tuple[str, str], ...]:
        geometry = self.geometry
        return (
            ("keys merged per cycle", f"{geometry.width}"),
            ("keys in the memory", f"{geometry.keys:,}, half of them to sort"),
            ("triples of a job", f"{geometry.triples:,}"),
        )


def board_design(board: Board, geometry: LinkedMapperGeometry, *, mhz: float | None, baud: int) -> MapperDesign:
    """The design of a mapping unit on a board. The clock is `mhz`, or the board's.

    Raises ClockError where no PLL makes `mhz`, and ValueError where the clock does not suit the serial line.
    """
    mhz = board.clock_mhz if mhz is None else mhz
    made = board.made_mhz(mhz)
    linked = LinkedMapper(geometry, clock=round(made * 1e6), carrier=board.carrier)
    # Keys are read while others are written: none of the unit's memories may have one port.
    found = serial_design(board, linked, mhz=mhz, baud=baud, single_port_rams=False)
    return MapperDesign(geometry=geometry, mhz=made, design=found.design, boot=found.boot, boot_bytes=linked.boot_bytes)
