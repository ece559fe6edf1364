"""Weights of networks that were trained with other libraries, by the names of their layouts.

| layout | convolution weights | from |
|---|---|---|
| torchsparse | `kernel` (volume, in, out), x fastest for an odd volume, z for an even one | torchsparse 1.4 to 2.1 |
| minkowski | `kernel` (volume, in, out), x fastest | MinkowskiEngine 0.5 |
| spconv | `weight` (out, *size, in) | spconv 2 |
| spconv1 | `weight` (*size, in, out) | spconv 1 |
| dense | `weight` (out, in, *size); of transposed layers (in, out, *size) | torch |

spconv 2 reads the weight of a kernel of one element with stride 1 as (in, out), whatever its shape says: see
`kernel.from_spconv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor, nn

from zeroskip.model.sparseconv.kernel import (
    centred_first,
    from_channels_last,
    from_dense,
    from_minkowski,
    from_spconv,
    minkowski_first,
)
from zeroskip.model.sparseconv.nn.convolution import Convolution

LAYOUTS = ("torchsparse", "minkowski", "spconv", "spconv1", "dense")


def kernel_from(weight: Tensor, layer: Convolution, layout: str) -> Tensor:
    """The weights of one convolution, laid out as its `kernel`.

    Raises `ValueError` for an unknown layout and for a shape that does not fit the layer.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not {layout!r}")
    size, channels = layer.kernel_size, (layer.in_channels, layer.out_channels)
    flat = (prod(size), *channels)
    wanted = {
        "torchsparse": flat,
        "minkowski": flat,
        "spconv": (channels[1], *size, channels[0]),
        "spconv1": (*size, *channels),
        "dense": (*(channels if layer.transposed else channels[::-1]), *size),
    }[layout]
    may_be_matrix = flat[0] == 1 and wanted is flat
    if tuple(weight.shape) != wanted and not (may_be_matrix and tuple(weight.shape) == channels):
        raise ValueError(f"weights laid out as {layout} must be {wanted} for {layer}, not {tuple(weight.shape)}")
    if layout == "minkowski":
        _require_minkowski_offsets(layer)
        weight = from_minkowski(weight.reshape(flat), size)
    elif layout == "spconv":
        weight = from_spconv(weight, layer.stride)
    elif layout == "spconv1":
        weight = from_channels_last(weight.movedim(-1, 0))
    elif layout == "dense":
        weight = from_dense(weight.transpose(0, 1) if layer.transposed else weight)
    return weight.reshape(layer.kernel.shape)


def _require_minkowski_offsets(layer: Convolution) -> None:
    """Even kernels of MinkowskiEngine start at the output's place; those of torchsparse are centred where their size is
    over 2. Strided layers follow their convention, transposed ones the layer that they undo."""
    is_in_place = set(layer.stride) == {1} and layer.submanifold is not False
    is_centred = is_in_place or (layer.generative and layer.convention is None)
    if is_centred and any(centred_first(size) != minkowski_first(size) for size in layer.kernel_size):
        raise ValueError(
            f"a layer of kernel size {layer.kernel_size} with weights of MinkowskiEngine must have "
            f'convention="minkowski"{" and submanifold=False" if is_in_place else ""}: its even kernels start at the '
            "output's place"
        )


def load_weights(network: nn.Module, state: Mapping[str, Tensor], layout: str) -> None:
    """Loads the state of a network of the same structure that another library trained.

    `network` has sparse convolutions of this package where the other has its own, under the same names; all of its
    weights are in `state` and all of `state` is used. MinkowskiEngine's normalisation layers hold torch's as `bn`, and
    its biases are (1, out): both are taken. The weights do not say where outputs are: for MinkowskiEngine's
    strided layers set `convention="minkowski"`.

    Raises `ValueError` for an unknown layout, a shape that does not fit, missing or unknown names, and for an even
    kernel that starts elsewhere than MinkowskiEngine's.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not {layout!r}")
    convolutions = {name: module for name, module in network.named_modules() if isinstance(module, Convolution)}
    norms = {name for name, module in network.named_modules() if isinstance(module, nn.modules.batchnorm._NormBase)}
    suffix = "kernel" if layout in ("torchsparse", "minkowski") else "weight"
    found = {}
    for key, value in state.items():
        owner, _, field = key.rpartition(".")
        if owner in convolutions and field == suffix:
            found[_join(owner, "kernel")] = kernel_from(value, convolutions[owner], layout)
        elif owner in convolutions and field == "bias":
            found[key] = value.reshape(-1)
        elif owner.rpartition(".")[2] == "bn" and owner not in norms and owner.rpartition(".")[0] in norms:
            found[_join(owner.rpartition(".")[0], field)] = value
        else:
            found[key] = value
    own = set(network.state_dict())
    if own != set(found):
        raise ValueError(
            f"the state must hold the weights of this network: missing {sorted(own - set(found)) or 'none'}, "
            f"unknown {sorted(set(found) - own) or 'none'}"
        )
    with torch.no_grad():
        network.load_state_dict(found)


def _join(owner: str, field: str) -> str:
    return f"{owner}.{field}" if owner else field
