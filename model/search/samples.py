"""Training and validation samples of a search."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Some of a data set's training samples: `inputs` (n, ...) and `labels` (n,)."""

    inputs: Tensor
    labels: Tensor

    def first(self, count: int) -> Samples:
        """The first `count` samples, or all if there are fewer."""
        return Samples(inputs=self.inputs[:count], labels=self.labels[:count])

    def to(self, device: str) -> Samples:
        """The samples on a device (zeroskip.model.device)."""
        return Samples(inputs=self.inputs.to(device), labels=self.labels.to(device))
