"""Which channels of a network belong together: read from torch-pruning's dependency graph."""

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
from zeroskip.model.pruning.fitting import error_line

FIXED = -1
"""The group of channels that cannot be removed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """A dimension of a module's tensors, index by index: the `group` that it goes with (FIXED for none) and the
    `channel` of that group; int64 each."""

    group: NDArray[np.int64]
    channel: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Groups of channels that can only go together, by the modules that they stand in.

    `outputs` has, by module name, what the first dimension of all its tensors belongs to; `inputs` the second one of
    a Linear's or Conv2d's weight. `sizes` are the channels of each group.
    """

    sizes: tuple[int, ...]
    outputs: dict[str, Axis]
    inputs: dict[str, Axis]

    def members(self, group: int) -> list[str]:
        """The modules whose outputs belong to the group."""
        return [name for name, axis in self.outputs.items() if (axis.group == group).any()]

    def sliced(self, module: nn.Module, kept: dict[int, NDArray[np.int64]]) -> dict[str, Tensor]:
        """The state_dict of `module` with the `kept` channels alone, of the groups that are named."""
        state = dict(module.state_dict())
        for name, part in module.named_modules():
            if name in self.outputs:
                rows = staying(self.outputs[name], kept)
                for key, value in _own_tensors(name, part).items():
                    if value.dim() > 0 and len(value) == len(self.outputs[name].group):
                        state[key] = state[key][rows]
            if name in self.inputs:
                key = f"{name}.weight".lstrip(".")
                state[key] = state[key][:, staying(self.inputs[name], kept)]
        return state

    def masks(self, module: nn.Module, kept: dict[int, NDArray[np.int64]]) -> dict[str, Tensor]:
        """Masks of the parameters of `module` that are zero where channels of the groups named are not `kept`."""
        masks: dict[str, Tensor] = {}
        parameters = dict(module.named_parameters())
        for name, part in module.named_modules():
            if name in self.outputs:
                rows = staying(self.outputs[name], kept)
                for key, value in _own_tensors(name, part).items():
                    if key in parameters and value.dim() > 0 and len(value) == len(rows) and not rows.all():
                        masks[key] = rows.reshape(-1, *[1] * (value.dim() - 1)).expand_as(value).clone()
            if name in self.inputs:
                key = f"{name}.weight".lstrip(".")
                columns = staying(self.inputs[name], kept)
                if not columns.all():
                    weight = parameters[key]
                    across = columns.reshape(1, -1, *[1] * (weight.dim() - 2)).expand_as(weight)
                    masks[key] = masks[key] & across if key in masks else across.clone()
        return masks


def read_graph(module: nn.Module, sample: Tensor) -> Graph:
    """The groups of channels of a network, which runs on `sample` (1, ...).

    Residual additions, depthwise convolutions, concatenations and flattening are followed. Groups in which a layer
    takes part that is none of Linear, Conv2d, BatchNorm and PReLU, or of which a layer has only some of the channels,
    are FIXED. Raises ValueError where the graph cannot be built, saying why.
    """
    # Importing it takes long, and only searches for channels need it.
    import torch_pruning

    names = {id(part): name for name, part in module.named_modules()}
    try:
        with in_mode(module, training=False), _thawed(module), warnings.catch_warnings():
            # It warns of parameters outside of layers, which it then leaves alone.
            warnings.simplefilter("ignore")
            built = torch_pruning.DependencyGraph().build_dependency(module, sample, verbose=False)
            groups = list(built.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]))
    except Exception as error:
        # It runs the user's forward(): anything can come out of it.
        raise ValueError(f"no dependency graph of the network's channels can be built ({error_line(error)})") from error
    outputs: dict[str, Axis] = {}
    inputs: dict[str, Axis] = {}
    for number, group in enumerate(groups):
        torn = False
        for item in group:
            part = item.dep.target.module
            name = names.get(id(part))
            if name is None or isinstance(part, nn.Identity):
                continue
            into = item.dep.handler.__name__ == "prune_in_channels"
            size = _size(part, into)
            if size is None:
                # What has no channels of its own is no matter; what has, and is not known, must stay as it is.
                torn |= not into and any(True for _ in part.parameters(recurse=False))
                continue
            side, indices, channels = inputs if into else outputs, list(item.idxs), list(item.root_idxs)
            if name not in side:
                side[name] = Axis(group=np.full(size, FIXED), channel=np.zeros(size, np.int64))
            if max(indices) >= size or set(channels) != set(range(len(group[0].idxs))):
                # Only some of its channels meet the others: a concatenation that is added to something.
                torn = True
                continue
            side[name].group[indices] = number
            side[name].channel[indices] = channels
        if torn:
            for axis in (*outputs.values(), *inputs.values()):
                axis.group[axis.group == number] = FIXED
    return Graph(sizes=tuple(len(group[0].idxs) for group in groups), outputs=outputs, inputs=inputs)


@contextmanager
def _thawed(module: nn.Module) -> Iterator[None]:
    """The graph is read from gradients: within the block none of the network's parameters is frozen."""
    frozen = [value for value in module.parameters() if not value.requires_grad]
    try:
        for value in frozen:
            value.requires_grad_(True)
        yield
    finally:
        for value in frozen:
            value.requires_grad_(False)


def _size(part: nn.Module, into: bool) -> int | None:
    """How many inputs, or outputs, a layer has of which some could be removed; None of any other module."""
    if isinstance(part, nn.Linear):
        return part.in_features if into else part.out_features
    if isinstance(part, nn.Conv2d):
        # One that is depthwise has a single input a channel: there is nothing to take from its second dimension.
        return part.out_channels if not into else part.in_channels if part.groups == 1 else None
    if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and not into:
        return part.num_features
    if isinstance(part, nn.PReLU) and not into and part.num_parameters > 1:
        return part.num_parameters
    return None


def _own_tensors(name: str, part: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a module itself, by their full names."""
    own = {**dict(part.named_parameters(recurse=False)), **dict(part.named_buffers(recurse=False))}
    return {f"{name}.{key}".lstrip("."): value for key, value in own.items()}


def staying(axis: Axis, kept: dict[int, NDArray[np.int64]]) -> Tensor:
    """bool (indices,): True for what stays."""
    stays = np.ones(len(axis.group), bool)
    for group in kept.keys() & set(axis.group.tolist()):
        mine = axis.group == group
        stays[mine] = np.isin(axis.channel[mine], kept[group])
    return torch.from_numpy(stays)
