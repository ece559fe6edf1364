"""Branches: layers beside each other, and what joins their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from zeroskip.model.sparseconv.operators import cat
from zeroskip.model.sparseconv.spconv.functional import sparse_add
from zeroskip.model.sparseconv.spconv.tensor import SparseConvTensor, SparseModule


class ConcatTable(SparseModule):
    """Gives the same tensor to each of its layers."""

    def add(self, module: nn.Module) -> ConcatTable:
        """Adds a layer; returns this one."""
        self.add_module(str(len(self._modules)), module)
        return self

    def forward(self, input: Any) -> list[Any]:
        """The results of the layers."""
        return [module(input) for module in self.children()]


class JoinTable(SparseModule):
    """Joins tensors with the same voxels along their channels."""

    def forward(self, input: Sequence[SparseConvTensor]) -> SparseConvTensor:
        """Raises `ValueError` for tensors with different voxels."""
        return input[0].like(cat([tensor.voxels() for tensor in input]), input[0].indice_dict)


class AddTable(SparseModule):
    """Sums tensors with the same voxels."""

    def forward(self, input: Sequence[SparseConvTensor]) -> SparseConvTensor:
        """Raises `ValueError` for tensors with different voxels or channels."""
        total, *others = input
        for other in others:
            total = total + other
        return total


class AddTableMisaligned(SparseModule):
    """`functional.sparse_add` as a layer: sums tensors whose voxels may differ."""

    def forward(self, input: Sequence[SparseConvTensor]) -> SparseConvTensor:
        """See `functional.sparse_add`."""
        return sparse_add(*input)
