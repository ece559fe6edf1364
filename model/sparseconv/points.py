"""Points with features, as networks that mix points and voxels carry them along."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class PointTensor:
    """Features `F` (points, channels) and coordinates `C` of points, with what torchsparse keeps beside them.

    `idx_query`, `weights` and `additional_features` are dictionaries for what a network computes once and uses again.
    """

    def __init__(
        self,
        feats: Tensor,
        coords: Tensor,
        idx_query: dict[Any, Any] | None = None,
        weights: dict[Any, Any] | None = None,
    ) -> None:
        self.F = feats
        self.C = coords
        self.idx_query = {} if idx_query is None else idx_query
        self.weights = {} if weights is None else weights
        self.additional_features: dict[str, dict[Any, Any]] = {"idx_query": {}, "counts": {}}

    def to(self, device: Any, non_blocking: bool = True) -> PointTensor:
        """Moves features and coordinates to a device, in place."""
        self.F = self.F.to(device, non_blocking=non_blocking)
        self.C = self.C.to(device, non_blocking=non_blocking)
        return self

    def cuda(self) -> PointTensor:
        """Moves the points to the GPU, in place."""
        return self.to("cuda")

    def detach(self) -> PointTensor:
        """Cuts features and coordinates off from the graph of their gradients, in place."""
        self.F, self.C = self.F.detach(), self.C.detach()
        return self

    def __add__(self, other: PointTensor) -> PointTensor:
        """Sums features point by point."""
        if self.F.shape != other.F.shape:
            raise ValueError(f"features must have equal shapes, not {tuple(self.F.shape)} and {tuple(other.F.shape)}")
        result = PointTensor(self.F + other.F, self.C, self.idx_query, self.weights)
        result.additional_features = self.additional_features
        return result
