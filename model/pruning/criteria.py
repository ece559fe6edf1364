"""Pruning criteria: scores of weights or output channels. The largest scores are kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from zeroskip.model.pruning.masks import prunable_weights

Granularity = Literal["weight", "channel"]
"""What a score stands for: a single weight, or all weights of an output channel (of one output of a Linear layer)."""

Criterion = Callable[[nn.Module, Granularity], dict[str, Tensor]]
"""Gives the scores of all Linear and Conv2d weights of a module, by parameter name ("0.weight"): tensors in the shape
of the weight, or (outputs,) for channels. `keep_largest`, `allocate_per_layer` and `allocate_globally` take them."""


def magnitude(weight: Tensor) -> Tensor:
    """The absolute value of each weight (Han et al., NeurIPS 2015)."""
    return weight.detach().abs()


def l1(module: nn.Module, granularity: Granularity = "weight") -> dict[str, Tensor]:
    """The sum of magnitudes (weights: Han et al., NeurIPS 2015; channels: Li et al., ICLR 2017, section 3.1)."""
    return {name: total(magnitude(weight), granularity) for name, weight in prunable_weights(module).items()}


def l2(module: nn.Module, granularity: Granularity = "weight") -> dict[str, Tensor]:
    """The Euclidean norm, by which NetAdapt ranks filters (Yang et al., ECCV 2018, section 3.3); for single weights it
    is the magnitude."""
    return {
        name: total(magnitude(weight) ** 2, granularity).sqrt() for name, weight in prunable_weights(module).items()
    }


@dataclass(frozen=True)
class Random:
    """Uniform random scores in [0, 1), the baseline of all criteria. They depend on `seed` and the layers' sizes
    alone."""

    seed: int

    def __call__(self, module: nn.Module, granularity: Granularity = "weight") -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        # One number is drawn for each channel. A sum over its weights would favour large channels.
        return {
            name: torch.rand(total(weight.detach(), granularity).shape, generator=generator).to(weight.device)
            for name, weight in prunable_weights(module).items()
        }


def total(values: Tensor, granularity: Granularity) -> Tensor:
    """Values (outputs, ...) at a granularity: unchanged for weights, or summed over each channel (outputs,)."""
    if granularity not in ("weight", "channel"):
        raise ValueError(f"granularity must be 'weight' or 'channel', not {granularity!r}")
    return values if granularity == "weight" else values.flatten(1).sum(1)
