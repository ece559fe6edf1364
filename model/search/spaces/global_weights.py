"""Global weight pruning, where all weights of a network compete, for `zeroskip finetune --compression`."""

from __future__ import annotations

import copy
from functools import partial

from torch import Tensor, nn

from zeroskip.model.device import moved
from zeroskip.model.pruning.criteria import Criterion, l1
from zeroskip.model.pruning.masks import allocate_globally
from zeroskip.model.search.plan import WEIGHTS
from zeroskip.model.search.spaces.batch_norm import prune
from zeroskip.model.search.spaces.refit import Refit
from zeroskip.model.search.spaces.space import Densities

NETWORK = "network"
"""The name of the only pruning group: all weights of all Linear and Conv2d layers."""


class GlobalWeightSpace:
    """Prunes like a zeroskip.model.search.spaces.space.Space, but with one density for the whole network. The criterion
    ranks all weights again in every round, and a layer may keep any number of its weights, even none."""

    granularity = WEIGHTS

    def __init__(self, module: nn.Module, calibration: Tensor, *, refit: bool = True) -> None:
        self.module = module
        self.calibration = calibration
        self.refit = refit

    def to(self, device: str) -> None:
        """Moves the network and the samples to a device (zeroskip.model.device)."""
        self.module, self.calibration = moved(self.module, device), self.calibration.to(device)

    def masks(self, module: nn.Module, densities: Densities, criterion: Criterion | None = None) -> dict[str, Tensor]:
        density = densities.get(NETWORK, 1.0)
        if density == 1:
            return {}
        # Weights that are zero were pruned before, so they rank last whatever their score.
        live = {
            name: values.masked_fill(module.get_parameter(name) == 0, -1.0)
            for name, values in (criterion or l1)(module, "weight").items()
        }
        return allocate_globally(live, density)

    def masked(self, densities: Densities, criterion: Criterion | None = None) -> nn.Module:
        """The pruned network, in the shape of the dense network."""
        pruned = copy.deepcopy(self.module)
        fit = partial(Refit, self.module, self.calibration) if self.refit else None
        prune(pruned, self.masks(self.module, densities, criterion), self.calibration, fit)
        return pruned

    def remove(self, pruned: nn.Module, densities: Densities) -> nn.Module:
        """The network itself: single weights cannot be removed from a tensor."""
        return pruned
