"""The matrices of a network, laid out in the memories of an array."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieLayer, EieNetwork, FitError, assemble, fitted
from zeroskip.model.eie.format import decode
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.tiles import MOST_VALUES, in_tiles, one_by_one
from zeroskip.model.network.stages import Stage

MOST_ROWS = 1 << 16
"""The most rows of a PE's activation files."""

_ROOMY = {"entry_words": 1 << 24, "pointers": 1 << 24, "activation_rows": MOST_ROWS, "layers": 256}


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrices:
    """A network without the sizes of an array: the fields of EieNetwork, with `codes` (uint8, outputs x columns) in
    place of memory images."""

    layers: tuple[EieLayer, ...]
    codes: tuple[NDArray[np.uint8], ...]
    codebooks: NDArray[np.int16]
    stages: tuple[Stage, ...]
    order: NDArray[np.uint32] | None
    fractions: NDArray[np.int32] | None
    tables: NDArray[np.int16] | None = None

    def with_codes(self, codes: Sequence[NDArray[np.uint8]], stages: tuple[Stage, ...]) -> Matrices:
        """The same layers with other matrices."""
        layers = tuple(
            dataclasses.replace(layer, inputs=matrix.shape[1] - layer.bias, outputs=matrix.shape[0])
            for layer, matrix in zip(self.layers, codes, strict=True)
        )
        return dataclasses.replace(self, layers=layers, codes=tuple(codes), stages=stages)


def lay_out(matrices: Matrices, geometry: EieGeometry, *, fit: Sequence[str], positions: int) -> EieNetwork:
    """The network, whose `matrices` compute one position of a convolution, in the memories of `geometry`; those named
    in `fit` are as large as it needs, to the next power of two.

    A convolution computes up to `positions` positions in a start, fewer where another memory would be too small. Raises
    FitError where it is too small for single positions, and ValueError where `positions` is less than 1.
    """
    if positions < 1:
        raise ValueError(f"positions must be at least 1, not {positions}")
    values = MOST_VALUES if "activation_rows" in fit else min(MOST_VALUES, geometry.activations)
    biases = [layer.bias for layer in matrices.layers]
    while True:
        stages, codes = in_tiles(matrices.stages, matrices.codes, biases, positions, values)
        try:
            return _in_memories(matrices.with_codes(codes, stages), geometry, fit)
        except FitError:
            if positions == 1:
                raise
            positions //= 2


def relaid(network: EieNetwork, pes: int, *, fit: Sequence[str] = MEMORIES, positions: int | None = None) -> EieNetwork:
    """`network` on `pes` PEs: the same weights in the same order, and so the same outputs, bit for bit. The memories
    named in `fit` are as large as it then needs, to the next power of two; the others keep their sizes. Convolutions
    compute up to `positions` positions in a start, as many as in `network` where it is None.

    Raises ValueError where `pes` is no power of two from 1 to 256, and FitError where a memory that keeps its size is
    too small.
    """
    geometry = dataclasses.replace(network.geometry, pes=pes, **{field: _ROOMY[field] for field in fit})
    matrices = Matrices(
        layers=network.layers,
        codes=tuple(decode(network.columns(index), network.geometry) for index in range(len(network.layers))),
        codebooks=network.codebooks,
        stages=network.stages,
        order=network.order,
        fractions=network.fractions,
        tables=network.tables,
    )
    if positions is None:
        laid = _in_memories(matrices, geometry, fit)
    else:
        single = [network.position_codes(index) for index in range(len(network.layers))]
        laid = lay_out(matrices.with_codes(single, one_by_one(network.stages)), geometry, fit=fit, positions=positions)
    return dataclasses.replace(laid, samples=network.samples)


def _in_memories(matrices: Matrices, geometry: EieGeometry, fit: Sequence[str]) -> EieNetwork:
    """Raises FitError where a memory that is not in `fit` is too small."""
    # The words do not depend on the memory sizes: assemble them in large enough memories, then fit these.
    roomy = dataclasses.replace(geometry, **{field: _ROOMY[field] for field in fit})
    network = assemble(
        roomy,
        matrices.layers,
        list(matrices.codes),
        matrices.codebooks,
        matrices.stages,
        matrices.order,
        matrices.fractions,
        matrices.tables,
    )
    return dataclasses.replace(network, geometry=fitted(geometry, matrices.layers, network.pointers, fit))
