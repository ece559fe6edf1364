"""The user's network: from a factory in their own code, and weights from a file."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from zeroskip.model import user_code
from zeroskip.model.files import replacing
from zeroskip.model.network.number_types import float_network, float_state, require_finite
from zeroskip.model.network.samples import SampleForm
from zeroskip.model.network.wrappers import unwrap, without_wrappers
from zeroskip.model.networks.seeded import seeded
from zeroskip.model.pruning.flattening import replace_views
from zeroskip.model.pruning.resize import shrink_layers
from zeroskip.model.user_code.folder import is_our_folder

CHANNELS, REMOVED = "zeroskip-channels", "removed"
"""In the metadata of a safetensors file: its tensors may be smaller than the factory's network makes them."""

SAMPLES = "zeroskip-samples"
"""In the same place: the fields of a SampleForm in JSON, that of the samples that the weights were trained with."""

ADAPTED_FROM = "zeroskip-adapted-from"
"""In the same place: the `weights_hash` of the network that a search started from."""


def load_network(name: str, weights: Path | None) -> tuple[nn.Module, bool]:
    """The network that MODULE:FACTORY makes, with the weights of a file if one is given, and whether these are
    smaller than the factory makes them (an argument of `save_weights`)."""
    return with_weights(load_factory(name), weights)


def with_weights(module: nn.Module, weights: Path | None) -> tuple[nn.Module, bool]:
    """The same for a network that is made; it may be changed. DataParallel and torch.compile around it, or around its
    layers, are taken off. Its parameters are float32 afterwards, and finite. Raises ValueError naming a parameter whose
    type is not taken."""
    module = float_network(unwrap(module))
    sizes = _sizes(module)
    if weights is not None:
        module = load_weights(module, weights)
    require_finite(module)
    return module, _sizes(module) != sizes


def _sizes(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(value.shape) for value in (*module.parameters(), *module.buffers())]


def load_factory(name: str) -> nn.Module:
    """The network that MODULE:FACTORY makes, or MODULE:FACTORY(name=value, ...), where values are Python literals.
    MODULE is the path of a .py file, or a module's name: it is looked for first in the current folder, under any
    name, then where Python looks (`zeroskip.model.user_code`). Random initial weights are the same every time.
    Raises ValueError that says what is wrong."""
    match = re.fullmatch(r"(.+?):([^:()]+)(\(.*\))?", name, re.DOTALL)
    if match is None:
        raise ValueError(
            "the network must be named MODULE:FACTORY, as in mynets:lenet, or with arguments, as in "
            f"'mynets:resnet(width=0.5)', not {name!r}"
        )
    module_name, factory_name, call = match.groups()
    arguments = _arguments(call or "()")
    module = _module(module_name)
    if not callable(factory := getattr(module, factory_name, None)):
        where = getattr(module, "__file__", None)
        raise ValueError(f"{where or module_name} has no function or class {factory_name!r}")
    with _users_code(name if call else f"{name}()"), seeded(0):
        network = factory(**arguments)
    if not isinstance(network, nn.Module):
        raise ValueError(f"{name} must return a torch.nn.Module, not {type(network).__name__}")
    return network


def _module(name: str) -> ModuleType:
    """The module of this name, or in this file."""
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ValueError(f"{name} is not a Python file: {Path(name).absolute()} does not exist or is no file")
        with _users_code(name):
            return user_code.import_file(Path(name))
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"MODULE must be a dotted name, as in nets.small, or the path of a .py file, not {name!r}")
    with _users_code(name):
        module = user_code.import_module(Path.cwd(), name)
    if module is None:
        with _users_code(name):
            module = _installed(name)
    if module is None:
        file = name.replace(".", os.sep) + ".py"
        others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", ".")]
        raise ValueError(
            f"there is no module {name!r}: no {file} in {', '.join([str(Path.cwd()), *others])}, and no installed "
            "package has it"
        )
    return module


def _installed(name: str) -> ModuleType | None:
    """The module that Python finds by this name, or None. Folders of this package have no names of their own, even
    where a checkout of it is on Python's path."""
    top = importlib.util.find_spec(name.partition(".")[0])
    if top is None or (top.name != "zeroskip" and top.origin and is_our_folder(Path(top.origin).parent)):
        return None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            return None
        raise


