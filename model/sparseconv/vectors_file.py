"""The file of a sparse network's vectors (zeroskip.model.network.container), with core "sparseconv".

The header has the fields `geometry` and `layers`. Tensors are those of SparseVectors, each with the number of its
layer: coords.0, feats.0, kernel.0, bias.0, triples.0, rows.0, products.0, sums.0, coords.1, feats.1, ...
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.model.network.bundle import load_with, require_tensors
from zeroskip.model.network.container import (
    BundleError,
    Container,
    check_tensor,
    dataclass_from_json,
    list_from_json,
    write,
)
from zeroskip.model.network.fields import to_fields
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.sparseconv.int8 import MAX_MULTIPLIER, MAX_SHIFT, follows
from zeroskip.model.sparseconv.vectors import (
    FLOORED,
    OUTPUTS,
    PATTERNS,
    SAME,
    TENSORS,
    LayerVectors,
    SparseVectors,
    VectorGeometry,
    VectorLayer,
    floored,
)

CORE = "sparseconv"

MAX_CHANNELS = 1 << 20
MAX_VOLUME = 4096
MAX_STEP = 1 << 15
"""The largest stride, dilation and offset."""


def save(vectors: SparseVectors, path: Path) -> None:
    """Writes the file; an existing file is replaced completely or not at all."""
    header = {
        "geometry": dataclasses.asdict(vectors.geometry),
        "layers": [to_fields(layer) for layer in vectors.layers],
    }
    tensors: dict[str, NDArray[Any]] = {}
    for number, (coords, feats) in enumerate(zip(vectors.coords, vectors.feats, strict=True)):
        tensors |= {f"coords.{number}": coords, f"feats.{number}": feats}
    for number, own in enumerate(vectors.vectors):
        tensors |= {f"{name}.{number}": getattr(own, name) for name in TENSORS}
    write(path, core=CORE, header=header, tensors=tensors)


def load(path: Path) -> SparseVectors:
    """Reads a file and checks all of it: that shapes, types and ranges are right, that layers fit each other, that
    triples name voxels that meet, and that rows are the features that triples name. Products, sums and the features
    of layers are what hardware is compared with: they are taken as they are.

    Raises BundleError naming the file, the field, the rule and the value.
    """
    return load_with(path, from_container)


def from_container(container: Container) -> SparseVectors:
    """The vectors in a file, after all checks."""
    if container.core != CORE:
        raise BundleError(f"core must be '{CORE}', not {container.core!r}")
    fields = {"version", "core", "geometry", "layers"}
    if set(container.header) != fields:
        raise BundleError(f"the header must have the fields {sorted(fields)}, not {sorted(container.header)}")
    geometry = _geometry(container.header["geometry"])
    layers = _layers(container.header["layers"], geometry)
    count = len(layers)
    names = {f"{name}.{number}" for number in range(count + 1) for name in ("coords", "feats")}
    require_tensors(container, names | {f"{name}.{number}" for number in range(count) for name in TENSORS})
    tensors = container.tensors
    channels = [geometry.channels, *(layer.out_channels for layer in layers)]
    for number in range(count + 1):
        _check_voxels(tensors, number, geometry.axes, channels[number])
    made = SparseVectors(
        geometry=geometry,
        layers=layers,
        coords=tuple(tensors[f"coords.{number}"] for number in range(count + 1)),
        feats=tuple(tensors[f"feats.{number}"] for number in range(count + 1)),
        vectors=tuple(
            LayerVectors(**{name: tensors[f"{name}.{number}"] for name in TENSORS}) for number in range(count)
        ),
    )
    for number in range(count):
        _check_layer(made, number)
    return made


def _integer(value: Any, where: str, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise BundleError(f"{where} must be an integer from {least} to {most}, not {value!r}")


def _geometry(value: Any) -> VectorGeometry:
    geometry: VectorGeometry = dataclass_from_json(VectorGeometry, value, "geometry")
    _integer(geometry.axes, "geometry.axes", 1, 4)
    _integer(geometry.channels, "geometry.channels", 1, MAX_CHANNELS)
    return geometry


def _layers(value: Any, geometry: VectorGeometry) -> tuple[VectorLayer, ...]:
    layers: list[VectorLayer] = []
    channels = geometry.channels
    for number, layer in enumerate(list_from_json(VectorLayer, value, "layers")):
        where = f"layers[{number}]"
        for name, least, most in (
            ("in_channels", 1, MAX_CHANNELS),
            ("out_channels", 1, MAX_CHANNELS),
            ("multiplier", 1, MAX_MULTIPLIER),
            ("shift", 0, MAX_SHIFT),
        ):
            _integer(getattr(layer, name), f"{where}.{name}", least, most)
        if type(layer.relu) is not bool:
            raise BundleError(f"{where}.relu must be true or false, not {layer.relu!r}")
        for name, known in (("outputs", OUTPUTS), ("pattern", PATTERNS)):
            if getattr(layer, name) not in known:
                raise BundleError(f"{where}.{name} must be one of {', '.join(known)}, not {getattr(layer, name)!r}")
        shape = {}
        for name, least, most in (
            ("size", 1, MAX_VOLUME),
            ("stride", 1, MAX_STEP),
            ("dilation", 1, MAX_STEP),
            ("first", -MAX_STEP, MAX_STEP),
        ):
            numbers = getattr(layer, name)
            if type(numbers) is not list or len(numbers) != geometry.axes:
                raise BundleError(f"{where}.{name} must be a list of {geometry.axes} integers, not {numbers!r}")
            for axis, number_of_axis in enumerate(numbers):
                _integer(number_of_axis, f"{where}.{name}[{axis}]", least, most)
            shape[name] = tuple(numbers)
        layer = dataclasses.replace(layer, **shape)
        if layer.volume > MAX_VOLUME:
            raise BundleError(f"{where}.size must have at most {MAX_VOLUME} elements, not {layer.volume}")
        if layer.in_channels != channels:
            raise BundleError(
                f"{where}.in_channels must be {channels}, the channels before it, not {layer.in_channels}"
            )
        if layer.outputs == SAME and set(layer.stride) != {1}:
            raise BundleError(f"{where}.stride must be 1 where outputs are the same, not {layer.stride}")
        channels = layer.out_channels
        layers.append(layer)
    return tuple(layers)


def _check_voxels(tensors: dict[str, NDArray[Any]], number: int, axes: int, channels: int) -> None:
    coords, feats = tensors[f"coords.{number}"], tensors[f"feats.{number}"]
    check_tensor(f"coords.{number}", coords, np.int32, (None, 1 + axes))
    check_tensor(f"feats.{number}", feats, np.int8, (len(coords), channels))
    if np.any(coords[:, 0] < 0):
        raise BundleError(f"coords.{number} must have batch indices of at least 0, not {coords[:, 0].min()}")
    if len(np.unique(coords, axis=0)) != len(coords):
        raise BundleError(f"coords.{number} must hold each voxel once")


def _check_layer(made: SparseVectors, number: int) -> None:
    layer, own = made.layers[number], made.vectors[number]
    before, after = made.coords[number], made.coords[number + 1]
    pairs = len(own.triples)
    check_tensor(f"kernel.{number}", own.kernel, np.int8, (layer.volume, layer.in_channels, layer.out_channels))
    check_tensor(f"bias.{number}", own.bias, np.int32, (layer.out_channels,))
    check_tensor(f"triples.{number}", own.triples, np.int32, (None, 3))
    check_tensor(f"rows.{number}", own.rows, np.int8, (pairs, layer.in_channels))
    check_tensor(f"products.{number}", own.products, np.int32, (pairs, layer.out_channels))
    check_tensor(f"sums.{number}", own.sums, np.int32, (len(after), layer.out_channels))
    if not follows(torch.from_numpy(own.kernel), Pattern.parse(layer.pattern)):
        raise BundleError(f"kernel.{number} must keep at most {layer.pattern} along its input channels")
    if layer.outputs == SAME and not np.array_equal(before, after):
        raise BundleError(f"coords.{number + 1} must equal coords.{number}: the outputs of the layer are the same")
    if layer.outputs == FLOORED and not np.array_equal(floored(before, layer.stride), after):
        raise BundleError(f"coords.{number + 1} must be floor(coords.{number} / stride), each once, sorted")
    for column, (name, most) in enumerate(
        (("elements", layer.volume), ("inputs", len(before)), ("outputs", len(after)))
    ):
        values = own.triples[:, column]
        wrong = values[(values < 0) | (values >= most)]
        if len(wrong):
            raise BundleError(f"triples.{number} must have {name} from 0 to {most - 1}, not {wrong[0]}")
    element, source, target = own.triples.T.astype(np.int64)
    if np.any(np.diff(element * len(after) + target) <= 0):
        raise BundleError(f"triples.{number} must be in order of element, then output, each once")
    if not np.array_equal(before[source][:, 0], after[target][:, 0]) or not np.array_equal(
        before[source][:, 1:], layer.places(after[target])[:, 1:] + layer.offsets()[element]
    ):
        raise BundleError(f"triples.{number} must name inputs at the places of their outputs plus the offsets")
    if not np.array_equal(own.rows, made.feats[number][source]):
        raise BundleError(f"rows.{number} must be the rows of feats.{number} that triples.{number} names")
