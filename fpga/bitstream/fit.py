"""Whether a core fits a board, before anything is synthesised: models of its cells, fitted to measured builds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.named import BOARDS

SHAPES = {
    "ecp5": ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
    "ice40": ((256, 16), (512, 8), (1024, 4), (2048, 2)),
    "gowin": ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
}
"""Words and bits of a word that a block RAM can have."""

USABLE = {"ecp5": 0.9, "ice40": 1.0, "gowin": 0.9}
"""Part of the look-up tables that place and route can fill."""

LINK_RAMS = {"ecp5": 4, "ice40": 10, "gowin": 4}
"""Block RAMs of the link of a core that is loaded by the host: its boot memory holds no tables."""


CARRIER_LUTS = {"uart": 0, "usb": 1800}
"""Look-up tables that a carrier of the link takes beyond those of a serial line."""


class TooLargeError(ValueError):
    """A core that does not fit a board; the message says what is short, by how much, and what fits."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a core with its link needs of a device, as estimated before synthesis."""

    luts: int
    block_rams: int
    multipliers: int
    single_port_rams: int = 0

    def _rows(self, board: Board) -> list[tuple[str, int, int]]:
        """What is counted, how much of it is needed, and how much the board has."""
        device = board.device
        luts = self.luts + CARRIER_LUTS[board.carrier]
        return [
            ("look-up tables", luts, int(device.luts * USABLE[device.family])),
            ("block RAMs", self.block_rams, device.block_rams),
            ("multipliers", self.multipliers, device.multipliers),
            ("single-port RAMs", self.single_port_rams, device.single_port_rams),
        ]

    def short(self, board: Board) -> list[str]:
        """What the board has too little of."""
        return [
            f"{needed:,} {what} for {has:,}, {needed - has:,} too few"
            for what, needed, has in self._rows(board)
            if needed > has
        ]

    def part(self, board: Board) -> float:
        """The part of the board's cells that is needed, of the kind of which it is largest."""
        return max((needed / has for _, needed, has in self._rows(board) if has), default=0.0)


def larger_board(needs: Callable[[Board], Needs]) -> str:
    """Names the smallest board with room for a core, by what `needs` estimates on it."""
    roomy = [board for board in BOARDS.values() if not needs(board).short(board)]
    if not roomy:
        return "no board that zeroskip knows has room for it"
    board = min(roomy, key=lambda board: board.device.luts)
    return f"{board.title} has room for it (--board {board.name})"


def block_rams(depth: int, width: int, family: str) -> int:
    """Block RAMs of a memory with one write and one read port."""
    return min(-(-depth // words) * -(-width // bits) for words, bits in SHAPES[family])
