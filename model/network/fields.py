"""Fields of dataclasses in files."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

ADDED_LATER = {"added later": True}
"""The metadata of a dataclass field that a file has only where it differs from its default, so that files without it
are those of earlier versions; and so have emitted RTL and boards."""

TENSOR = {"tensor": True}
"""The metadata of a dataclass field that is an array, or None: a tensor of the file, and no part of its header."""


def to_fields(item: Any) -> dict[str, Any]:
    """The fields of a dataclass as a file's header has them; a field that is a dataclass has those of its own."""
    values = {name: getattr(item, name) for name in shown_fields(item)}
    return {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        for name, value in values.items()
    }


def shown_fields(item: Any) -> list[str]:
    """The names of the fields of a dataclass that a file has."""
    return [
        field.name
        for field in dataclasses.fields(item)
        if field.metadata != TENSOR
        and not (field.metadata == ADDED_LATER and getattr(item, field.name) == field.default)
    ]


def to_tensors(item: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a dataclass."""
    import numpy as np

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
