"""N:M sparsity of Linear and Conv2d weights, by magnitude along the input channels (arXiv 2104.08378)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.mma.format import nm_mask as mask_of_matrix
from zeroskip.model.mma.pattern import Pattern
from zeroskip.model.pruning.criteria import magnitude
from zeroskip.model.pruning.masks import prunable_layers


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """What a mask does to one layer: `pad` input channels of zeros fill its last group, `kept` of its `total` weights
    stay, and with them the fraction `magnitude` of the sum of their absolute values."""

    name: str
    shape: tuple[int, ...]
    pad: int
    kept: int
    total: int
    magnitude: float


def padding(shape: Sequence[int], pattern: Pattern) -> int:
    """How many input channels of zeros a weight of this shape (outputs, inputs, ...) needs to divide into groups."""
    return -shape[1] % pattern.group


def largest(weight: Tensor, pattern: Pattern) -> Tensor:
    """`nm_mask` without its checks: NaN counts as largest, so that training that diverges is told as such."""
    # Input channels last, as the tile meets them: a convolution's reduction runs over (height, width, channel).
    last = magnitude(weight).movedim(1, -1)
    # Behind all others, so that zeros of padding lose against a real zero.
    padded = F.pad(last, (0, padding(weight.shape, pattern))).nan_to_num(nan=torch.inf)
    # numpy knows no bfloat16, and every weight is exact in float64.
    rows = padded.flatten(0, -2).double().numpy()
    kept = torch.from_numpy(mask_of_matrix(rows, pattern)).reshape(padded.shape)
    return kept[..., : last.shape[-1]].movedim(-1, 1).contiguous()


def nm_mask(weight: Tensor, pattern: Pattern) -> Tensor:
    """The bool mask, of the shape of `weight`, of the largest magnitudes that `pattern` allows; of equal the earlier.

    `weight` is that of a Linear (outputs, inputs) or a Conv2d (outputs, inputs / groups, height, width). A group is
    `pattern.group` neighbouring input channels, at one place of the kernel; a pair counts by the sum of its two
    magnitudes. Where the channels do not divide into groups, the last group has fewer and as many lanes.
    """
    if weight.dim() not in (2, 4):
        raise ValueError(f"weight must have 2 dimensions (Linear) or 4 (Conv2d), not the shape {tuple(weight.shape)}")
    if torch.isnan(weight).any():
        raise ValueError("weight must be numbers, but some are NaN")
    return largest(weight, pattern)


def nm_share(weight: Tensor, pattern: Pattern) -> float:
    """The fraction of a weight that `nm_mask` keeps: more than the pattern says where channels do not fill groups, and
    all of it where there are no more channels than may stay of a group."""
    return float(nm_mask(weight, pattern).float().mean())


def nm_masks(module: nn.Module, pattern: Pattern, *, skip: Collection[str] = ()) -> dict[str, Tensor]:
    """A mask for the weight of every Linear and Conv2d layer, by parameter name; the layers named in `skip` stay dense.

    Raises ValueError where `skip` names no such layer, and naming the layer whose weights are NaN.
    """
    layers = prunable_layers(module)
    for name in skip:
        if name not in layers:
            raise ValueError(f"skip must name Linear or Conv2d layers ({', '.join(layers)}), not '{name}'")
    masks = {}
    for name, layer in layers.items():
        if name in skip:
            continue
        try:
            masks[f"{name}.weight".lstrip(".")] = nm_mask(layer.weight, pattern)
        except ValueError as error:
            raise ValueError(f"layer '{name}': {error}") from error
    return masks


def layer_reports(module: nn.Module, masks: Mapping[str, Tensor], pattern: Pattern) -> list[LayerReport]:
    """What `masks` do to each Linear and Conv2d layer of `module`, whose weights are those before they are masked.

    A layer without a mask keeps all weights and needs no padding.
    """
    reports = []
    for name, layer in prunable_layers(module).items():
        sizes = magnitude(layer.weight).double()
        mask = masks.get(f"{name}.weight".lstrip("."))
        everything, kept = float(sizes.sum()), float(sizes.sum() if mask is None else sizes[mask].sum())
        reports.append(
            LayerReport(
                name=name,
                shape=tuple(sizes.shape),
                pad=0 if mask is None else padding(sizes.shape, pattern),
                kept=sizes.numel() if mask is None else int(mask.sum()),
                total=sizes.numel(),
                magnitude=kept / everything if everything else 1.0,
            )
        )
    return reports
