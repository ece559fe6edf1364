"""From a chain of float layers to a network in int8."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zeroskip.model.network.pattern import DENSE, Pattern
from zeroskip.model.sparseconv.int8 import scale_of
from zeroskip.model.sparseconv.int8_layers import QuantisedConv, QuantisedNetwork
from zeroskip.model.sparseconv.nn.activation import ReLU
from zeroskip.model.sparseconv.nn.convolution import Convolution
from zeroskip.model.sparseconv.nn.norm import BatchNorm
from zeroskip.model.sparseconv.tensor import SparseTensor


def quantise(network: nn.Sequential, example: SparseTensor, *, pattern: Pattern = DENSE) -> QuantisedNetwork:
    """A chain of float layers (Conv1d to Conv4d, not transposed, each with a BatchNorm or a ReLU or both after it, in
    this order) in int8. Norms are folded with the statistics that they have. Scales are such that the largest
    magnitudes that the float network has on `example` become 127. With an N:M pattern, all weights are pruned to it by
    magnitude along the input channels.

    Raises ValueError for other layers, naming them.
    """
    blocks = _blocks(network)
    scales, here = [scale_of(example.feats)], example
    layers: list[QuantisedConv] = []
    with torch.no_grad():
        for name, (convolution, norm, relu) in blocks.items():
            here = convolution(here)
            if norm is not None:
                here = here.with_feats(
                    nn.functional.batch_norm(
                        here.feats, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
                    )
                )
            if relu:
                here = here.with_feats(here.feats.relu())
            scales.append(scale_of(here.feats))
            kernel, bias = _folded(convolution, norm)
            try:
                layers.append(
                    QuantisedConv.from_layer(
                        convolution,
                        kernel=kernel,
                        bias=bias,
                        in_scale=scales[-2],
                        out_scale=scales[-1],
                        relu=relu,
                        pattern=pattern,
                    )
                )
            except ValueError as error:
                raise ValueError(f"layer '{name}': {error}") from error
    return QuantisedNetwork(layers, in_scale=scales[0], out_scale=scales[-1])


Block = tuple[Convolution, BatchNorm | None, bool]
"""A convolution, its norm, and whether a ReLU comes after it."""


def _blocks(network: nn.Sequential) -> dict[str, Block]:
    blocks: dict[str, Block] = {}
    last = ""
    for name, layer in network.named_children():
        convolution, norm, relu = blocks.get(last, (None, None, False))
        if isinstance(layer, Convolution):
            blocks[name], last = (layer, None, False), name
        elif isinstance(layer, BatchNorm) and convolution is not None and norm is None and not relu:
            if layer.running_mean is None:
                raise ValueError(f"layer '{name}' must track its statistics to be folded")
            blocks[last] = (convolution, layer, False)
        elif isinstance(layer, ReLU) and convolution is not None and not relu:
            blocks[last] = (convolution, norm, True)
        else:
            raise ValueError(
                "layers must be convolutions, each with a BatchNorm or a ReLU or both after it in this order, not "
                f"{type(layer).__name__} at '{name}'"
            )
    if not blocks:
        raise ValueError("network must have a convolution")
    return blocks


def _folded(convolution: Convolution, norm: BatchNorm | None) -> tuple[Tensor, Tensor]:
    """Kernel (volume, in, out) and bias in float64, with the norm in them."""
    kernel = convolution.kernel.detach().double().reshape(convolution.kernel_volume, convolution.in_channels, -1)
    bias = kernel.new_zeros(convolution.out_channels)
    if convolution.bias is not None:
        bias = convolution.bias.detach().double()
    if norm is None:
        return kernel, bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        factor = factor * norm.weight.detach().double()
    bias = (bias - norm.running_mean.double()) * factor
    return kernel * factor, bias + norm.bias.detach().double() if norm.affine else bias
