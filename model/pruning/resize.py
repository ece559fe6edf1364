"""Shrinks the layers of a network to the sizes of weights from which channels were removed."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

Sizes = Mapping[str, tuple[int, ...]]
"""Shapes by the names of a layer's own parameters and buffers."""


def shrink_layers(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Shrinks the layers of `network`, in place, to the shapes of `state` (a state_dict). New tensors are zero until it
    is loaded.

    Linear, Conv2d, BatchNorm1d, BatchNorm2d and PReLU layers can shrink, with their attributes. A depthwise convolution
    stays depthwise; other convolutions keep their number of groups. Raises ValueError with the layer, the rule and the
    value, before anything changes, where another layer would have to shrink, or a tensor would grow or change its
    kernel.
    """
    sizes = {name: tuple(value.shape) for name, value in state.items()}
    changed = []
    for name, layer in network.named_modules():
        own = dict(layer.named_parameters(recurse=False)) | dict(layer.named_buffers(recurse=False))
        wanted = {key: sizes.get(f"{name}.{key}".lstrip("."), tuple(value.shape)) for key, value in own.items()}
        if any(wanted[key] != tuple(value.shape) for key, value in own.items()):
            label = f"layer '{name}' ({type(layer).__name__})"
            for key, value in own.items():
                _require_smaller(f"{label}: {key}", tuple(value.shape), wanted[key])
            changed.append((layer, wanted, _attributes(label, layer, wanted)))
    # A tensor that two layers use stays one tensor.
    made: dict[int, Tensor] = {}
    for layer, wanted, attributes in changed:
        for key, shape in wanted.items():
            old = getattr(layer, key)
            if tuple(old.shape) != shape:
                if id(old) not in made:
                    made[id(old)] = _zeros(old, shape)
                setattr(layer, key, made[id(old)])
        for attribute, value in attributes.items():
            setattr(layer, attribute, value)


def _zeros(old: Tensor, shape: tuple[int, ...]) -> Tensor:
    new = old.detach().new_zeros(shape)
    return nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else new


def _require_smaller(where: str, old: tuple[int, ...], new: tuple[int, ...]) -> None:
    smaller = len(new) == len(old) and all(0 < now <= before for now, before in zip(new, old, strict=True))
    if not smaller or new[2:] != old[2:]:
        raise ValueError(f"{where} must be {old} or have fewer channels, not {new}")


def _attributes(label: str, layer: nn.Module, wanted: Sizes) -> dict[str, int]:
    """The attributes of a layer whose tensors have the shapes `wanted`."""
    if isinstance(layer, nn.Linear | nn.Conv2d) and "weight" in wanted:
        outputs, inputs = wanted["weight"][:2]
        _require_alike(label, {key: shape[0] for key, shape in wanted.items()})
        if isinstance(layer, nn.Linear):
            return {"out_features": outputs, "in_features": inputs}
        depthwise = 1 < layer.groups == layer.in_channels
        # What must not change: the outputs of each input channel if depthwise, else the number of groups.
        fixed = layer.out_channels // layer.groups if depthwise else layer.groups
        if outputs % fixed:
            raise ValueError(f"{label}: weight must have a multiple of {fixed} outputs, not {outputs}")
        groups = outputs // fixed if depthwise else fixed
        return {"out_channels": outputs, "in_channels": inputs * groups, "groups": groups}
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        channels = {key: shape[0] for key, shape in wanted.items() if shape}
        _require_alike(label, channels)
        return {"num_features": next(iter(channels.values()))}
    if isinstance(layer, nn.PReLU):
        return {"num_parameters": wanted["weight"][0]}
    raise ValueError(f"{label} cannot lose channels; Linear, Conv2d, BatchNorm1d, BatchNorm2d and PReLU can")


def _require_alike(label: str, channels: Mapping[str, int]) -> None:
    if len(set(channels.values())) > 1:
        listed = ", ".join(f"{key} {count}" for key, count in channels.items())
        raise ValueError(f"{label}: all must have the same number of channels, not {listed}")
