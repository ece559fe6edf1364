"""What makes a weight, or an output channel, worth keeping: scores, of which larger is better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from zeroskip.model.pruning.masks import prunable_weights

Granularity = Literal["weight", "channel"]
"""What is kept or removed as one: a single weight, or all weights of an output channel (an output of a Linear)."""

Criterion = Callable[[nn.Module, Granularity], dict[str, Tensor]]
"""Scores of all Linear and Conv2d weights of a module, by parameter name ("0.weight"): tensors of the weight's shape,
or (outputs,) of channels. `keep_largest`, `allocate_per_layer` and `allocate_globally` take them as they are."""


def magnitude(weight: Tensor) -> Tensor:
    """Large weights matter (Han et al., NeurIPS 2015)."""
    return weight.detach().abs()


def l1(module: nn.Module, granularity: Granularity = "weight") -> dict[str, Tensor]:
    """The sum of magnitudes (weights: Han et al., NeurIPS 2015; channels: Li et al., ICLR 2017, section 3.1)."""
    return {name: total(magnitude(weight), granularity) for name, weight in prunable_weights(module).items()}


def l2(module: nn.Module, granularity: Granularity = "weight") -> dict[str, Tensor]:
    """The Euclidean norm, which NetAdapt chooses filters by (Yang et al., ECCV 2018, section 3.3); of single weights
    it is the magnitude."""
    return {
        name: total(magnitude(weight) ** 2, granularity).sqrt() for name, weight in prunable_weights(module).items()
    }


@dataclass(frozen=True)
class Random:
    """Uniform in [0, 1), by `seed` and the sizes of the layers alone: what every other criterion has to beat."""

    seed: int

    def __call__(self, module: nn.Module, granularity: Granularity = "weight") -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        # Drawn for each channel, not summed: a sum would favour the channels with most weights.
        return {
            name: torch.rand(total(weight.detach(), granularity).shape, generator=generator)
            for name, weight in prunable_weights(module).items()
        }


def relative(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor divided by its Euclidean norm, so that layers of other sizes can compete (Molchanov et al., ICLR
    2017, section 2.2)."""
    # A layer of zeros stays one.
    return {name: values / (values.norm() or 1) for name, values in scores.items()}


def total(values: Tensor, granularity: Granularity) -> Tensor:
    """Values of weights (outputs, ...) summed at a granularity: as they are, or (outputs,)."""
    if granularity not in ("weight", "channel"):
        raise ValueError(f"granularity must be 'weight' or 'channel', not {granularity!r}")
    return values if granularity == "weight" else values.flatten(1).sum(1)
