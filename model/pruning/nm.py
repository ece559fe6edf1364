"""N:M sparsity of Linear and Conv2d weights, by magnitude along the input channels (arXiv 2104.08378)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.mma.format import nm_mask as mask_of_matrix
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.criteria import magnitude
from zeroskip.model.pruning.masks import prunable_layers


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """The effect of a mask on one layer: `pad` input channels of zeros complete its last group, `kept` of its `total`
    weights are kept, and `magnitude` is their fraction of the sum of absolute values."""

    name: str
    shape: tuple[int, ...]
    pad: int
    kept: int
    total: int
    magnitude: float


def padding(shape: Sequence[int], pattern: Pattern) -> int:
    """The number of input channels of zeros that complete the last group of a weight (outputs, inputs, ...)."""
    return -shape[1] % pattern.group


def largest(weight: Tensor, pattern: Pattern) -> Tensor:
    """`nm_mask` without its checks. NaN counts as the largest magnitude, so that it is kept and diverging training is
    reported as such."""
    # Input channels last, in the tile's order: a convolution sums over (height, width, channel).
    last = magnitude(weight).movedim(1, -1)
    # The padding comes last, so that of equal zeros a real weight is kept.
    padded = F.pad(last, (0, padding(weight.shape, pattern))).nan_to_num(nan=torch.inf)
    # numpy has no bfloat16; float64 represents every weight exactly.
    rows = padded.flatten(0, -2).double().cpu().numpy()
    kept = torch.from_numpy(mask_of_matrix(rows, pattern)).to(weight.device).reshape(padded.shape)
    return kept[..., : last.shape[-1]].movedim(-1, 1).contiguous()


def nm_mask(weight: Tensor, pattern: Pattern) -> Tensor:
    """A bool mask, in the shape of `weight`, of the largest magnitudes that `pattern` allows. Of equal magnitudes the
    earlier ones are kept.

    `weight` is that of a Linear layer (outputs, inputs) or of a Conv2d (outputs, inputs / groups, height, width). A
    group consists of `pattern.group` neighbouring input channels at one place of the kernel. Pairs are ranked by the
    sum of their two magnitudes. The last group may have fewer channels; it still keeps as many.
    """
    if weight.dim() not in (2, 4):
        raise ValueError(f"weight must have 2 dimensions (Linear) or 4 (Conv2d), not the shape {tuple(weight.shape)}")
    if torch.isnan(weight).any():
        raise ValueError("weight must be numbers, but some are NaN")
    return largest(weight, pattern)


def nm_share(weight: Tensor, pattern: Pattern) -> float:
    """The fraction of a weight that `nm_mask` keeps. It is larger than the pattern's where the last group is
    incomplete, and 1 where there are no more channels than a group keeps."""
    return float(nm_mask(weight, pattern).float().mean())


def nm_masks(module: nn.Module, pattern: Pattern, *, skip: Collection[str] = ()) -> dict[str, Tensor]:
    """The masks of the weights of all Linear and Conv2d layers, by parameter name. Layers named in `skip` stay dense.

    Raises ValueError if `skip` names another layer, or a weight is NaN.
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
    """The effect of `masks` on each Linear and Conv2d layer of `module`, which is not masked yet.

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
