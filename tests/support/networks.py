"""Random networks, straight from codes and codebooks, for the tests of what runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieLayer, EieNetwork, assemble, fitted
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.network.stages import ConvStage, LinearStage, MaxPoolStage, Stage


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
    roomy = dataclasses.replace(geometry, entry_words=1 << 20, pointers=1 << 16, activation_rows=1 << 14, layers=64)
    network = assemble(roomy, table, codes, codebooks, order=rng.permutation(sizes[-1]).astype(np.uint32))
    return dataclasses.replace(network, geometry=fitted(geometry, table, network.pointers, MEMORIES))


def random_inputs(
    rng: np.random.Generator, images: int, inputs: int, densities: Sequence[float], magnitude: int = 3000
) -> NDArray[np.int16]:
    """A batch whose images take the densities in turn."""
    kept = rng.random((images, inputs)) < np.resize(densities, images)[:, None]
    return (rng.integers(-magnitude, magnitude + 1, (images, inputs)) * kept).astype(np.int16)


def random_conv_network(
    rng: np.random.Generator,
    geometry: EieGeometry,
    stages: Sequence[Stage],
    outputs: Sequence[int],
    density: float,
    *,
    shift: int = 8,
    magnitude: int = 3000,
) -> EieNetwork:
    """A network of `stages`, whose layers have `outputs` each and ReLU, in memories as large as they need."""
    inputs: list[int] = []
    for stage in stages:
        if isinstance(stage, ConvStage):
            inputs.append(stage.patch)
            values = stage.positions * outputs[stage.layer]
        elif isinstance(stage, MaxPoolStage):
            values = stage.positions * stage.channels
        else:
            inputs += [values, *outputs[stage.first : stage.last]]
    table = tuple(
        EieLayer(
            inputs=size,
            outputs=outputs[index],
            relu=True,
            bias=True,
            input_fraction=8,
            weight_fraction=shift + geometry.product_shift,
            output_fraction=8,
        )
        for index, size in enumerate(inputs)
    )
    codes = []
    groups = [getattr(stage, "groups", 1) for stage in stages for _ in stage.layers]
    for layer, split in zip(table, groups, strict=True):
        kept = rng.random((layer.outputs, layer.columns)) < density
        row, column = np.ogrid[: layer.outputs, : layer.inputs]
        kept[:, : layer.inputs] &= row // (layer.outputs // split) == column // (layer.inputs // split)
        codes.append((rng.integers(1, geometry.codebook_size, kept.shape) * kept).astype(np.uint8))
    codebooks = rng.integers(-magnitude, magnitude + 1, (len(table), geometry.codebook_size)).astype(np.int16)
    codebooks[:, 0] = 0
    roomy = dataclasses.replace(geometry, entry_words=1 << 20, pointers=1 << 16, activation_rows=1 << 14, layers=64)
    network = assemble(roomy, table, codes, codebooks, tuple(stages))
    return dataclasses.replace(network, geometry=fitted(geometry, table, network.pointers, MEMORIES))


def small_conv_network(rng: np.random.Generator, geometry: EieGeometry) -> EieNetwork:
    """3x9x8 -> 6x5x8 by a grouped, strided, padded convolution -> pooled -> convolution -> two Linear layers."""
    stages = (
        ConvStage(layer=0, channels=3, height=9, width=8, kernel=(3, 3), stride=(2, 1), padding=(1, 1), groups=3),
        MaxPoolStage(channels=6, height=5, width=8, kernel=(2, 2), stride=(1, 2), padding=(0, 1)),
        ConvStage(layer=1, channels=6, height=4, width=5, kernel=(2, 3), stride=(1, 1), padding=(0, 0)),
        LinearStage(first=2, last=3),
    )
    return random_conv_network(rng, geometry, stages, (6, 7, 20, 5), 0.4)
