"""What a module of the user's network computes: what the class of torch does, or something of its own."""

from __future__ import annotations

import copy
from typing import TypeGuard, TypeVar

import torch
from torch import nn

Kind = TypeVar("Kind", bound=nn.Module)

_HARMLESS = {
    "__init__",
    "__module__",
    "__doc__",
    "__qualname__",
    "__annotations__",
    "__firstlineno__",
    "__static_attributes__",
    "__constants__",
    "__parameters__",
    "__orig_bases__",
    "__dict__",
    "__weakref__",
    "__repr__",
    "_get_name",
    "extra_repr",
    "reset_parameters",
    "train",
    "eval",
    "__getstate__",
    "__setstate__",
}
"""Names that a subclass may define without computing anything else."""


def torch_class(module: nn.Module) -> type[nn.Module] | None:
    """The class of torch whose computation `module` does; None where it has a computation of its own.

    A subclass that replaces a method of its class, or an object whose methods were replaced, does not count as this
    class: a convolution that standardises its weights must not pass for a Conv2d.
    """
    kinds = type(module).__mro__
    base = next(kind for kind in kinds if issubclass(kind, nn.Module) and _is_torchs(kind))
    if base is nn.Module or issubclass(base, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return None
    known = {name for kind in base.__mro__ if kind is not object for name in vars(kind)} - _HARMLESS
    for kind in kinds[: kinds.index(base)]:
        if known & set(vars(kind)):
            return None
    if {name for name, value in vars(module).items() if callable(value)} & known:
        return None
    return base


def is_plain(module: nn.Module, *kinds: type[Kind]) -> TypeGuard[Kind]:
    """Whether `module` computes what one of these classes of torch, or a class derived from it in torch, computes."""
    found = torch_class(module)
    return found is not None and any(_same_forward(found, kind) for kind in kinds)


def _same_forward(found: type[nn.Module], kind: type[nn.Module]) -> bool:
    return issubclass(found, kind) and found.forward is kind.forward


def _is_torchs(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "torch"


def with_plain_weights(network: nn.Module) -> nn.Module:
    """A copy in which weights that are computed from others (weight_norm, spectral_norm) are ordinary ones, with the
    values that they have in eval mode; the network itself where there are none."""
    if not any(nn.utils.parametrize.is_parametrized(layer) for layer in network.modules()):
        return network
    plain = copy.deepcopy(network).eval()
    for layer in list(plain.modules()):
        if nn.utils.parametrize.is_parametrized(layer):
            # Torch's remove_parametrizations would also take them from the class, which copies share.
            values = {name: getattr(layer, name).detach() for name in layer.parametrizations}  # type: ignore[union-attr]
            layer.__class__ = nn.utils.parametrize.type_before_parametrizations(layer)
            del layer.parametrizations
            for name, value in values.items():
                layer.register_parameter(name, nn.Parameter(value, requires_grad=False))
    return plain


def refuse_hidden_changes(network: nn.Module) -> None:
    """Raises ValueError for what changes a layer's result or weights without being seen in what forward() calls: hooks,
    and layers that have no weights yet."""
    for name, layer in network.named_modules():
        label = f"layer '{name}' ({type(layer).__name__})" if name else f"the network ({type(layer).__name__})"
        if isinstance(layer, torch.jit.ScriptModule):
            raise ValueError(f"{label} is compiled by TorchScript; give the network from which it was made")
        # First, as layers without weights have hooks of their own.
        own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
        for key, value in own:
            if nn.parameter.is_lazy(value):
                raise ValueError(f"{label} has no {key} yet; run the network once on a batch of samples")
            if value.is_complex():
                raise ValueError(f"{label}: {key} must be real numbers, not {value.dtype}")
        if layer._forward_hooks or layer._forward_pre_hooks:
            raise ValueError(
                f"{label} has forward hooks; remove them (those of weight_norm and spectral_norm with "
                "torch.nn.utils.remove_weight_norm and remove_spectral_norm, those of torch.nn.utils.prune with "
                "prune.remove)"
            )
