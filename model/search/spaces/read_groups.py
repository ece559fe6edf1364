"""Reads the channel groups of a network from the dependences between its channels and features."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from zeroskip.model.pruning.data_checks import error_line
from zeroskip.model.search.spaces.channel_groups import FIXED, Axis, Graph
from zeroskip.model.search.spaces.channel_probing import (
    INPUTS,
    OUTPUTS,
    Dependences,
    is_depthwise,
    makes_channels,
    read_dependences,
)
from zeroskip.model.search.spaces.work import TOO_LONG

OF_THE_OUTPUTS = "they are the network's outputs"
"""Why the last layer stays whole."""


def read_groups(module: nn.Module, sample: Tensor) -> Graph:
    """The channel groups of a network, which is run on `sample` (1, ...).

    Channels are connected where a feature depends on several of them: by residual additions, products, gates and the
    like. What is connected is one channel of a group, which has one channel of each of its layers. A layer stays whole,
    with the reason in the graph, where this is not so, as where an operation mixes its channels or is done to some of
    them only; and where its channels reach the network's outputs, meet its inputs, or reach a grouped convolution that
    is not depthwise.

    Raises ValueError, with the reason, where the network cannot be run in this way.
    """
    try:
        dependences = read_dependences(module, sample)
    except Exception as error:
        # It runs the user's forward(), which can raise anything.
        raise ValueError(f"no dependency graph of the network's channels can be built ({error_line(error)})") from error
    layers = dict(module.named_modules())
    parts = _connected(dependences, layers)
    fixed = _fixed(parts, layers)
    names = [name for name in parts.channels if name != INPUTS and makes_channels(layers[name])]
    sizes: list[int] = []
    whole: dict[str, str] = {}
    group_of, channel_of = np.full(parts.count, FIXED), np.zeros(parts.count, np.int64)
    for members in _sharing([parts.channels[name] for name in names], parts.count):
        makers = [names[at] for at in members]
        reason = "" if dependences.unread.isdisjoint(makers) else TOO_LONG
        reason = reason or _reason(makers, parts, fixed) or _unlike(makers, dependences, layers)
        if reason:
            at_the_end = reason == OF_THE_OUTPUTS
            whole.update({name: _at_the_end(name, dependences, layers) if at_the_end else reason for name in makers})
            continue
        # In the order of the channels of the layer that runs first.
        _, first = np.unique(parts.channels[makers[0]], return_index=True)
        mine = parts.channels[makers[0]][np.sort(first)]
        group_of[mine], channel_of[mine] = len(sizes), np.arange(len(mine))
        sizes.append(len(mine))

    def axis(of: NDArray[np.int64]) -> Axis:
        return Axis(group=group_of[of], channel=channel_of[of])

    inputs, outputs = {}, {}
    for name, of in parts.features.items():
        if name == OUTPUTS:
            continue
        layer = layers[name]
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            outputs[name] = axis(of)
        elif name in parts.channels:
            outputs[name] = axis(parts.channels[name])
            if isinstance(layer, nn.Linear) or layer.groups == 1:
                inputs[name] = axis(of)
    return Graph(sizes=tuple(sizes), outputs=outputs, inputs=inputs, whole=whole)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Parts:
    """The connected parts of all channels and features: the number of the part of each, int64, by layer. There are
    `count` parts."""

    channels: dict[str, NDArray[np.int64]]
    features: dict[str, NDArray[np.int64]]
    count: int


def _connected(found: Dependences, layers: dict[str, nn.Module]) -> _Parts:
    ends = list(accumulate([*found.channels.values(), *found.features.values()], initial=0))
    makers = dict(zip(found.channels, ends, strict=False))
    readers = dict(zip(found.features, ends[len(makers) :], strict=False))
    pairs = [np.zeros((0, 2), np.int64)]
    pairs += [edge + np.array([makers[maker], readers[reader]]) for (maker, reader), edge in found.edges.items()]
    for name in found.channels.keys() & found.features.keys():
        layer = layers[name]
        if isinstance(layer, nn.Conv2d) and is_depthwise(layer):
            # It makes its channels of one feature each.
            channel = np.arange(layer.out_channels)
            feature = channel // (layer.out_channels // layer.groups)
            pairs.append(np.stack([makers[name] + channel, readers[name] + feature], 1))
    count, label = _components(np.concatenate(pairs), ends[-1])
    return _Parts(
        channels={name: label[makers[name] : makers[name] + size] for name, size in found.channels.items()},
        features={name: label[readers[name] : readers[name] + size] for name, size in found.features.items()},
        count=count,
    )


def _components(pairs: NDArray[np.int64], nodes: int) -> tuple[int, NDArray[np.int64]]:
    """The number of connected components, and the component of each node."""
    ones = np.ones(len(pairs), bool)
    count, label = connected_components(coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(nodes, nodes)), False)
    return int(count), label.astype(np.int64)


def _fixed(parts: _Parts, layers: dict[str, nn.Module]) -> dict[int, str]:
    """The parts that must stay, with the reason."""
    fixed = {int(part): "they meet the network's inputs" for part in parts.channels[INPUTS]}
    for name, of in parts.channels.items():
        layer = layers.get(name)
        if isinstance(layer, nn.Conv2d) and layer.groups > 1 and makes_channels(layer):
            reason = f"the grouped convolution '{name}', which is not depthwise, has them"
            fixed |= dict.fromkeys([*parts.features[name].tolist(), *of.tolist()], reason)
    return fixed | {int(part): OF_THE_OUTPUTS for part in parts.features[OUTPUTS]}


def _sharing(parts: list[NDArray[np.int64]], count: int) -> list[list[int]]:
    """The numbers of the layers, in sets that share parts."""
    pairs = np.concatenate([np.stack([np.full(len(of), at), len(parts) + of], 1) for at, of in enumerate(parts)])
    _, label = _components(pairs, len(parts) + count)
    sets: dict[int, list[int]] = {}
    for at in range(len(parts)):
        sets.setdefault(int(label[at]), []).append(at)
    return list(sets.values())


def _reason(makers: list[str], parts: _Parts, fixed: dict[int, str]) -> str:
    """Why the channels of these layers cannot be one group; "" if they can."""
    mine = np.unique(np.concatenate([parts.channels[name] for name in makers]))
    if reasons := [fixed[part] for part in mine.tolist() if part in fixed]:
        return reasons[0]
    if len(mine) == 1:
        return "an operation mixes them" if len(parts.channels[makers[0]]) > 1 else "it is the only one"
    for name in makers:
        found, counts = np.unique(parts.channels[name], return_counts=True)
        if (counts > 1).any():
            return "an operation combines several of them"
        if len(found) < len(mine):
            return "an operation combines only some of them with those of another layer"
    return ""


def _at_the_end(maker: str, found: Dependences, layers: dict[str, nn.Module]) -> str:
    """Why the channels of a layer stay that reach the outputs without another layer between."""
    readers = [reader for (name, reader), edge in found.edges.items() if name == maker and len(edge)]
    if any(isinstance(layers.get(reader), nn.Linear | nn.Conv2d) for reader in readers):
        return "an operation takes them to the network's outputs, past the layers that read them"
    if found.channels[maker] > found.outputs:
        return "an operation that is no layer makes the network's outputs of them"
    return OF_THE_OUTPUTS


def _unlike(makers: list[str], found: Dependences, layers: dict[str, nn.Module]) -> str:
    """How the channels of these layers are read in another way than others, or by nothing; "" if all are read alike."""
    read = False
    for (maker, reader), edge in found.edges.items():
        if maker in makers and len(edge):
            if len(np.unique(np.bincount(edge[:, 0], minlength=found.channels[maker]))) > 1:
                return "an operation treats some of them in another way than the others"
            read |= isinstance(layers.get(reader), nn.Linear | nn.Conv2d)
    return "" if read else "no layer that can be followed reads them"
