"""Whether an array fits a board, before anything is synthesised: a model of its cells, fitted to measured builds."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.sram import DEPTH, WIDE, WORD
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.relay import relaid

SHAPES = {
    "ecp5": ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
    "ice40": ((256, 16), (512, 8), (1024, 4), (2048, 2)),
}
"""Words and bits of a word that a block RAM can have."""

USABLE = {"ecp5": 0.9, "ice40": 1.0}
"""Part of the look-up tables that place and route can fill."""


class TooLargeError(ValueError):
    """An array that does not fit a board; the message says what is short, by how much, and what fits."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an array with its link needs of a device, as estimated before synthesis."""

    luts: int
    block_rams: int
    multipliers: int
    single_port_rams: int = 0

    def short(self, board: Board) -> list[str]:
        """What the board has too little of."""
        device = board.device
        rows = (
            ("look-up tables", self.luts, int(device.luts * USABLE[device.family])),
            ("block RAMs", self.block_rams, device.block_rams),
            ("multipliers", self.multipliers, device.multipliers),
            ("single-port RAMs", self.single_port_rams, device.single_port_rams),
        )
        return [
            f"{needed:,} {what} for {has:,}, {needed - has:,} too few" for what, needed, has in rows if needed > has
        ]


def block_rams(depth: int, width: int, family: str) -> int:
    """Block RAMs of a memory with one write and one read port."""
    return min(-(-depth // words) * -(-width // bits) for words, bits in SHAPES[family])


def needs(geometry: EieGeometry, board: Board) -> Needs:
    """Estimates an array's cells on the board."""
    family, pes = board.family, geometry.pes
    single = 0
    rams = 2 * block_rams(-(-geometry.pointers // 2), geometry.pointer_bits, family)
    if board.device.single_port_rams and geometry.word_bits > WIDE and geometry.entry_words <= DEPTH:
        single = -(-geometry.word_bits // WORD)
    else:
        rams += block_rams(geometry.entry_words, geometry.word_bits, family)
    if geometry.activation_rows * geometry.accumulator_bits >= FILE_BITS:
        rams += 2 * block_rams(geometry.activation_rows, geometry.accumulator_bits, family)
    fixed_luts, pe_luts, link_rams = CELLS[family]
    return Needs(
        luts=int(fixed_luts + pes * (pe_luts + 6 * geometry.activation_rows)),
        block_rams=pes * rams + link_rams,
        multipliers=pes,
        single_port_rams=single * pes,
    )


FILE_BITS = 2048
"""Activation files of fewer bits become look-up tables."""

CELLS = {"ecp5": (3000, 1500, 4), "ice40": (2200, 2600, 11)}
"""Look-up tables of control and link, those of a PE beside its rows, and block RAMs of the link."""

SIZES = (64, 32, 16, 8, 4, 2, 1)


def fitting(network: EieNetwork, board: Board, pes: int | None) -> EieNetwork:
    """`network` on `pes` PEs of the board or, where `pes` is None, on as many as fit.

    Raises TooLargeError, with what is short and what would fit.
    """
    if pes is not None:
        laid = relaid(network, pes)
        if not (short := needs(laid.geometry, board).short(board)):
            return laid
        raise TooLargeError(f"{pes} PEs do not fit {board.title}: {'; '.join(short)}; {_remedy(network, board)}")
    for count in SIZES:
        laid = relaid(network, count)
        if not needs(laid.geometry, board).short(board):
            return laid
    raise TooLargeError(f"the network does not fit {board.title}: {_smallest(network, board)}")


def _remedy(network: EieNetwork, board: Board) -> str:
    fits = next((n for n in SIZES if not needs(relaid(network, n).geometry, board).short(board)), None)
    if fits is None:
        return f"no number of PEs fits, as the network needs {_smallest(network, board)}"
    return f"{fits} would fit (--pes {fits})"


def _smallest(network: EieNetwork, board: Board) -> str:
    """What is short with the number of PEs that lacks least."""
    shorts = [needs(relaid(network, count).geometry, board).short(board) for count in SIZES]
    least = min(shorts, key=len)
    return "; ".join(least)
