"""Changes the layers of a folded network one after another, each knowing what it reads once those before it are
changed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.folded import Folded
from zeroskip.model.network.lower import lower
from zeroskip.model.network.operations import Convolution, Linear, Recurrence
from zeroskip.model.network.subset import chosen
from zeroskip.model.progress import Progress, Step, silent

SAMPLES = 512
"""At most this many samples, taken by chance with a fixed seed. All run together, layer by layer."""

VALUES = 1 << 22
"""Where the samples have more values than this together, fewer are used, but at least LEAST_SAMPLES."""

LEAST_SAMPLES = 64

_CHUNK = 1 << 22
"""Values of the input vectors that are in memory at once, in double precision."""

Moments = NDArray[np.float64]
"""The second moments of what a layer reads, the mean of x x^T over its input vectors x: (groups, inputs + 1, inputs
+ 1), for a Linear layer with one group. The last input is the constant one, by which a bias is multiplied."""

Change = Callable[[int, nn.Linear | nn.Conv2d, Moments], None]
"""Changes the weights of the layer of an operation (its number) in place."""


def layer_by_layer(
    folded: Folded, inputs: NDArray[np.float32], change: Change, progress: Progress = silent, *, task: str
) -> Folded:
    """A copy of a folded network whose Linear and Conv2d layers `change` has changed, in the order in which they run:
    the moments that it gets are those of the network with all layers before already changed, on samples of the
    network's `inputs` (samples x ...). Raises ValueError if their shape does not fit the network, or where they
    overflow in it."""
    lower(folded.operations, inputs.shape[1:])
    changed = copy.deepcopy(folded)
    layers = changed.layers
    total = sum(isinstance(operation, Linear | Convolution) for operation in changed.operations)
    done = 0

    def see(number: int, given: tuple[Tensor, ...]) -> None:
        nonlocal done
        operation, layer = changed.operations[number], layers[number]
        if not isinstance(operation, Linear | Convolution):
            return
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        progress(Step(task=task, done=done, total=total, unit="layers"))
        done += 1
        vectors = given[0]
        if isinstance(operation, Recurrence):
            assert isinstance(layer, nn.Linear)
            vectors = _states(layer, vectors)
        found = moments(layer, vectors)
        if not np.isfinite(found).all():
            raise ValueError(
                f"operation {number} of the folded network: its inputs must be finite, but they overflow; scale the "
                "samples down"
            )
        change(number, layer, found)

    values = torch.from_numpy(np.ascontiguousarray(inputs[chosen(len(inputs), _count(inputs.shape[1:]))]))
    with torch.no_grad():
        changed.run(values if changed.images else values.flatten(1), see)
    return changed


def moments(layer: nn.Linear | nn.Conv2d, given: Tensor) -> Moments:
    """The second moments of a layer's input vectors. `given` are its inputs: (n, ..., inputs), or images."""
    if isinstance(layer, nn.Linear):
        groups, inputs = 1, layer.in_features
        given = given.reshape(-1, inputs)
        width = inputs
    else:
        groups, inputs = layer.groups, layer.weight[0].numel()
        # Each position of an image gives a vector.
        width = groups * inputs * given.shape[2] * given.shape[3]
    found = np.zeros((groups, inputs + 1, inputs + 1))
    count = 0
    for part in given.split(max(1, _CHUNK // width)):
        for group, rows in enumerate(_vectors(layer, part, groups)):
            vectors = np.column_stack((rows.double().numpy(), np.ones(len(rows))))
            found[group] += vectors.T @ vectors
        count += len(rows)
    return found / max(1, count)


def matrices(layer: nn.Linear | nn.Conv2d) -> Sequence[Tensor]:
    """The weights as a matrix (outputs, inputs) for each group: views, by which they can be changed."""
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    return layer.weight.detach().flatten(1).chunk(groups)


def _vectors(layer: nn.Linear | nn.Conv2d, given: Tensor, groups: int) -> Sequence[Tensor]:
    """For each group its input vectors (vectors, inputs)."""
    if isinstance(layer, nn.Linear):
        return [given]
    assert not isinstance(layer.padding, str)
    patches = F.unfold(given, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    return patches.transpose(1, 2).reshape(-1, patches.shape[1]).chunk(groups, dim=1)


def _states(layer: nn.Linear, given: Tensor) -> Tensor:
    """What a recurrent layer multiplies: the states of all steps but the last, and none before the first."""
    states = layer(given).reshape(len(given), -1, layer.in_features)
    return torch.cat((torch.zeros_like(states[:, :1]), states[:, :-1]), 1)


def _count(shape: tuple[int, ...]) -> int:
    return min(SAMPLES, max(LEAST_SAMPLES, VALUES // max(1, math.prod(shape))))
