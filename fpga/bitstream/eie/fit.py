"""Whether an EIE array fits a board."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zeroskip.fpga.bitstream.fit import Needs, TooLargeError, block_rams, larger_board
from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.sram import DEPTH, LUT_RAM_DEPTH, WIDE, WORD
from zeroskip.model.bits import bits_for
from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import COLUMNS_AHEAD, VALUE_BITS, EieGeometry
from zeroskip.model.eie.lay_out import MOST_ROWS, relaid
from zeroskip.rtl.eie.layouts import column_layout, layer_layout

FILE_BITS = 2048
"""Activation files of fewer bits become look-up tables on a Gowin. On an ECP5 those up to LUT_RAM_DEPTH rows do, on an
iCE40 none."""

CODEBOOK_RAMS = {"ecp5": 0, "ice40": 1, "gowin": 0}
"""Block RAMs of a PE's codebook, which is a memory of look-up tables elsewhere."""

LINK_RAMS = {"ecp5": 4, "ice40": 11, "gowin": 4}
"""Block RAMs of the link."""

LUTS = {"ecp5": (3020, 1110), "ice40": (3253, 1165), "gowin": (3230, 2185)}
"""Look-up tables of control and link, and those of a PE beside its rows. On the iCE40, flip-flops take places of their
own.

Those of the ECP5 and the iCE40 were fitted to designs of 1 to 16 PEs that were synthesised and packed
(docs/measured/fpga-cells-eie.json), and are within 10 % of each. As place and route fills USABLE of an ECP5, an array
that takes less than 81 % of it is not refused, and one that takes more than all of it is not accepted. Those of the
Gowin rest on three designs of one and two PEs, which were placed too: its packer alone counts more cells.
"""

ROW_LUTS = {"ecp5": 1.66, "ice40": 11.5, "gowin": 3.23}
"""Look-up tables of a row of a PE's activation files."""

WORD_LUTS = {"ecp5": 0, "ice40": 17, "gowin": 0}
"""Look-up tables of a PE for each bit of the number of a word. Elsewhere they are within the error of the others; an
iCE40UP5K is full to the last 1 % with one PE: builds of 256 words took 35 more than those of 64."""

IN_LUTS = (860, 14.8)
"""Look-up tables of a PE beside its rows, and of a row, on an ECP5 where the files are LUT RAM."""

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
    rams += CODEBOOK_RAMS[family]
    shared = LINK_RAMS[family]
    if family == "ice40":
        rams += block_rams(geometry.queue_places, column_layout(geometry).size, family)
        shared += sum(block_rams(depth, width, family) for depth, width in _control_stores(geometry))
    fixed_luts, pe_luts = LUTS[family]
    row_luts = ROW_LUTS[family]
    if _files_are_block_ram(geometry, family):
        rams += 2 * block_rams(geometry.activation_rows, geometry.accumulator_bits, family)
    elif family == "ecp5":
        pe_luts, row_luts = IN_LUTS
    pe_luts += WORD_LUTS[family] * bits_for(geometry.entry_words)
    return Needs(
        luts=int(fixed_luts + pes * (pe_luts + row_luts * geometry.activation_rows)),
        block_rams=pes * rams + shared,
        multipliers=pes,
        single_port_rams=single * pes,
    )


def _files_are_block_ram(geometry: EieGeometry, family: str) -> bool:
    rows = geometry.activation_rows
    bits = rows * geometry.accumulator_bits
    return {"ecp5": rows > LUT_RAM_DEPTH, "ice40": True, "gowin": bits >= FILE_BITS}[family]


def _control_stores(geometry: EieGeometry) -> list[tuple[int, int]]:
    """The small memories (WordStore) of the control unit, as (depth, width)."""
    pointer = bits_for(geometry.pointers) + 1
    return [(COLUMNS_AHEAD, VALUE_BITS), (COLUMNS_AHEAD, pointer), (geometry.layers, layer_layout(geometry).size)]


def fitting(network: EieNetwork, board: Board, pes: int | None) -> EieNetwork:
    """`network` on `pes` PEs of the board or, where `pes` is None, on that number of PEs that fits and takes the fewest
    cycles.

    Raises ValueError where `pes` is no power of two from 1 to 256, and TooLargeError, with what is short and what would
    fit.
    """
    if pes is None:
        if fitting_ones := list(_fitting(network, board)):
            return min(fitting_ones, key=_cycles)
        raise TooLargeError(f"the network does not fit {board.title}: {_least(network, board)}")
    if _holds(network, pes):
        laid = _laid(network, board, pes)
        short = needs(laid.geometry, board).short(board)
        if not short:
            return laid
    else:
        has, needed = pes * MOST_ROWS, _widest(network)
        short = [f"{needed:,} inputs or outputs of a layer for {has:,}, {needed - has:,} too few"]
    fits = next(_fitting(network, board), None)
    remedy = _least(network, board) if fits is None else f"{fits.geometry.pes} would fit (--pes {fits.geometry.pes})"
    raise TooLargeError(f"{_counted(pes, 'do', 'does')} not fit {board.title}: {'; '.join(short)}; {remedy}")


def _widest(network: EieNetwork) -> int:
    return max(max(layer.inputs, layer.outputs) for layer in network.layers)


def _holds(network: EieNetwork, pes: int) -> bool:
    """Whether the activation files of `pes` PEs can hold every layer."""
    return _widest(network) <= pes * MOST_ROWS


def _fitting(network: EieNetwork, board: Board) -> Iterator[EieNetwork]:
    """The network on each number of PEs that fits, the largest first."""
    for count in SIZES:
        if _holds(network, count):
            laid = _laid(network, board, count)
            if not needs(laid.geometry, board).short(board):
                yield laid


def _cycles(network: EieNetwork) -> int:
    """From `start` to `done` of an image, for random inputs without zeros: where a large array leaves room for fewer
    positions in a start of a convolution, a smaller one may take less."""
    highest = min(32767, max(1, round(2.0 ** network.layers[0].input_fraction)))
    inputs = np.random.default_rng(0).integers(1, highest, (1, network.inputs), np.int16, endpoint=True)
    runs = golden.run(network, inputs)
    taken = int(cycles.run(network, [run.inputs for run in runs]).sum())
    return taken + cycles.START_TO_DONE * network.starts_per_image


def _laid(network: EieNetwork, board: Board, pes: int) -> EieNetwork:
    """The network on `pes` PEs, whose convolutions compute as many positions in a start as fit: half as many, and half
    of these, where they do not. With one, it is what needs the least."""
    laid = relaid(network, pes)
    positions = max(network.together) // 2
    while positions and needs(laid.geometry, board).short(board):
        laid = relaid(network, pes, positions=positions)
        positions //= 2
    return laid


def _least(network: EieNetwork, board: Board) -> str:
    """What is short with the number of PEs that lacks least, where none fits."""
    geometries = [_laid(network, board, count).geometry for count in SIZES if _holds(network, count)]
    least = min(geometries, key=lambda geometry: needs(geometry, board).part(board))
    short = "; ".join(needs(least, board).short(board))
    larger = larger_board(lambda other: needs(least, other))
    return f"no number of PEs fits; {_counted(least.pes, 'lack', 'lacks')} least: {short}; {larger}"


def _counted(pes: int, many: str, one: str) -> str:
    return f"1 PE {one}" if pes == 1 else f"{pes} PEs {many}"
