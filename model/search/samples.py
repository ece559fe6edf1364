"""Samples that a search trains on, or measures accuracy on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """A part of the training samples: `inputs` (n, ...) and `labels` (n,)."""

    inputs: Tensor
    labels: Tensor

    def first(self, count: int) -> Samples:
        """The first samples, so many at most."""
        return Samples(inputs=self.inputs[:count], labels=self.labels[:count])
