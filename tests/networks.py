"""Random networks, straight from codes and codebooks, for the tests of what runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.compiler.eie import MEMORIES
from model.formats.bundle import EieLayer, EieNetwork, assemble, fitted
from model.formats.geometry import EieGeometry


def random_network(
    rng: np.random.Generator,
    geometry: EieGeometry,
    sizes: Sequence[int],
    density: float,
    *,
    bias: bool = True,
    shift: int = 8,
    magnitude: int = 3000,
) -> EieNetwork:
    """Layers `sizes[0] -> sizes[1] -> ...` with ReLU between them, in memories as large as they need."""
    count = len(sizes) - 1
    table = tuple(
        EieLayer(
            inputs=sizes[index],
            outputs=sizes[index + 1],
            relu=index < count - 1,
            bias=bias,
            input_fraction=8,
            weight_fraction=shift + geometry.product_shift,
            output_fraction=8,
        )
        for index in range(count)
    )
    codes = []
    for layer in table:
        shape = (layer.outputs, layer.columns)
        kept = rng.random(shape) < density
        codes.append((rng.integers(1, geometry.codebook_size, shape) * kept).astype(np.uint8))
    codebooks = rng.integers(-magnitude, magnitude + 1, (count, geometry.codebook_size)).astype(np.int16)
    codebooks[:, 0] = 0
    roomy = dataclasses.replace(geometry, entry_words=1 << 16, pointers=1 << 16, activation_rows=1 << 14, layers=64)
    network = assemble(roomy, table, codes, codebooks, rng.permutation(sizes[-1]).astype(np.uint32))
    return dataclasses.replace(network, geometry=fitted(geometry, table, network.pointers, MEMORIES))


def random_inputs(
    rng: np.random.Generator, images: int, inputs: int, densities: Sequence[float], magnitude: int = 3000
) -> NDArray[np.int16]:
    """A batch whose images take the densities in turn."""
    kept = rng.random((images, inputs)) < np.resize(densities, images)[:, None]
    return (rng.integers(-magnitude, magnitude + 1, (images, inputs)) * kept).astype(np.int16)
