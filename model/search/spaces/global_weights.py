"""Single weights of a whole network that compete with one another, for `zeroskip finetune --compression`."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from zeroskip.model.pruning.criteria import Criterion, l1
from zeroskip.model.pruning.masks import allocate_globally
from zeroskip.model.search.plan import WEIGHTS
from zeroskip.model.search.spaces.batch_norm import prune
from zeroskip.model.search.spaces.space import Densities

NETWORK = "network"
"""The one group that densities name here: all weights of all Linear and Conv2d layers."""


class GlobalWeightSpace:
    """Prunes as a zeroskip.model.search.spaces.space.Space does, but with one density for all: the criterion finds what
    goes, anew in every round, and a layer may keep any number of its weights, even none."""

    granularity = WEIGHTS

    def __init__(self, module: nn.Module, calibration: Tensor) -> None:
        self.module = module
        self.calibration = calibration

    def masks(self, module: nn.Module, densities: Densities, criterion: Criterion = l1) -> dict[str, Tensor]:
        density = densities.get(NETWORK, 1.0)
        if density == 1:
            return {}
        # What is zero has gone before, whatever a criterion says of it.
        live = {
            name: values.masked_fill(module.get_parameter(name) == 0, -1.0)
            for name, values in criterion(module, "weight").items()
        }
        return allocate_globally(live, density)

    def masked(self, densities: Densities, criterion: Criterion = l1) -> nn.Module:
        """The dense network pruned."""
        pruned = copy.deepcopy(self.module)
        prune(pruned, self.masks(self.module, densities, criterion), self.calibration)
        return pruned

    def remove(self, pruned: nn.Module, densities: Densities) -> nn.Module:
        """The network as it is: single weights cannot be left out of a tensor."""
        return pruned
