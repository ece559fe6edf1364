"""A network of the table: where its structure is from, how it is made, and what it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Entry:
    """`source` is a file of a public repository, or a paper; `shape` that of a sample. With a `vocabulary`, samples are
    whole numbers below it."""

    name: str
    source: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    vocabulary: int | None = None

    def module(self) -> nn.Module:
        """The network in eval mode, with statistics of its normalisations that matter."""
        torch.manual_seed(7)
        network = self.make()
        for part in network.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(part.running_mean, -0.3, 0.3)
                nn.init.uniform_(part.running_var, 0.5, 1.5)
        return network.eval()

    def inputs(self, count: int = 24) -> Tensor:
        """Samples (count, *shape), float32."""
        generator = torch.Generator().manual_seed(11)
        if self.vocabulary is not None:
            return torch.randint(self.vocabulary, (count, *self.shape), generator=generator).float()
        return torch.randn(count, *self.shape, generator=generator)
