"""The common parts of the files of all cores: geometry, layers and stages in the header, and their checks.

A core adds its tensors and its own checks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.container import (
    BundleError,
    Container,
    dataclass_from_json,
    list_from_json,
    naming,
    read,
    samples_from_json,
    stages_from_json,
    write,
)
from zeroskip.model.network.fields import to_fields
from zeroskip.model.network.samples import SampleForm, by
from zeroskip.model.network.staged import StagedNetwork
from zeroskip.model.network.stages import (
    Stage,
    computes_on_host,
    input_image_shape,
    stage_tensors,
    to_json,
    value_counts,
)

G = TypeVar("G")
L = TypeVar("L")
N = TypeVar("N")


@dataclass(frozen=True, kw_only=True, eq=False)
class Header(Generic[G, L]):
    """A network in a file's header: the core's `geometry`, its layer table, the stages, and the samples with which it
    was compiled, where the file's version has them."""

    geometry: G
    layers: tuple[L, ...]
    stages: tuple[Stage, ...]
    samples: SampleForm | None


@dataclass(frozen=True, kw_only=True)
class BundleFormat(Generic[G, L]):
    """The files of one core, whose geometry is a `geometry` and whose layer table has rows of `layer` (dataclasses).

    `check` raises BundleError if the core does not accept a header's geometry or layers; this class checks that the
    stages fit the layers."""

    core: str
    geometry: type[G]
    layer: type[L]
    check: Callable[[Header[G, L]], None]

    def write(self, path: Path, network: Any, tensors: dict[str, NDArray[Any]]) -> None:
        """Writes a compiled network; an existing file is replaced completely or not at all."""
        header: dict[str, Any] = {
            "geometry": dataclasses.asdict(network.geometry),
            "layers": [to_fields(layer) for layer in network.layers],
            "stages": [to_json(stage) for stage in network.stages],
        }
        if network.samples is not None:
            header["samples"] = dataclasses.asdict(network.samples)
        write(path, core=self.core, header=header, tensors={**tensors, **stage_tensors(network.stages)})

    def header(self, container: Container) -> Header[G, L]:
        """The header of a file, checked. Raises BundleError naming field, rule and value."""
        if container.core != self.core:
            raise BundleError(f"core must be '{self.core}', not {container.core!r}")
        given = container.header
        fields = {"version", "core", "geometry", "layers", "stages", *(["samples"] if given["version"] > 2 else [])}
        # Those of version 4 have samples where the network knows them.
        if set(given) - {"samples"} != fields - {"samples"} or (given["version"] < 4 and set(given) != fields):
            raise BundleError(f"the header must have the fields {sorted(fields)}, not {sorted(given)}")
        header: Header[G, Any] = Header(
            geometry=dataclass_from_json(self.geometry, given.get("geometry"), "geometry"),
            layers=list_from_json(self.layer, given.get("layers"), "layers"),
            stages=stages_from_json(given.get("stages"), container.tensors),
            samples=samples_from_json(given["samples"]) if "samples" in given else None,
        )
        if given["version"] < 4 and computes_on_host(header.stages):
            raise BundleError("version must be 4 for stages that the host computes, not " + str(given["version"]))
        self.check(header)
        try:
            counts = value_counts(header.stages, header.layers)
        except ValueError as error:
            raise BundleError(str(error)) from error
        if header.samples is not None:
            _check_samples(header.samples, header.stages, counts[0])
        return header


def _check_samples(samples: SampleForm, stages: Sequence[Stage], inputs: int) -> None:
    image = input_image_shape(stages)
    # Sequences (channels, length) are images of height 1.
    line = (samples.shape[0], 1, samples.shape[1]) if len(samples.shape) == 2 else samples.shape
    if samples.values != inputs or image not in (None, line):
        wanted = f"{inputs} values" if image is None else by(image)
        raise BundleError(f"samples: shape must be that of the first stage, {wanted}, not {by(samples.shape)}")


def check_groups(
    network: StagedNetwork, index: int, shape: tuple[int, int], rows: NDArray[Any], columns: NDArray[Any]
) -> None:
    """Raises BundleError unless the weights of layer `index` that are not zero, at `rows` and `columns` of the matrix
    of a position (of `shape` outputs x inputs), are within the groups of its convolution."""
    groups, (outputs, inputs) = network.groups[index], shape
    if np.any(rows * groups // outputs != columns * groups // inputs):
        raise BundleError(f"layers[{index}] must have zeros between the {groups} groups of its convolution")


def load_with(path: Path, from_container: Callable[[Container], N]) -> N:
    """Reads a file as `from_container` does. Raises BundleError naming the file, the field, the rule and the value."""
    container = read(path)
    with naming(path):
        return from_container(container)


def require_tensors(container: Container, names: Collection[str], stages: Sequence[Stage] = ()) -> None:
    """Raises BundleError unless the file holds the tensors `names`, those of the stages, and no others."""
    wanted = {*names, *stage_tensors(stages)}
    if set(container.tensors) != wanted:
        raise BundleError(f"tensors must be {sorted(wanted)}, not {sorted(container.tensors)}")
