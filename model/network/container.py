"""The file of a compiled network: tensors in safetensors, everything else in its JSON header.

The header is the entry `zeroskip` of the file's metadata and names the `core` of the network. `digest` covers header
and tensors, so that damage is detected before anything is used. Reading never runs code from
the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from zeroskip.model.files import replacing
from zeroskip.model.network.fields import are_fields
from zeroskip.model.network.samples import SampleForm
from zeroskip.model.network.stages import HOST_KINDS, Stage, from_json

VERSIONS = (2, 3, 4)
"""The versions that can be read. Files of version 2 do not have `samples`, what the network was compiled with; stages
of tokens, and those that the host computes (additions, concatenations, limits), need version 4."""


class BundleError(ValueError):
    """A bundle that cannot be used; the message names the file and the field."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Container:
    """The contents of a file that is complete and undamaged; nothing else is checked yet."""

    core: str
    header: dict[str, Any]
    tensors: dict[str, NDArray[Any]]


def write(path: Path, *, core: str, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> None:
    """Writes the file; an existing file is replaced completely or not at all. The version is the oldest one that holds
    the `header`."""
    header = {"version": _version(header), "core": core, **header}
    header["digest"] = digest_of(header, tensors)
    data = save_safetensors(tensors, metadata={"zeroskip": json.dumps(header)})
    with replacing(path) as part:
        part.write_bytes(data)


def _version(header: dict[str, Any]) -> int:
    if any(needs_version_4(stage) for stage in header.get("stages", ())):
        return 4
    return 3 if "samples" in header else 2


def needs_version_4(stage: dict[str, Any]) -> bool:
    """Whether a stage, as a file has it, is one that files of earlier versions do not have."""
    return "back" in stage or "rows" in stage or stage["kind"] in HOST_KINDS


def read(path: Path) -> Container:
    """Reads a complete file. Raises BundleError naming the file, the field, the rule and the value."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    with naming(path):
        return _parse(data)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the file's name before the message of a BundleError."""
    try:
        yield
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def digest_of(header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> str:
    """Hash of header and tensors."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}:{tensor.dtype.str}:{tensor.shape}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def _parse(data: bytes) -> Container:
    try:
        tensors = load_safetensors(data)
        (length,) = struct.unpack_from("<Q", data)
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except Exception as error:  # safetensors raises its own type, and others for headers that are not JSON
        raise BundleError(f"not a complete safetensors file ({error})") from error
    if "zeroskip" not in metadata:
        raise BundleError("metadata has no field 'zeroskip': this safetensors file is not a compiled network")
    try:
        header = json.loads(metadata["zeroskip"])
    except (ValueError, RecursionError) as error:  # what is no JSON, or has numbers of thousands of digits
        raise BundleError(f"header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise BundleError("header must be a JSON object")
    version = header.get("version")
    if type(version) is not int or version not in VERSIONS:
        raise BundleError(
            f"version must be {VERSIONS[0]} to {VERSIONS[-1]}, not {version!r}: "
            "compile the network again with this zeroskip"
        )
    digest = header.pop("digest", None)
    actual = digest_of(header, tensors)
    if digest != actual:
        raise BundleError(f"digest must be {actual} for these contents, not {digest!r}: the file is damaged")
    if not isinstance(header.get("core"), str):
        raise BundleError(f"core must be text, not {header.get('core')!r}")
    return Container(core=header["core"], header=header, tensors=tensors)


def dataclass_from_json(kind: type, value: Any, where: str) -> Any:
    """An instance of a dataclass from its fields. Raises BundleError that names the place."""
    if not isinstance(value, dict) or not are_fields(kind, set(value)):
        names = {field.name for field in dataclasses.fields(kind)}
        given = sorted(value) if isinstance(value, dict) else value
        raise BundleError(f"{where} must have the fields {sorted(names)}, not {given!r}")
    try:
        return kind(**value)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{where}: {error}") from error


def check_kinds(item: Any, where: str, *, flags: tuple[str, ...]) -> None:
    """Raises BundleError unless the fields of a dataclass named in `flags` are true or false, the others integers."""
    for field in dataclasses.fields(item):
        value, wants_bool = getattr(item, field.name), field.name in flags
        if isinstance(value, bool) != wants_bool or not isinstance(value, int):
            kind = "true or false" if wants_bool else "an integer"
            raise BundleError(f"{where}.{field.name} must be {kind}, not {value!r}")


def check_sizes(item: Any, where: str, **bounds: tuple[int, int]) -> None:
    """Raises BundleError unless each named field of a dataclass, an integer, is from the lowest to the highest of its
    `bounds`."""
    for name, (lowest, highest) in bounds.items():
        if not lowest <= getattr(item, name) <= highest:
            raise BundleError(f"{where}.{name} must be {lowest} to {highest}, not {getattr(item, name)}")


def list_from_json(kind: type, value: Any, where: str) -> tuple[Any, ...]:
    """Instances of a dataclass, at least one. Raises BundleError that names the place."""
    if not isinstance(value, list) or not value:
        raise BundleError(f"{where} must be a list of at least one, not {value!r}")
    return tuple(dataclass_from_json(kind, item, f"{where}[{index}]") for index, item in enumerate(value))


def samples_from_json(value: Any) -> SampleForm:
    """What the network was compiled with. Raises BundleError that names the field."""
    if isinstance(value, dict) and isinstance(value.get("shape"), list):
        value = {**value, "shape": tuple(value["shape"])}
    samples: SampleForm = dataclass_from_json(SampleForm, value, "samples")
    return samples


def stages_from_json(value: Any, tensors: Mapping[str, NDArray[Any]]) -> tuple[Stage, ...]:
    """The stages of a network, at least one, whose arrays are `tensors` of the file. Raises BundleError that names the
    stage."""
    if not isinstance(value, list) or not value:
        raise BundleError(f"stages must be a list of at least one stage, not {value!r}")
    stages: list[Stage] = []
    for index, stage in enumerate(value):
        try:
            prefix = f"stages.{index}."
            own = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
            stages.append(from_json(stage, own))
        except ValueError as error:
            raise BundleError(f"stages[{index}]: {error}") from error
    return tuple(stages)


def check_tensor(name: str, tensor: NDArray[Any], dtype: Any, shape: tuple[int | None, ...]) -> None:
    """Raises BundleError unless the tensor has the type and the shape, None being any length."""
    fits = len(tensor.shape) == len(shape) and all(
        want is None or want == have for want, have in zip(shape, tensor.shape, strict=True)
    )
    if tensor.dtype != dtype or not fits:
        rule = " x ".join("any" if size is None else str(size) for size in shape)
        raise BundleError(f"{name} must be {np.dtype(dtype)} of {rule}, not {tensor.dtype} of {tensor.shape}")
