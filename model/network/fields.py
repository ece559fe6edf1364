"""Fields of dataclasses in files."""

from __future__ import annotations

import dataclasses
from typing import Any

ADDED_LATER = {"added later": True}
"""The metadata of a dataclass field that a file has only where it differs from its default, so that files without it
are those of earlier versions."""


def to_fields(item: Any) -> dict[str, Any]:
    """The fields of a dataclass as a file has them."""
    values = dataclasses.asdict(item)
    for field in dataclasses.fields(item):
        if field.metadata == ADDED_LATER and values[field.name] == field.default:
            del values[field.name]
    return values


def are_fields(kind: type, names: set[str]) -> bool:
    """Whether `names` are the fields that a file may have for a dataclass."""
    every = {field.name for field in dataclasses.fields(kind)}
    later = {field.name for field in dataclasses.fields(kind) if field.metadata == ADDED_LATER}
    return every - later <= names <= every
