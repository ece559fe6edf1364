"""Regularisation of Linear and Conv2d weights during training, so that pruning loses less accuracy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeroskip.model.pruning.masks import prunable_weights
from zeroskip.model.pruning.training import Penalty


@dataclass(frozen=True)
class _Constant:
    """A penalty that does not change during training: `strength` times a sum over the weights."""

    strength: float

    def __post_init__(self) -> None:
        _require_positive("strength", self.strength)

    def __call__(self, module: nn.Module, step: int) -> Tensor:
        return self.strength * torch.stack([self.of(weight) for weight in prunable_weights(module).values()]).sum()

    def of(self, weight: Tensor) -> Tensor:
        """The sum over one weight tensor (outputs, ...)."""
        raise NotImplementedError


class L1(_Constant):
    """strength * sum |w|: pulls all weights towards zero with the same force. Best if there is no training after
    pruning (Han et al., NeurIPS 2015, section 3.1)."""

    def of(self, weight: Tensor) -> Tensor:
        return weight.abs().sum()


class L2(_Constant):
    """strength / 2 * sum w^2: the gradient of SGD's weight decay, but not on biases and batch normalisation. Best if
    training continues after pruning (Han et al., NeurIPS 2015, section 3.1)."""

    def of(self, weight: Tensor) -> Tensor:
        return weight.square().sum() / 2


class GroupLasso(_Constant):
    """strength * sum over output channels of sqrt(weights) * ||w||: pulls whole channels towards zero (Yuan & Lin 2006,
    eq. 2.1; for filters: Wen et al., NeurIPS 2016, eq. 2)."""

    def of(self, weight: Tensor) -> Tensor:
        channels = weight.flatten(1)
        return math.sqrt(channels.shape[1]) * torch.linalg.vector_norm(channels, dim=1).sum()


@dataclass(frozen=True, kw_only=True)
class Growing:
    """Growing regularisation (Wang et al., ICLR 2021, arXiv 2012.09243): an L2 penalty on the weights that are to be
    pruned, which grows until they are near zero. Meanwhile the other weights learn to replace them.

    Its factor is 0 at first and grows by `growth` every `every` steps up to `ceiling`; the penalty is factor / 2 * sum
    w^2. The defaults are those of the paper's code for GReg-1 on ImageNet. GReg-2, which also chooses the weights to
    prune, penalises all weights (masks without a True) with a `growth` of 1e-5 up to 1e-2, and then prunes by
    magnitude.
    """

    growth: float = 1e-4
    every: int = 5
    ceiling: float = 1.0

    def __post_init__(self) -> None:
        _require_positive("growth", self.growth)
        _require_positive("ceiling", self.ceiling)
        if self.every < 1:
            raise ValueError(f"every must be at least 1, not {self.every}")

    def factor(self, step: int) -> float:
        """The factor after `step` steps of the training."""
        return min(self.ceiling, self.growth * (step // self.every))

    def on(self, masks: Mapping[str, Tensor]) -> Penalty:
        """The penalty on the parameters named in `masks` (see `Masks`), where the masks are False."""
        going = {name: (~mask).float() for name, mask in masks.items()}

        def penalty(module: nn.Module, step: int) -> Tensor:
            squares = [(module.get_parameter(name).square() * chosen).sum() for name, chosen in going.items()]
            return self.factor(step) / 2 * torch.stack(squares).sum()

        return penalty


def _require_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be above 0 and finite, not {value}")
