"""Whether a mapping unit fits a board, and the memories that it then has."""

from __future__ import annotations

from zeroskip.fpga.bitstream.fit import LINK_RAMS, Needs, TooLargeError, block_rams, larger_board
from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
from zeroskip.rtl.mapping.layouts import triples_layout, word_layout

FIXED_LUTS = 2500
"""Look-up tables of the link and of what the unit has once."""

KEY_LUTS = {1: 3600, 2: 3900, 4: 3900, 8: 4700, 16: 5000, 32: 5600}
"""Look-up tables for each key that is merged in a cycle, by the width, up to the widest that a link takes: the
comparators grow with the logarithm of the width."""

KEY_MULTIPLIERS = 3
"""Multipliers for each key: the squares of three coordinates, for distances."""

OFFSETS = 128
"""Offsets of the table: those of a kernel of 5 x 5 x 5, and some more."""

FEWEST_WORDS = 64


def needs(geometry: LinkedMapperGeometry, board: Board) -> Needs:
    """Estimates a unit's cells on the board."""
    family = board.family
    rams = 2 * block_rams(geometry.words, word_layout(geometry).size, family)
    rams += block_rams(geometry.triple_words, triples_layout(geometry)["values"].width, family)
    return Needs(
        luts=FIXED_LUTS + geometry.width * KEY_LUTS[geometry.width],
        block_rams=rams + LINK_RAMS[family],
        multipliers=geometry.width * KEY_MULTIPLIERS,
    )


def fitting(board: Board, width: int) -> LinkedMapperGeometry:
    """A unit that merges `width` keys a cycle, a power of two, with memories that fill the board's block RAMs: keys may
    take three fifths, and triples what is left.

    Raises TooLargeError, with what is short and what would fit.
    """
    if width not in KEY_LUTS:
        raise TooLargeError(f"width must be at most {max(KEY_LUTS)} on a board, not {width}: {_remedy(board)}")
    if found := _fitted(board, width):
        return found
    short = needs(_sized(width, FEWEST_WORDS, FEWEST_WORDS), board).short(board)
    raise TooLargeError(f"a unit of width {width} does not fit {board.title}: {'; '.join(short)}; {_remedy(board)}")


def _remedy(board: Board) -> str:
    fits = next((width for width in sorted(KEY_LUTS, reverse=True) if _fitted(board, width)), None)
    if fits is not None:
        return f"{fits} would fit (--width {fits})"
    smallest = _sized(min(KEY_LUTS), FEWEST_WORDS, FEWEST_WORDS)
    return f"no unit fits; {larger_board(lambda other: needs(smallest, other))}"


def _fitted(board: Board, width: int) -> LinkedMapperGeometry | None:
    if needs(_sized(width, FEWEST_WORDS, FEWEST_WORDS), board).short(board):
        return None
    rams = board.device.block_rams - LINK_RAMS[board.family]
    words = triple_words = FEWEST_WORDS
    while needs(_sized(width, 2 * words, triple_words), board).block_rams - LINK_RAMS[board.family] <= 3 * rams // 5:
        words *= 2
    while not needs(_sized(width, words, 2 * triple_words), board).short(board):
        triple_words *= 2
    return _sized(width, words, triple_words)


def _sized(width: int, words: int, triple_words: int) -> LinkedMapperGeometry:
    """Indices name as many points as the memory has keys."""
    return LinkedMapperGeometry(
        width=width,
        words=words,
        index_bits=max(1, (words * width - 1).bit_length()),
        offsets=OFFSETS,
        triple_words=triple_words,
    )
