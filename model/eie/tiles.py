"""Several neighbouring positions of a convolution in one start.

A convolution that is started once for each position broadcasts each value once for every window that sees it, fills the
pipeline anew each time, and has few rows to share among the PEs. So a start computes a tile of positions: its matrix
has the kernel once for each of them, moved to the values that the position sees.

                      values that the tile sees
                      a b c .      position 0
    1 x 2 tiles of    . a b c      position 1
    the kernel a b c

The array sees a matrix like any other, and every sum has its terms in the same order: outputs do not change in any bit.
The price is memory: the kernel is stored once for each position of a tile.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.core import Windows
from zeroskip.model.network.stages import ConvStage, Stage, seen_by

MOST_VALUES = 1024
"""Inputs, and outputs, that a tile of more than one position may have: the activation files of most networks are that
large anyway."""

MOST_APART = 256
"""Inputs that a tile may have where its windows do not overlap: then it only saves filling the pipeline, about 20
cycles. Where there are gaps between the windows, positions are not put together at all: what lies in the gaps would be
broadcast for nothing."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The tiles of a convolution of `channels` input channels, in all its groups."""

    windows: Windows
    channels: int

    @staticmethod
    def of(stage: ConvStage) -> Grid:
        windows = Windows(size=stage.out_size, kernel=stage.kernel, stride=stage.stride)
        return Grid(windows=windows, channels=stage.channels)

    def seen_by(self, tile: tuple[int, int]) -> tuple[int, int]:
        """Height and width of what a tile sees."""
        return seen_by(tile, self.windows.kernel, self.windows.stride)

    def tile(self, outputs: int, positions: int, values: int = MOST_VALUES) -> tuple[int, int]:
        """The tile of the most positions, at most `positions`, that sees and gives at most `values` values; of equal
        ones that which sees the fewest. A single position may always be computed by itself."""
        rows, columns = self.windows.size
        overlap = any(kernel > stride for kernel, stride in zip(self.windows.kernel, self.windows.stride, strict=True))
        most_inputs = values if overlap else min(values, MOST_APART)
        gaps = [stride > kernel for kernel, stride in zip(self.windows.kernel, self.windows.stride, strict=True)]
        downs, acrosses = ([1] if gap else _divisors(size) for gap, size in zip(gaps, (rows, columns), strict=True))
        tiles = [(down, across) for down in downs for across in acrosses]
        possible = [
            tile
            for tile in tiles
            if math.prod(tile) <= positions
            and self.channels * math.prod(self.seen_by(tile)) <= most_inputs
            and outputs * math.prod(tile) <= values
        ]
        return max(possible, key=lambda tile: (math.prod(tile), -math.prod(self.seen_by(tile))), default=(1, 1))

    def matrix(self, operation: NDArray[Any], tile: tuple[int, int]) -> NDArray[Any]:
        """The matrix of a tile (positions * outputs x values that it sees) from that of a position (outputs x values of
        a window)."""
        outputs, (high, wide), (down, across) = len(operation), self.windows.kernel, self.windows.stride
        weights = operation.reshape(outputs, self.channels, high, wide)
        matrix = np.zeros((*tile, outputs, self.channels, *self.seen_by(tile)), operation.dtype)
        for row in range(tile[0]):
            for column in range(tile[1]):
                top, left = row * down, column * across
                matrix[row, column, :, :, top : top + high, left : left + wide] = weights
        return matrix.reshape(math.prod(tile) * outputs, -1)

    def operation(self, matrix: NDArray[Any], tile: tuple[int, int]) -> NDArray[Any]:
        """The inverse of `matrix`: what its first position computes."""
        outputs, (high, wide) = len(matrix) // math.prod(tile), self.windows.kernel
        seen = matrix[:outputs].reshape(outputs, self.channels, *self.seen_by(tile))
        return seen[:, :, :high, :wide].reshape(outputs, -1)

    def rows(self, rows: NDArray[Any], tile: tuple[int, int]) -> NDArray[Any]:
        """What each tile sees (tiles x values), from what each position sees (positions of all images x values of a
        window). There must be no gaps between the windows of a tile."""
        (down, across), (high, wide) = self.windows.size, self.windows.kernel
        by_tile = rows.reshape(-1, down // tile[0], tile[0], across // tile[1], tile[1], self.channels, high, wide)
        images, tiles_down, _, tiles_across = by_tile.shape[:4]
        seen = np.zeros((images, tiles_down, tiles_across, self.channels, *self.seen_by(tile)), rows.dtype)
        for row in range(tile[0]):
            for column in range(tile[1]):
                top, left = row * self.windows.stride[0], column * self.windows.stride[1]
                seen[..., top : top + high, left : left + wide] = by_tile[:, :, row, :, column]
        return seen.reshape(images * tiles_down * tiles_across, -1)


def in_tiles(
    stages: Sequence[Stage],
    codes: Sequence[NDArray[np.uint8]],
    biases: Sequence[bool],
    positions: int,
    values: int = MOST_VALUES,
) -> tuple[tuple[Stage, ...], list[NDArray[np.uint8]]]:
    """`stages` whose convolutions compute at most `positions` positions in a start, with the codes of their matrices.

    `codes` (uint8, outputs x columns) are those of a position of each layer; a layer of `biases` has a last column for
    its bias.
    """
    moved, matrices = [], list(codes)
    for stage in stages:
        if isinstance(stage, ConvStage):
            index, matrix = stage.layer, codes[stage.layer]
            weights = matrix[:, : matrix.shape[1] - biases[index]]
            grid = Grid.of(stage)
            # Windows with gaps are not put together, as the searches count them.
            tile = grid.tile(len(matrix), positions, values) if stage.dilation == (1, 1) else (1, 1)
            bias = np.tile(matrix[:, weights.shape[1] :], (math.prod(tile), 1))
            matrices[index] = np.concatenate((grid.matrix(weights, tile), bias), axis=1)
            stage = dataclasses.replace(stage, tile=tile)
        moved.append(stage)
    return tuple(moved), matrices


def of_one_position(stage: Stage, matrix: NDArray[Any]) -> NDArray[Any]:
    """The matrix of a position (outputs x columns, with that of a bias) from that of a start. Raises ValueError where
    the positions of a tile are not alike."""
    if not isinstance(stage, ConvStage) or stage.together == 1:
        return matrix
    grid, outputs = Grid.of(stage), len(matrix) // stage.together
    weights, bias = matrix[:, : stage.tile_inputs], matrix[:, stage.tile_inputs :]
    operation = grid.operation(weights, stage.tile)
    alike = np.array_equal(grid.matrix(operation, stage.tile), weights)
    if not alike or not np.array_equal(np.tile(bias[:outputs], (stage.together, 1)), bias):
        raise ValueError(f"the {stage.together} positions of a tile must have the same weights")
    return np.concatenate((operation, bias[:outputs]), axis=1)


def one_by_one(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """`stages` whose convolutions compute one position in a start."""
    return tuple(dataclasses.replace(one, tile=(1, 1)) if isinstance(one, ConvStage) else one for one in stages)


def _divisors(number: int) -> list[int]:
    return [part for part in range(1, number + 1) if number % part == 0]
