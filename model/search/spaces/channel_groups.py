"""The channel groups of a network, whose channels can only be removed together, and how to remove them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.pruning.resize import shrink_layers

FIXED = -1
"""The number that stands for a group whose channels cannot be removed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """One dimension of a module's tensors. For each index: the number of its channel group (`group`, or FIXED) and of
    the channel in that group (`channel`), both int64."""

    group: NDArray[np.int64]
    channel: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """The channel groups of a network.

    `sizes` holds the number of channels of each group. By the name of a module, `outputs` describes the first dimension
    of all its tensors, and `inputs` the second dimension of the weight of a Linear or Conv2d layer. `whole` says, by
    the names of layers that make channels, why these cannot be removed.
    """

    sizes: tuple[int, ...]
    outputs: dict[str, Axis]
    inputs: dict[str, Axis]
    whole: dict[str, str] = field(default_factory=dict)

    def members(self, group: int) -> list[str]:
        """The names of the modules whose outputs belong to the group."""
        return [name for name, axis in self.outputs.items() if (axis.group == group).any()]

    def fixed(self, group: int, reason: str) -> Graph:
        """The graph in which all channels of the group stay."""
        found = copy.deepcopy(self)
        found.whole.update(dict.fromkeys(self.members(group), reason))
        for axis in (*found.outputs.values(), *found.inputs.values()):
            axis.group[axis.group == group] = FIXED
        return found

    def removed(self, module: nn.Module, kept: dict[int, NDArray[np.int64]]) -> nn.Module:
        """A copy of `module` with only the `kept` channels of the groups that `kept` names."""
        smaller = copy.deepcopy(module)
        state = self.sliced(module, kept)
        shrink_layers(smaller, state)
        smaller.load_state_dict(state)
        return smaller

    def sliced(self, module: nn.Module, kept: dict[int, NDArray[np.int64]]) -> dict[str, Tensor]:
        """The state_dict of `module` with only the `kept` channels of the groups that `kept` names."""
        state = dict(module.state_dict())
        for name, layer in module.named_modules():
            if name in self.outputs:
                rows = kept_indices(self.outputs[name], kept)
                for key, value in _own_tensors(name, layer).items():
                    if value.dim() > 0 and len(value) == len(self.outputs[name].group):
                        state[key] = state[key][rows]
            if name in self.inputs:
                key = f"{name}.weight".lstrip(".")
                state[key] = state[key][:, kept_indices(self.inputs[name], kept)]
        # A layer that is reached by several names has its tensors under each of them.
        names = {id(layer): name for name, layer in module.named_modules()}
        for other, layer in module.named_modules(remove_duplicate=False):
            if (name := names[id(layer)]) != other:
                for key in _own_tensors("", layer):
                    state[f"{other}.{key}"] = state[f"{name}.{key}".lstrip(".")]
        return state

    def masks(self, module: nn.Module, kept: dict[int, NDArray[np.int64]]) -> dict[str, Tensor]:
        """Masks of the parameters of `module`, by name: False for channels that are not `kept`, of the groups that
        `kept` names."""
        masks: dict[str, Tensor] = {}
        parameters = dict(module.named_parameters())
        for name, layer in module.named_modules():
            if name in self.outputs:
                rows = kept_indices(self.outputs[name], kept)
                for key, value in _own_tensors(name, layer).items():
                    if key in parameters and value.dim() > 0 and len(value) == len(rows) and not rows.all():
                        masks[key] = (
                            rows.to(value.device).reshape(-1, *[1] * (value.dim() - 1)).expand_as(value).clone()
                        )
            if name in self.inputs:
                key = f"{name}.weight".lstrip(".")
                columns = kept_indices(self.inputs[name], kept)
                if not columns.all():
                    weight = parameters[key]
                    across = columns.to(weight.device).reshape(1, -1, *[1] * (weight.dim() - 2)).expand_as(weight)
                    masks[key] = masks[key] & across if key in masks else across.clone()
        return masks


def _own_tensors(name: str, module: nn.Module) -> dict[str, Tensor]:
    """The module's own parameters and buffers, without those of submodules, by their full names."""
    own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
    return {f"{name}.{key}".lstrip("."): value for key, value in own.items()}


def kept_indices(axis: Axis, kept: dict[int, NDArray[np.int64]]) -> Tensor:
    """bool (indices,): True for the indices of an axis that are kept."""
    stays = np.ones(len(axis.group), bool)
    for group in kept.keys() & set(axis.group.tolist()):
        mine = axis.group == group
        stays[mine] = np.isin(axis.channel[mine], kept[group])
    return torch.from_numpy(stays)
