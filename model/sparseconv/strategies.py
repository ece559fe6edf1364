"""TorchSparse's dataflows in torch, for any device: gather-matmul-scatter in groups, implicit GEMM, fetch on demand.

All sum each output's pairs in an order that depends on the map and the strategy alone. Gradients of weights are those
of the plain execution.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from zeroskip.model.sparseconv import reference
from zeroskip.model.sparseconv.grouping import Group, Grouping
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.reference import finished, multiply, sum_type


@dataclass(frozen=True, kw_only=True)
class GatherScatter:
    """Gathers the inputs of a group of elements, multiplies them in one product or several, and scatters the sums."""

    grouping: Grouping = field(default_factory=Grouping)

    @property
    def NAME(self) -> str:
        """The name of the execution: the grouping, with its numbers if it is adaptive."""
        kind = self.grouping.kind
        return f"adaptive:{self.grouping.epsilon}:{self.grouping.mm_thresh}" if kind == "adaptive" else kind

    def convolve(self, feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
        """Sums (outputs, out channels) of feats (inputs, in channels) by weight (volume, in channels, out channels)."""
        dtype, wide = feats.dtype, sum_type(feats.dtype)
        feats, weight = feats.to(wide), weight.to(wide)
        centre = kmap.identity
        sums = torch.zeros(kmap.out_count, weight.shape[2], dtype=wide, device=feats.device)
        if centre is not None:
            sums += multiply(feats, weight[centre])
        for group in self.grouping.groups(kmap.sizes, kmap.symmetric):
            if group.batched:
                products = self._padded_products(feats, weight, kmap, group)
            else:
                products = [multiply(feats.index_select(0, kmap.pairs(one)[0]), weight[one]) for one in group.elements]
            # Outputs of one element differ from each other: the order of its additions does not matter.
            for element, product in zip(group.elements, products, strict=True):
                outputs = kmap.pairs(element)[1]
                sums.index_add_(0, outputs, product[: len(outputs)])
        return finished(sums, dtype)

    @staticmethod
    def _padded_products(feats: Tensor, weight: Tensor, kmap: KernelMap, group: Group) -> list[Tensor]:
        longest = max(kmap.sizes[element] for element in group.elements)
        gathered = feats.new_zeros(len(group.elements), longest, feats.shape[1])
        for member, element in enumerate(group.elements):
            inputs = kmap.pairs(element)[0]
            torch.index_select(feats, 0, inputs, out=gathered[member, : len(inputs)])
        return list(multiply(gathered, weight[list(group.elements)]))

    weight_gradient = staticmethod(reference.weight_gradient)


@dataclass(frozen=True, kw_only=True)
class ImplicitGemm:
    """For each tile of outputs one product: the inputs of all elements side by side, zeros where there is none, by all
    weights. Nothing is scattered; absent pairs are multiplied, too. `tile` outputs at a time bound the memory."""

    tile: int = 4096

    NAME = "implicit-gemm"

    def convolve(self, feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
        """Sums (outputs, out channels) of feats (inputs, in channels) by weight (volume, in channels, out channels)."""
        dtype, wide = feats.dtype, sum_type(feats.dtype)
        channels = feats.shape[1]
        # The row after the last one stands for an absent input.
        rows = torch.cat([feats.to(wide), feats.new_zeros(1, channels, dtype=wide)])
        matrix = weight.to(wide).reshape(kmap.volume * channels, weight.shape[2])
        sums = torch.empty(kmap.out_count, weight.shape[2], dtype=wide, device=feats.device)
        for start in range(0, kmap.out_count, self.tile):
            part = _table(kmap)[start : start + self.tile]
            gathered = rows.index_select(0, part.flatten()).view(len(part), kmap.volume * channels)
            sums[start : start + len(part)] = multiply(gathered, matrix)
        return finished(sums, dtype)

    weight_gradient = staticmethod(reference.weight_gradient)


def _table(kmap: KernelMap) -> Tensor:
    """(outputs, volume) int32: the input that an output meets through each element; the number of inputs for none."""
    if "table" not in kmap.derived:
        device = kmap.inputs.device
        elements = torch.repeat_interleave(
            torch.arange(kmap.volume, device=device), torch.tensor(kmap.sizes, device=device)
        )
        table = torch.full((kmap.out_count, kmap.volume), kmap.in_count, dtype=torch.int32, device=device)
        table[kmap.outputs.to(torch.int64), elements] = kmap.inputs
        kmap.derived["table"] = table
    found: Tensor = kmap.derived["table"]
    return found


@dataclass(frozen=True, kw_only=True)
class FetchOnDemand:
    """Takes `chunk` pairs of an element at a time, and adds their products to the outputs at once: no buffer holds all
    rows of an element."""

    chunk: int = 2048

    NAME = "fetch-on-demand"

    def convolve(self, feats: Tensor, weight: Tensor, kmap: KernelMap) -> Tensor:
        """Sums (outputs, out channels) of feats (inputs, in channels) by weight (volume, in channels, out channels)."""
        wide = sum_type(feats.dtype)
        sums = torch.zeros(kmap.out_count, weight.shape[2], dtype=wide, device=feats.device)
        for element, matrix in enumerate(weight.to(wide)):
            inputs, outputs = kmap.pairs(element)
            for some, places in zip(inputs.split(self.chunk), outputs.split(self.chunk), strict=True):
                if len(some):
                    sums.index_add_(0, places, multiply(feats.index_select(0, some).to(wide), matrix))
        return finished(sums, feats.dtype)

    weight_gradient = staticmethod(reference.weight_gradient)
