"""N:M sparsity of weights, by magnitude along the input channels (arXiv 2104.08378)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.mma.format import nm_mask as mask_of_matrix
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.criteria import magnitude
from zeroskip.model.pruning.weights import Transposed, multiplied_weights, multiplying_layers, short_name


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """The effect of a mask on a layer's weight: `pad` input channels of zeros complete its last group, `kept` of its
    `total` weights are kept, and `magnitude` is their fraction of the sum of absolute values. Its `name` is that of the
    layer, or of the weight where the layer has several."""

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

    `weight` is a matrix (outputs, inputs) or that of a convolution (outputs, inputs / groups, height, width), a Conv1d
    without the height. A group consists of `pattern.group` neighbouring input channels at one place of the kernel.
    Pairs are ranked by the sum of their two magnitudes. The last group may have fewer channels; it still keeps as many.
    """
    if weight.dim() not in (2, 3, 4):
        raise ValueError(
            f"weight must have 2 dimensions (a matrix), 3 (Conv1d) or 4 (Conv2d), not the shape {tuple(weight.shape)}"
        )
    if torch.isnan(weight).any():
        raise ValueError("weight must be numbers, but some are NaN")
    return largest(weight, pattern)


def nm_share(weight: Tensor, pattern: Pattern) -> float:
    """The fraction of a weight that `nm_mask` keeps. It is larger than the pattern's where the last group is
    incomplete, and 1 where there are no more channels than a group keeps."""
    return float(nm_mask(weight, pattern).float().mean())


def nm_masks(module: nn.Module, pattern: Pattern, *, skip: Collection[str] = ()) -> dict[str, Tensor]:
    """The masks of all weights that a core multiplies (zeroskip.model.pruning.weights), by parameter name. Those named
    in `skip` stay dense, by the name of the layer, or of the weight where the layer has several.

    Raises ValueError if `skip` names something else, a weight is NaN, or its groups are not those of the layer that the
    tile runs.
    """
    layers = multiplying_layers(module)
    weights = {short_name(name): (name, weight) for name, weight in multiplied_weights(module).items()}
    for name in skip:
        if name not in weights:
            raise ValueError(f"skip must name layers or weights ({', '.join(weights)}), not '{name}'")
    masks = {}
    for short, (name, weight) in weights.items():
        if short in skip:
            continue
        layer = name.rpartition(".")[0]
        _require_groups(layer, layers[layer], pattern)
        try:
            masks[name] = nm_mask(weight, pattern)
        except ValueError as error:
            raise ValueError(f"layer '{short}': {error}") from error
    return masks


def _require_groups(name: str, layer: nn.Module, pattern: Pattern) -> None:
    """Raises ValueError where neighbouring inputs of a layer are not neighbours in the layer that the tile runs."""
    remedy = "or prune at once (--method wanda or sparsegpt), which takes the layers as the tile runs them"
    if isinstance(layer, Transposed):
        raise ValueError(
            f"layer '{name}' is a {type(layer).__name__}, whose weight has its inputs first; {pattern} by magnitude "
            f"takes weights with their outputs first: leave it out ({remedy})"
        )
    if isinstance(layer, nn.RNNCellBase) and layer.input_size % pattern.group:
        raise ValueError(
            f"layer '{name}' is a {type(layer).__name__} with {layer.input_size} inputs; its states come behind them, "
            f"so that {pattern} needs a multiple of {pattern.group}: change input_size, {remedy}"
        )


def layer_reports(module: nn.Module, masks: Mapping[str, Tensor], pattern: Pattern) -> list[LayerReport]:
    """The effect of `masks` on each weight of `module`, which is not masked yet.

    A weight without a mask is kept whole and needs no padding.
    """
    reports = []
    for name, weight in multiplied_weights(module).items():
        sizes = magnitude(weight).double()
        mask = masks.get(name)
        everything, kept = float(sizes.sum()), float(sizes.sum() if mask is None else sizes[mask].sum())
        reports.append(
            LayerReport(
                name=short_name(name),
                shape=tuple(sizes.shape),
                pad=0 if mask is None else padding(sizes.shape, pattern),
                kept=sizes.numel() if mask is None else int(mask.sum()),
                total=sizes.numel(),
                magnitude=kept / everything if everything else 1.0,
            )
        )
    return reports
