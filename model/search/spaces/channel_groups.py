"""Channel groups, which can only be removed together, from torch-pruning's dependency graph."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.network.modes import in_mode
from zeroskip.model.pruning.data_checks import error_line

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
    of all its tensors, and `inputs` the second dimension of the weight of a Linear or Conv2d layer.
    """

    sizes: tuple[int, ...]
    outputs: dict[str, Axis]
    inputs: dict[str, Axis]

    def members(self, group: int) -> list[str]:
        """The names of the modules whose outputs belong to the group."""
        return [name for name, axis in self.outputs.items() if (axis.group == group).any()]

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
                        masks[key] = rows.reshape(-1, *[1] * (value.dim() - 1)).expand_as(value).clone()
            if name in self.inputs:
                key = f"{name}.weight".lstrip(".")
                columns = kept_indices(self.inputs[name], kept)
                if not columns.all():
                    weight = parameters[key]
                    across = columns.reshape(1, -1, *[1] * (weight.dim() - 2)).expand_as(weight)
                    masks[key] = masks[key] & across if key in masks else across.clone()
        return masks


def read_graph(module: nn.Module, sample: Tensor) -> Graph:
    """The channel groups of a network, which is run on `sample` (1, ...).

    Groups pass through residual additions, depthwise convolutions, concatenations and flattening. A group is FIXED if
    a layer other than Linear, Conv2d, BatchNorm and PReLU has its channels, or a layer has only some of them. Raises
    ValueError, with the reason, where the graph cannot be built.
    """
    # Importing it takes long, and only channel pruning needs it.
    import torch_pruning

    names = {id(layer): name for name, layer in module.named_modules()}
    try:
        with in_mode(module, training=False), _unfrozen(module), warnings.catch_warnings():
            # It warns about parameters outside of layers, which it does not change.
            warnings.simplefilter("ignore")
            built = torch_pruning.DependencyGraph().build_dependency(module, sample, verbose=False)
            groups = list(built.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]))
    except Exception as error:
        # It runs the user's forward(), which can raise anything.
        raise ValueError(f"no dependency graph of the network's channels can be built ({error_line(error)})") from error
    outputs: dict[str, Axis] = {}
    inputs: dict[str, Axis] = {}
    for number, group in enumerate(groups):
        incomplete = False
        for item in group:
            layer = item.dep.target.module
            name = names.get(id(layer))
            if name is None or isinstance(layer, nn.Identity):
                continue
            into = item.dep.handler.__name__ == "prune_in_channels"
            size = _size(layer, into)
            if size is None:
                # Modules without parameters can have any number of channels. Unknown ones with parameters must stay.
                incomplete |= not into and any(True for _ in layer.parameters(recurse=False))
                continue
            side, indices, channels = inputs if into else outputs, list(item.idxs), list(item.root_idxs)
            if name not in side:
                side[name] = Axis(group=np.full(size, FIXED), channel=np.zeros(size, np.int64))
            if max(indices) >= size or set(channels) != set(range(len(group[0].idxs))):
                # The layer has only some of the group's channels, as where a concatenation is added to something.
                incomplete = True
                continue
            side[name].group[indices] = number
            side[name].channel[indices] = channels
        if incomplete:
            for axis in (*outputs.values(), *inputs.values()):
                axis.group[axis.group == number] = FIXED
    return Graph(sizes=tuple(len(group[0].idxs) for group in groups), outputs=outputs, inputs=inputs)


@contextmanager
def _unfrozen(module: nn.Module) -> Iterator[None]:
    """Within the block all parameters require gradients, from which the graph is read."""
    frozen = [value for value in module.parameters() if not value.requires_grad]
    try:
        for value in frozen:
            value.requires_grad_(True)
        yield
    finally:
        for value in frozen:
            value.requires_grad_(False)


def _size(layer: nn.Module, into: bool) -> int | None:
    """The number of inputs (`into`) or outputs of a layer that can lose some of them; None for other modules."""
    if isinstance(layer, nn.Linear):
        return layer.in_features if into else layer.out_features
    if isinstance(layer, nn.Conv2d):
        # The second dimension of a depthwise weight has one input; there is nothing to remove.
        return layer.out_channels if not into else layer.in_channels if layer.groups == 1 else None
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and not into:
        return layer.num_features
    if isinstance(layer, nn.PReLU) and not into and layer.num_parameters > 1:
        return layer.num_parameters
    return None


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