def _arguments(call: str) -> dict[str, Any]:
    """The keyword arguments of "(name=value, ...)". Nothing of it is run."""
    try:
        node = ast.parse(f"f{call}", mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
            raise ValueError(call)
        arguments = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
        if len(arguments) < len(node.keywords) or None in [keyword.arg for keyword in node.keywords]:
            raise ValueError(call)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(
            "the factory's arguments must be named, each once, and have literal values, as in "
            f"(width=0.25, classes=10), not {call}"
        ) from error
    return arguments


@contextmanager
def _users_code(what: str) -> Iterator[None]:
    """Turns whatever the user's code raises, SystemExit included, into one ValueError that names the place."""
    try:
        yield
    except (Exception, SystemExit) as error:
        place = user_code.place_of(error)
        message = error.msg if isinstance(error, SyntaxError) else user_code.readable(str(error))
        raise ValueError(
            f"{what} failed{f' in {place}' if place else ''}: {type(error).__name__}: {message}"
        ) from error


def load_weights(network: nn.Module, path: Path) -> nn.Module:
    """Loads a state_dict from a safetensors file. Returns the network to use: `network`, or a copy with smaller layers
    if channels were removed. Numbers of the types that are taken are converted to float32. Names may have the parts
    "module." and "_orig_mod." of DataParallel and torch.compile.

    Raises ValueError if the file is damaged, holds other types, or belongs to another network.
    """
    state, metadata = _read_weights(path)
    try:
        state = without_wrappers(state, network.state_dict())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    _require_names(path, state, network.state_dict())
    state = float_state(str(path), state, network.state_dict())
    removed = metadata.get(CHANNELS) == REMOVED
    expected = network.state_dict()
    if removed:
        samples = _samples(path, metadata)
        network = replace_views(network, None if samples is None else torch.zeros(1, *samples.shape))
        try:
            shrink_layers(network, state)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        expected = network.state_dict()
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise ValueError(
                f"{path}: {name} must have the shape {tuple(tensor.shape)}, not {tuple(state[name].shape)}"
            )
        if not state[name].isfinite().all():
            raise ValueError(
                f"{path}: {name} must be finite in float32, but holds NaN, infinity or numbers beyond 3.4e38"
            )
    _require_tied(path, expected, state)
    network.load_state_dict(state)
    return network


def _require_names(path: Path, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    if missing := sorted(set(expected) - set(state)):
        raise ValueError(f"{path}: lacks {', '.join(missing)}")
    if unknown := sorted(set(state) - set(expected)):
        raise ValueError(f"{path}: has {', '.join(unknown)}, which the network does not have")


def _require_tied(path: Path, expected: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Raises ValueError if the file has different values for entries that are one tensor of the network: the last would
    silently replace the others."""
    first: dict[tuple[int, torch.Size], str] = {}
    for name, tensor in expected.items():
        other = first.setdefault((tensor.data_ptr(), tensor.shape), name)
        if tensor.numel() and not torch.equal(state[name], state[other]):
            raise ValueError(f"{path}: {name} and {other} must be equal: they are one parameter of the network")


def save_weights(
    module: nn.Module,
    path: Path,
    *,
    removed: bool,
    samples: SampleForm | None = None,
    adapted_from: str | None = None,
) -> None:
    """Writes the state_dict as a safetensors file; an existing file is replaced completely or not at all. `removed`
    records that channels were removed, so that tensors are smaller than those of the factory's network; `samples`, what
    it was trained with; `adapted_from`, the hash of the weights that a search started from (`weights_hash`)."""
    metadata = {CHANNELS: REMOVED} if removed else {}
    if adapted_from is not None:
        metadata[ADAPTED_FROM] = adapted_from
    if samples is not None:
        metadata[SAMPLES] = json.dumps(dataclasses.asdict(samples))
    data = _with_sorted_metadata(save(_savable(module), metadata=metadata or None))
    with replacing(path) as part:
        part.write_bytes(data)


def _with_sorted_metadata(data: bytes) -> bytes:
    """The safetensors file with its metadata in alphabetical order: safetensors writes them in a random one, and equal
    weights should give equal files."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # The tensors begin at a multiple of 8 bytes.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def adapted_from(path: Path) -> str | None:
    """The hash of the weights from which a search trained those in a file; None where it does not say."""
    return _read_weights(path)[1].get(ADAPTED_FROM)


def require_savable(module: nn.Module) -> None:
    """Raises ValueError, naming it, if an entry of the state_dict cannot be in a safetensors file."""
    for name, value in _savable(module).items():
        try:
            save({name: value})
        except (ValueError, RuntimeError, NotImplementedError, KeyError, SafetensorError) as error:
            raise ValueError(f"{name} of the network's state_dict cannot be saved: {error}") from error


def _savable(module: nn.Module) -> dict[str, Tensor]:
    """The state_dict with a storage of its own for each entry, as safetensors needs it: parameters may be tied."""
    state = module.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
            kind = f"{value.layout}, {value.device}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"{name} of the network's state_dict must be a dense tensor, not {kind}: it cannot be saved; make it "
                "a parameter or a buffer that is one"
            )
    return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def trained_with(path: Path) -> SampleForm | None:
    """The samples with which the weights in a file were trained; None where it does not say. Raises ValueError or
    OSError."""
    return _samples(path, _read_weights(path)[1])


def _samples(path: Path, metadata: Mapping[str, str]) -> SampleForm | None:
    text = metadata.get(SAMPLES)
    if text is None:
        return None
    try:
        fields = json.loads(text)
        return SampleForm(**{**fields, "shape": tuple(fields["shape"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: {SAMPLES} in its metadata must be what zeroskip writes, but: {error}") from error


def _read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and its metadata."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file")
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path}: not a complete safetensors file ({error}); pickles (.pt, .pth) are never loaded: save the "
            "weights with safetensors.torch.save_file(network.state_dict(), path)"
        ) from error
    channels = metadata.get(CHANNELS)
    if channels not in (None, REMOVED):
        raise ValueError(f"{path}: {CHANNELS} in its metadata must be '{REMOVED}' or not there, not {channels!r}")
    return state, metadata
