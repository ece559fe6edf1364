"""Vectors of a sparse network in int8, for hardware: the coordinates, maps, operands and results of every layer, as
torch computes them.

Layer n takes the voxels `coords[n]` with the features `feats[n]`, and gives `coords[n + 1]` and `feats[n + 1]`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeroskip.model.sparseconv.int8 import Requantisation
from zeroskip.model.sparseconv.int8_layers import QuantisedConv
from zeroskip.model.sparseconv.maps import KernelGeometry, KernelMap
from zeroskip.model.sparseconv.tensor import SparseTensor

SAME, FLOORED, LISTED = "same", "floored", "listed"
"""Where a layer's outputs are: at its inputs; at floor(inputs / stride), each once, which the mapping unit finds where
strides are powers of two; or at coordinates that the host lists."""

OUTPUTS = (SAME, FLOORED, LISTED)

PATTERNS = ("dense", "2:4")
"""The patterns of weights that the tile takes in int8."""


@dataclass(frozen=True, kw_only=True)
class VectorGeometry:
    """Sizes of a network's inputs: `axes` of the coordinates, and `channels` of the features."""

    axes: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class VectorLayer:
    """One layer: channels; size, stride and dilation of the kernel, and the offset of its first element, a number for
    each axis (zeroskip.model.sparseconv.kernel); where its `outputs` are (OUTPUTS); the N:M `pattern` of its weights
    ("dense", "2:4"); and its requantisation."""

    in_channels: int
    out_channels: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    first: tuple[int, ...]
    outputs: str
    pattern: str
    multiplier: int
    shift: int
    relu: bool

    @property
    def volume(self) -> int:
        """The number of elements of the kernel."""
        return prod(self.size)

    def offsets(self) -> NDArray[np.int64]:
        """The offset of each element (volume x axes), in steps of the inputs."""
        kernel = KernelGeometry(size=self.size, stride=self.stride, dilation=self.dilation, first=self.first)
        return np.array(kernel.offsets(), np.int64).reshape(self.volume, len(self.size))

    def places(self, coords: NDArray[np.int32]) -> NDArray[np.int64]:
        """Coordinates of outputs (n x (1 + axes)) in steps of the inputs."""
        return coords.astype(np.int64) * (1, *self.stride)

    @property
    def requantisation(self) -> Requantisation:
        """From sums to int8. Raises ValueError for wrong numbers."""
        return Requantisation(multiplier=self.multiplier, shift=self.shift, relu=self.relu)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerVectors:
    """The numbers of one layer.

    `kernel` (int8, volume x in x out) and `bias` (int32, out). `triples` (int32, pairs x 3): element, input row, output
    row, by element, then by output. `rows` (int8, pairs x in) are the features of each pair's input, `products` (int32,
    pairs x out) these by the weights of the pair's element. `sums` (int32, outputs x out): the bias and the products of
    each output; they wrap.
    """

    kernel: NDArray[np.int8]
    bias: NDArray[np.int32]
    triples: NDArray[np.int32]
    rows: NDArray[np.int8]
    products: NDArray[np.int32]
    sums: NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseVectors:
    """All layers of a network on one input: `coords` (int32, voxels x (1 + axes), the batch index first, in steps of
    their own level) and `feats` (int8, voxels x channels), each one more than there are layers."""

    geometry: VectorGeometry
    layers: tuple[VectorLayer, ...]
    coords: tuple[NDArray[np.int32], ...]
    feats: tuple[NDArray[np.int8], ...]
    vectors: tuple[LayerVectors, ...]


TENSORS = tuple(field.name for field in dataclasses.fields(LayerVectors))


def make_vectors(layers: Iterable[QuantisedConv], input: SparseTensor) -> SparseVectors:
    """Runs int8 layers, one after the other, and keeps what hardware is compared with. Sums and outputs are those of
    the layers themselves.

    Raises TypeError unless the features are int8, ValueError where there is no layer, or one with another pattern than
    PATTERNS.
    """
    chain = list(layers)
    if not chain:
        raise ValueError("layers must have at least one layer")
    for layer in chain:
        if str(layer.pattern) not in PATTERNS:
            raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, not {layer.pattern}")
    rows, vectors = [], []
    tensors = [input]
    for layer in chain:
        here = tensors[-1]
        sums = layer.sums(here)
        kmap = layer.find_map(here)
        rows.append(_row(layer, kmap))
        vectors.append(_numbers(layer, kmap, here, sums))
        tensors.append(layer(here))
    return SparseVectors(
        geometry=VectorGeometry(axes=input.ndim, channels=int(input.feats.shape[1])),
        layers=tuple(rows),
        coords=tuple(_array(tensor.coords) for tensor in tensors),
        feats=tuple(_array(tensor.feats) for tensor in tensors),
        vectors=tuple(vectors),
    )


def floored(coords: NDArray[np.int32], stride: tuple[int, ...]) -> NDArray[np.int64]:
    """floor(coordinates / stride), each once, sorted."""
    return np.unique(coords.astype(np.int64) // (1, *stride), axis=0)


def _row(layer: QuantisedConv, kmap: KernelMap) -> VectorLayer:
    kernel = kmap.geometry
    before, after = _array(kmap.in_coords), _array(kmap.out_coords)
    outputs = FLOORED if np.array_equal(floored(before, kernel.stride), after) else LISTED
    if set(kernel.stride) == {1} and np.array_equal(before, after):
        outputs = SAME
    return VectorLayer(
        in_channels=int(layer.kernel.shape[1]),
        out_channels=int(layer.kernel.shape[2]),
        size=kernel.size,
        stride=kernel.stride,
        dilation=kernel.dilation,
        first=kernel.first,
        outputs=outputs,
        pattern=str(layer.pattern),
        multiplier=layer.requantisation.multiplier,
        shift=layer.requantisation.shift,
        relu=layer.requantisation.relu,
    )


def _numbers(layer: QuantisedConv, kmap: KernelMap, input: SparseTensor, sums: SparseTensor) -> LayerVectors:
    element = torch.repeat_interleave(torch.arange(kmap.volume), torch.tensor(kmap.sizes))
    rows = input.feats[kmap.inputs.long()]
    products = torch.cat(
        [
            rows[start:stop].int() @ layer.kernel[number].int()
            for number, (start, stop) in enumerate(zip(kmap.starts, kmap.starts[1:], strict=False))
        ]
    )
    return LayerVectors(
        kernel=_array(layer.kernel),
        bias=_array(layer.bias),
        triples=_array(torch.stack([element.int(), kmap.inputs, kmap.outputs], dim=1)),
        rows=_array(rows),
        products=_array(products),
        sums=_array(sums.feats),
    )


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(tensor.detach().cpu().numpy())
