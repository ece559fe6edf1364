"""Networks within DataParallel, DistributedDataParallel and torch.compile, and the names that these give to weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from torch import nn

_ATTRIBUTES = {
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
}
"""By the name of a wrapper (importing them all takes seconds), the attribute in which it holds its network, which is
also a part of the names of the weights."""

Value = TypeVar("Value")


def unwrapped(network: nn.Module) -> nn.Module:
    """The network within wrappers; `network` itself where there are none around it."""
    while (name := _ATTRIBUTES.get(f"{type(network).__module__}.{type(network).__qualname__}")) is not None:
        network = getattr(network, name)
    return network


def unwrap(network: nn.Module) -> nn.Module:
    """The network within wrappers, whose layers are, in place, taken out of theirs, too."""
    network = unwrapped(network)
    for module in list(network.modules()):
        # What nn.Module.compile() leaves behind.
        module._compiled_call_impl = None
        for name, child in list(module.named_children()):
            module._modules[name] = unwrapped(child)
    return network


def without_wrappers(state: Mapping[str, Value], expected: Iterable[str]) -> dict[str, Value]:
    """The tensors of a weights file under the names of the network, `expected`, which has no wrappers.

    Where a name is not one of the network's, "module." and "_orig_mod." are left out of it, wherever they stand. Raises
    ValueError if two tensors then have one name.
    """
    own = set(expected)
    plain: dict[str, str] = {}
    for name in own:
        # Names that differ in these parts alone must be given as they are.
        plain[_plain(name)] = "" if _plain(name) in plain else name
    found: dict[str, Value] = {}
    origin: dict[str, str] = {}
    for name, value in state.items():
        target = name if name in own else plain.get(_plain(name)) or name
        if target in found:
            raise ValueError(f"has {origin[target]} and {name}, which are both {target} of the network")
        found[target], origin[target] = value, name
    return found


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _ATTRIBUTES.values())
