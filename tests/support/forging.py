"""Files of compiled networks with changed contents, and a digest that fits these."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from zeroskip.model.network import container

Contents = tuple[dict[str, Any], dict[str, Any]]
"""The header and the tensors of a file."""

Place = tuple[str | int, ...]
"""The keys and indices that lead to a value of a header: ("layers", 0, "relu")."""


def contents_of(path: Path) -> Contents:
    """The header, without its digest, and the tensors."""
    data = path.read_bytes()
    header = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["zeroskip"])
    header.pop("digest")
    return header, {name: value.copy() for name, value in load_file(path).items()}


def forge(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    """Changes header and tensors of a file, which gets a digest that fits them."""
    header, tensors = contents_of(path)
    change(header, tensors)
    header["digest"] = container.digest_of(header, tensors)
    save_file(tensors, path, metadata={"zeroskip": json.dumps(header)})


def places(value: Any, before: Place = ()) -> Iterator[Place]:
    """Where the numbers, texts and flags of a header stand, one after the other."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*before, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*before, index))
    else:
        yield before


def at(header: Any, place: Place) -> Any:
    """The value at a place."""
    for key in place:
        header = header[key]
    return header


def put(header: Any, place: Place, value: Any) -> None:
    """Replaces the value at a place."""
    at(header, place[:-1])[place[-1]] = value


def name_of(place: Place) -> str:
    """The field at a place: that of a list for one of its items."""
    return str([key for key in place if isinstance(key, str)][-1])
