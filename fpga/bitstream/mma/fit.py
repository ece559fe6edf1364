"""Whether an N:M tile fits a board."""

from __future__ import annotations

import dataclasses
import itertools

from zeroskip.fpga.bitstream.fit import LINK_RAMS, SHAPES, Needs, TooLargeError, block_rams, larger_board
from zeroskip.fpga.boards.board import Board
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.layouts import a_row_layout, results_layout, window_layout

FIXED_LUTS = {"ecp5": 2350, "ice40": 3500, "gowin": 2000}
"""Look-up tables of the link and of what the tile has once; on the iCE40, many flip-flops take a place alone."""

UNIT_LUTS = 600
"""Look-up tables of a dot-product unit beside its products."""

PRODUCT_LUTS = {"fp16": 445, "bf16": 335, "tf32": 345}
"""Look-up tables of a product, by the format of A and B: selecting, aligning and adding it."""


def needs(geometry: TileGeometry, board: Board) -> Needs:
    """Estimates a tile's cells on the board. The format of A and B is one that networks have (PRODUCT_LUTS)."""
    family, units = board.family, geometry.m * geometry.n
    rams = sum(_memory_rams(geometry, family).values())
    return Needs(
        luts=FIXED_LUTS[family] + units * (UNIT_LUTS + PRODUCT_LUTS[geometry.dtype] * geometry.k),
        block_rams=rams + LINK_RAMS[family],
        multipliers=units * geometry.k,
    )


def _memory_rams(geometry: TileGeometry, family: str) -> dict[str, int]:
    """Block RAMs of the memories, by the field that tells their words: a bank of A and D for each row of the tile, one
    of B for each column."""
    return {
        "a_words": geometry.m * block_rams(geometry.a_words, a_row_layout(geometry).size, family),
        "b_words": geometry.n * block_rams(geometry.b_words, window_layout(geometry).elem_shape.size, family),
        "d_words": geometry.m * block_rams(geometry.d_words, results_layout(geometry).elem_shape.size, family),
    }


def shrunk(geometry: TileGeometry, board: Board) -> TileGeometry:
    """The tile with memories that fit the board's block RAMs: as long as they do not, the one that takes most is
    halved, down to the words below which nothing is saved."""
    family = board.family
    fewest = SHAPES[family][0][0]
    while needs(geometry, board).block_rams > board.device.block_rams:
        rams = _memory_rams(geometry, family)
        longer = [field for field in rams if getattr(geometry, field) > fewest]
        if not longer:
            break
        largest = max(longer, key=rams.__getitem__)
        half = max(fewest, getattr(geometry, largest) // 2)
        geometry = dataclasses.replace(geometry, **{largest: half})
    return geometry


def fitting(network: MmaNetwork, board: Board, pes: int | None) -> MmaNetwork:
    """`network` for a tile whose memories fit the board: products are cut into more jobs, with the same bits.

    Raises ValueError unless `pes` is None, and TooLargeError, with what is short and what would fit.
    """
    if pes is not None:
        raise ValueError(
            f"pes must be auto for a network for the N:M tile, which has no PEs, not {pes}; the tile's size is that of "
            "`zeroskip compile --core mma --m ROWS --n COLUMNS`"
        )
    geometry = shrunk(network.geometry, board)
    if short := needs(geometry, board).short(board):
        raise TooLargeError(
            f"a tile of {size(geometry)} does not fit {board.title}: {'; '.join(short)}; {_remedy(geometry, board)}"
        )
    return dataclasses.replace(network, geometry=geometry)


def size(geometry: TileGeometry) -> str:
    """Rows, columns and products of a unit, and the numbers' format."""
    return f"{geometry.m} x {geometry.n} x {geometry.k} ({geometry.generation}, {geometry.dtype})"


def _remedy(geometry: TileGeometry, board: Board) -> str:
    shapes = itertools.product(_halves(geometry.m), _halves(geometry.n))
    # The largest first, and of two alike the one that is more of a square.
    for m, n in sorted(shapes, key=lambda shape: (-shape[0] * shape[1], max(shape), shape)):
        smaller = dataclasses.replace(geometry, m=m, n=n)
        if not needs(shrunk(smaller, board), board).short(board):
            return f"{m} x {n} would fit (zeroskip compile --core mma --m {m} --n {n})"
    larger = larger_board(lambda other: needs(shrunk(geometry, other), other))
    return f"no tile with the {geometry.k} products of {geometry.generation} in {geometry.dtype} fits; {larger}"


def _halves(count: int) -> list[int]:
    return [count >> shift for shift in range(count.bit_length())]
