"""Fields of dataclasses in files."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

ADDED_LATER = {"added later": True}
"""The metadata of a dataclass field that a file has only where it differs from its default, so that files without it
are those of earlier versions."""

TENSOR = {"tensor": True}
"""The metadata of a dataclass field that is an array, or None: a tensor of the file, and no part of its header."""


def to_fields(item: Any) -> dict[str, Any]:
    """The fields of a dataclass as a file's header has them."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if field.metadata != TENSOR and not (field.metadata == ADDED_LATER and value == field.default):
            values[field.name] = value
    return values


def to_tensors(item: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a dataclass."""
    found = {name: getattr(item, name) for name in tensor_names(type(item))}
    return {name: np.ascontiguousarray(value) for name, value in found.items() if value is not None}


def tensor_names(kind: type) -> list[str]:
    """The fields of a dataclass that are arrays."""
    return [field.name for field in dataclasses.fields(kind) if field.metadata == TENSOR]


def are_fields(kind: type, names: set[str]) -> bool:
    """Whether `names` are the fields that a file's header may have for a dataclass."""
    every = {field.name for field in dataclasses.fields(kind) if field.metadata != TENSOR}
    later = {field.name for field in dataclasses.fields(kind) if field.metadata == ADDED_LATER}
    return every - later <= names <= every
