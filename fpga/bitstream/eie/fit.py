"""Whether an EIE array fits a board."""

from __future__ import annotations

from zeroskip.fpga.bitstream.fit import Needs, TooLargeError, block_rams
from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.sram import DEPTH, WIDE, WORD
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.relay import relaid

FILE_BITS = {"ecp5": 2048, "ice40": 0, "gowin": 2048}
"""Activation files of fewer bits become look-up tables, where the device can make memories of those."""

QUEUE_RAMS = {"ecp5": 0, "ice40": 1, "gowin": 0}
"""Block RAMs of what is a memory of look-up tables elsewhere."""

LINK_RAMS = {"ecp5": 4, "ice40": 11, "gowin": 4}
"""Block RAMs of the link."""

LUTS = {"ecp5": (3000, 1170), "ice40": (4600, 2000), "gowin": (3700, 1450)}
"""Look-up tables of control and link, and those of a PE beside its rows. On the iCE40, flip-flops take places of their
own.

Those of the ECP5 and the iCE40 were fitted to designs of 1 to 16 PEs that were synthesised and packed
(docs/measured/fpga-cells-eie.json), and are within 10 % of each. As place and route fills USABLE of an ECP5, an array
that takes less than 81 % of it is not refused, and one that takes more than all of it is not accepted. Those of the
Gowin rest on one build, of one PE (docs/measured/fpga-build-tangnano20k-1.json).
"""

ROW_LUTS = {"ecp5": 1.75, "ice40": 2.3, "gowin": 6}
"""Look-up tables of a row of a PE's activation files."""

SIZES = (64, 32, 16, 8, 4, 2, 1)


def needs(geometry: EieGeometry, board: Board) -> Needs:
    """Estimates an array's cells on the board."""
    family, pes = board.family, geometry.pes
    single = 0
    rams = 2 * block_rams(-(-geometry.pointers // 2), geometry.pointer_bits, family)
    if board.device.single_port_rams and geometry.word_bits > WIDE and geometry.entry_words <= DEPTH:
        single = -(-geometry.word_bits // WORD)
    else:
        rams += block_rams(geometry.entry_words, geometry.word_bits, family)
    rams += QUEUE_RAMS[family]
    if geometry.activation_rows * geometry.accumulator_bits >= FILE_BITS[family]:
        rams += 2 * block_rams(geometry.activation_rows, geometry.accumulator_bits, family)
    fixed_luts, pe_luts = LUTS[family]
    return Needs(
        luts=int(fixed_luts + pes * (pe_luts + ROW_LUTS[family] * geometry.activation_rows)),
        block_rams=pes * rams + LINK_RAMS[family],
        multipliers=pes,
        single_port_rams=single * pes,
    )


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
