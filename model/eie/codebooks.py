"""Codebooks by group of columns: neighbouring columns of a fully connected layer share 15 values, the next ones others.

    columns      0 to C - 1     C to 2 C - 1    ...    the last ones, and the bias
    codebook     0              1                      n - 1

An entry of the memories has a code of as few bits as with one codebook: which one it means follows from its column. A
convolution has one codebook, as the columns of a start are those of several positions (zeroskip.model.eie.tiles).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.bits import power_of_two_at_least
from zeroskip.model.eie.geometry import MOST_CODEBOOK_GROUPS, EieGeometry
from zeroskip.model.network.operations import Convolution, Linear, Operation


def groups_of(inputs: int, codebook_columns: int) -> int:
    """The codebooks of a layer of so many inputs, each for `codebook_columns` of them; 0 stands for all of them."""
    return -(-inputs // codebook_columns) if codebook_columns else 1


def group_numbers(inputs: int, columns: int, codebook_columns: int) -> NDArray[np.intp]:
    """The codebook of each column (columns) of a matrix of so many inputs; a bias, behind them, has that of the last
    input."""
    places = np.minimum(np.arange(columns), inputs - 1)
    return places // codebook_columns if codebook_columns else np.zeros_like(places)


def columns_of(operation: Linear | Convolution, codebook_columns: int) -> int:
    """The columns that share a codebook in the layer of an operation, where those of fully connected layers do."""
    return 0 if isinstance(operation, Convolution) else codebook_columns


def with_groups(geometry: EieGeometry, operations: Sequence[Operation], fit: Collection[str]) -> EieGeometry:
    """`geometry` with as many codebooks for each layer as the `operations` need, to the next power of two, where
    "codebook_groups" is in `fit`. Raises ValueError for a layer that needs more than it can have."""
    chosen, columns = "codebook_groups" not in fit, geometry.codebook_columns
    most = geometry.codebook_groups if chosen else MOST_CODEBOOK_GROUPS
    needed = 1
    for number, layer in enumerate(one for one in operations if isinstance(one, Linear | Convolution)):
        if isinstance(layer, Convolution):
            continue
        groups = groups_of(layer.inputs, columns)
        if groups > most:
            raise ValueError(_too_many(number, layer.inputs, columns, most))
        needed = max(needed, groups)
    if chosen:
        return geometry
    groups = power_of_two_at_least(needed)
    return dataclasses.replace(geometry, codebook_groups=groups, codebook_columns=columns if groups > 1 else 0)


def _too_many(layer: int, inputs: int, columns: int, most: int) -> str:
    needed = groups_of(inputs, columns)
    wider = power_of_two_at_least(-(-inputs // most))
    remedies = [f"codebook_columns = {wider} would do"]
    if needed <= MOST_CODEBOOK_GROUPS:
        remedies.append(f"codebook_groups = {power_of_two_at_least(needed)} would hold them")
    return (
        f"codebook_groups must be at least {needed} for layer {layer}, whose {inputs} inputs are {needed} groups of "
        f"{columns}, not {most}: {', or '.join(remedies)}"
    )
