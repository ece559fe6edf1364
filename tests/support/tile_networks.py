"""Small torch networks, for the tests of what compiles and runs them."""

from __future__ import annotations

import torch
from torch import nn

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.nm import nm_masks


def pruned(module: nn.Module, pattern: Pattern) -> nn.Module:
    """The module itself, in eval mode, its weights pruned."""
    Masks(module, nm_masks(module, pattern)).apply()
    return module.eval()


def mlp(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(30, 21), nn.BatchNorm1d(21), nn.ReLU(), nn.Linear(21, 5))
    module[1].running_mean.uniform_(-1, 1)
    module[1].running_var.uniform_(0.5, 2)
    return module


def conv(seed: int = 0) -> nn.Module:
    """Images of one channel, so that the first layer runs dense; padding, stride, groups, pooling, no bias."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, stride=2, bias=False),
        nn.ReLU(),
        nn.Conv2d(12, 8, 1, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 2 * 2, 7),
    )


def averaging(seed: int = 0) -> nn.Module:
    """1x8x8, with average pooling of every kind: windows that overlap and see padding, ReLU behind, the whole image."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.AvgPool2d(3, 2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 1),
        nn.ReLU(),
        nn.AvgPool2d((1, 2)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    ).eval()
