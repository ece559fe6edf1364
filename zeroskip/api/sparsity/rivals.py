"""What computes a sparse layer with the same number of multipliers: tiles of several N:M patterns, and the EIE array.

Each gives the exact cycles of its core's cycle model, which every co-simulation holds against the RTL, and the bits of
the weights that it reads from its memory on the way: values, metadata, pointers and padding, each as often as it is
read.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zeroskip.model.eie.cycles import START_TO_DONE, layer_cycles
from zeroskip.model.eie.format import encode
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.lay_out import MOST_ROWS
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern

VECTORS = 8
"""Input vectors that the cycle model of the EIE array runs; each vector of a batch costs their mean."""

ROOMY = 1 << 24
"""Words of memories that are never too small: a layer is one job."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A layer of `density` (kept weights, a fraction) on one rival: `cycles` of the whole batch, and `bits` of weights
    read in them."""

    density: float
    cycles: float
    bits: float


@dataclass(frozen=True, kw_only=True)
class TileRival:
    """The N:M tile in int8, dense where the pattern is. Of the shapes with this number of multipliers, the fastest."""

    pattern: Pattern

    @property
    def name(self) -> str:
        return f"{self.pattern} tile"

    def points(self, size: int, batch: int, multipliers: int) -> Iterator[Point]:
        """Its only density, for a layer of `size` x `size`."""
        shapes = [self._on(shape, size, batch) for shape in _shapes(self.pattern, multipliers)]
        yield min(shapes, key=lambda point: (point.cycles, point.bits))

    def _on(self, geometry: TileGeometry, size: int, batch: int) -> Point:
        steps = -(-size // geometry.window)
        reads = -(-size // geometry.m) * -(-batch // geometry.n) * steps
        word = geometry.m * (geometry.k * geometry.operand.bits + geometry.groups * geometry.pattern.code_bits)
        return Point(
            density=geometry.keep / geometry.group,
            cycles=gemm_cycles(geometry, size, batch, size, dense=self.pattern.dense),
            bits=reads * word,
        )


@dataclass(frozen=True, kw_only=True)
class EieRival:
    """The EIE array, a PE for each multiplier; a fraction `activations` of the inputs is not zero."""

    activations: float
    densities: tuple[float, ...]
    seed: int

    @property
    def name(self) -> str:
        return "EIE, weights" if self.activations == 1 else "EIE, activations too"

    def points(self, size: int, batch: int, multipliers: int) -> Iterator[Point]:
        """Random layers of `size` x `size`, one of each density."""
        for density in self.densities:
            cycles, bits = _of_a_vector(size, multipliers, density, self.activations, self.seed)
            yield Point(density=density, cycles=batch * cycles, bits=batch * bits)


@functools.cache
def _of_a_vector(size: int, pes: int, density: float, activations: float, seed: int) -> tuple[float, float]:
    """Cycles and bits of a random layer for a vector, the means of VECTORS."""
    geometry = EieGeometry(pes=pes, entry_words=ROOMY, pointers=ROOMY, activation_rows=MOST_ROWS, layers=1)
    rng = np.random.default_rng([seed, size, round(density * 1e6)])
    codes = rng.integers(1, 16, (size, size), np.uint8)
    codes[rng.random((size, size), np.float32) >= density] = 0
    inputs = rng.random((VECTORS, size), np.float32) < activations
    columns = encode(codes, geometry)
    cycles = layer_cycles(columns, inputs, geometry, bias=False).mean() + START_TO_DONE
    first, last = columns.pointers[:, :-1], columns.pointers[:, 1:]
    per_word = geometry.entries_per_word
    words = np.where(last > first, (last - 1) // per_word - first // per_word + 1, 0)
    # Two pointers of each column in each PE, and the words that hold its entries.
    read = words.sum(axis=0) * geometry.word_bits + 2 * pes * int(columns.pointers.max()).bit_length()
    return float(cycles), float((inputs @ read).mean())


Rival = TileRival | EieRival


def rivals(patterns: Sequence[Pattern], activations: float, densities: tuple[float, ...], seed: int) -> list[Rival]:
    """The dense tile, tiles of `patterns`, and the EIE array with all `activations` and with a part of them."""
    tiles: list[Rival] = [TileRival(pattern=pattern) for pattern in (Pattern(keep=1, group=1), *patterns)]
    arrays = [EieRival(activations=part, densities=densities, seed=seed) for part in (1.0, activations)]
    return [*tiles, *arrays]


def _shapes(pattern: Pattern, multipliers: int) -> Iterator[TileGeometry]:
    """Tiles of so many multipliers, in all shapes of powers of two with 8 of them in a row or fewer."""
    k = min(8, multipliers)
    rest = multipliers // k
    for m in (1 << bit for bit in range(rest.bit_length())):
        if m <= 64 and rest // m <= 64:
            yield TileGeometry(
                m=m,
                n=rest // m,
                k=k,
                dtype="int8",
                out="int32",
                **dataclasses.asdict(pattern),
                a_words=ROOMY,
                b_words=ROOMY,
                d_words=ROOMY,
            )
