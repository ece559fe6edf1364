"""Transposed convolutions: ordinary ones, of images with zeros between their values.

The EIE array spends no cycle on the zeros. A kernel of a transposed convolution is the ordinary one turned by 180
degrees, with inputs and outputs exchanged within each group.
"""

from __future__ import annotations

import torch
from torch import nn

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.pieces import Held, Pieces

Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d


def transposed(pieces: Pieces, layer: Transposed, given: Held) -> Held:
    """A transposed convolution of images (n, channels, height, width), or of sequences (n, channels, length). Raises
    ValueError for padding that cuts values of the kernel off."""
    line = isinstance(layer, nn.ConvTranspose1d)
    conv, apart, tail = _ordinary(label_of(pieces.node), layer)
    images = pieces.move(given, lambda value: value.unsqueeze(2)) if line else given
    if apart != (1, 1) or tail != (0, 0):
        images = pieces.spread(images, apart, tail)
    found = pieces.conv(images, conv)
    return pieces.move(found, lambda value: value.squeeze(2)) if line else found


def _ordinary(label: str, layer: Transposed) -> tuple[nn.Conv2d, tuple[int, int], tuple[int, int]]:
    """The ordinary convolution, and how far apart its input's values are, with how many rows and columns behind."""
    weight = layer.weight.detach()
    weight = weight.unsqueeze(2) if weight.dim() == 3 else weight
    inputs, outputs, high, wide = weight.shape
    groups = layer.groups
    turned = weight.reshape(groups, inputs // groups, outputs, high, wide).transpose(1, 2).flip(3, 4)
    apart, dilation, padding, tail = (
        _pair(getattr(layer, name), still)
        for name, still in (("stride", 1), ("dilation", 1), ("padding", 0), ("output_padding", 0))
    )
    around = tuple(step * (size - 1) - cut for step, size, cut in zip(dilation, (high, wide), padding, strict=True))
    if min(around) < 0:
        raise ValueError(
            f"{label} is a {type(layer).__name__} with padding {layer.padding}, more than its kernel reaches; "
            "supported: at most dilation * (kernel_size - 1)"
        )
    conv = nn.utils.skip_init(
        nn.Conv2d,
        inputs,
        outputs * groups,
        (high, wide),
        padding=around,
        dilation=dilation,
        groups=groups,
        bias=layer.bias is not None,
    ).to(weight.dtype)
    with torch.no_grad():
        conv.weight.copy_(turned.reshape(conv.weight.shape))
        if layer.bias is not None:
            conv.bias.copy_(layer.bias)
    return conv, apart, tail


def _pair(value: tuple[int, ...], still: int) -> tuple[int, int]:
    *down, across = value
    return down[0] if down else still, across
