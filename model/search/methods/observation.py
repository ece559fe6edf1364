"""The features of a pruning group that AMC's agent sees (He et al., ECCV 2018, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.layers import Layer
from zeroskip.model.search.spaces.space import Densities, Space

FEATURES = 11


class Observation:
    """The paper's features of each group, (t, n, c, h, w, stride, k, cost[t], reduced, rest, a_{t-1}), in [0, 1], with
    the cost of the search in the place of FLOPs.

    The first layer of group t gives the outputs n, the inputs c, the input size h x w, the stride and the kernel k (0
    and 1 for a Linear layer). cost[t] is the dense cost of all layers of the group. These and t are scaled so that the
    smallest over all groups is 0 and the largest 1 (0 where all are equal). `reduced` is the cost that the pruning of
    the groups before t saves, `rest` the dense cost of the groups after t; both are fractions of the dense cost.
    a_{t-1} is the density of the inputs of the group's first layer, as far as the groups before t decide it. Where only
    weights are pruned, it is the density of the group before, and 1 for the first group.
    """

    def __init__(self, space: Space, layers: Sequence[Layer], table: CostTable) -> None:
        self.space, self.table = space, table
        by_name = {layer.name: layer for layer in layers}
        costs = [
            sum(table.layer(name, (1.0,) * len(table.layers[name].axes)) for name in group.layers) / table.dense
            for group in space.groups
        ]
        fixed = np.array(
            [(t, *_geometry(by_name[group.layers[0]]), costs[t]) for t, group in enumerate(space.groups)], np.float64
        )
        span = np.ptp(fixed, axis=0)
        self._fixed: NDArray[np.float64] = (fixed - fixed.min(axis=0)) / np.where(span > 0, span, 1)
        self._rest = [sum(costs[t + 1 :]) for t in range(len(costs))]

    def of(self, t: int, densities: Densities) -> Tensor:
        """The features (11,) of group t, given the densities of the groups before it."""
        points = self.space.points(densities)
        reduced = 1 - self.table.total(points) / self.table.dense
        inputs = points[self.space.groups[t].layers[0]][:-1]
        before = inputs[0] if inputs else densities[self.space.groups[t - 1].name] if t else 1.0
        return torch.tensor([*self._fixed[t].tolist(), reduced, self._rest[t], before])

    def all(self, densities: Densities) -> Tensor:
        """The features (groups, 11) of all groups of a plan."""
        names = [group.name for group in self.space.groups]
        return torch.stack([self.of(t, {name: densities[name] for name in names[:t]}) for t in range(len(names))])


def _geometry(layer: Layer) -> tuple[int, ...]:
    """n, c, h, w, stride, k."""
    inputs, outputs = layer.channels
    if isinstance(layer.module, nn.Conv2d):
        return outputs, inputs, *layer.size, layer.module.stride[0], layer.module.kernel_size[0]
    return outputs, inputs, *layer.size, 0, 1
