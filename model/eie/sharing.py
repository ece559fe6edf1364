"""Weight sharing: a layer's weights become 15 values (Deep Compression, ICLR 2016, section 3)."""

from __future__ import annotations

import numpy as np
from torch import nn

from zeroskip.model.eie.kmeans import cluster
from zeroskip.model.eie.shared import AnyLayer, AveragePool, MaxPool, SharedConv, SharedLayer
from zeroskip.model.network.pooling import window


def share_layers(folded: nn.Sequential) -> list[AnyLayer]:
    """The parts of what `zeroskip.model.network.fold.fold` returns, each layer with its own codebook.

    Exact, with nothing lost, for a layer of at most 15 distinct non-zero values.
    """
    parts: list[AnyLayer] = []
    modules = list(folded)
    for module, follower in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(module, nn.Linear | nn.Conv2d):
            parts.append(_share_layer(module, isinstance(follower, nn.ReLU)))
        elif isinstance(module, nn.MaxPool2d):
            kernel, stride, padding = window(module)
            parts.append(MaxPool(kernel=kernel, stride=stride, padding=padding))
        elif isinstance(module, nn.AvgPool2d):
            kernel, stride, padding = window(module)
            relu = isinstance(follower, nn.ReLU)
            parts.append(AveragePool(kernel=kernel, stride=stride, padding=padding, relu=relu))
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            relu = isinstance(follower, nn.ReLU)
            parts.append(AveragePool(kernel=None, stride=(1, 1), padding=(0, 0), relu=relu))
        elif not isinstance(module, nn.ReLU) and not (isinstance(module, nn.Flatten) and parts):
            raise ValueError(
                "a folded network must hold Linear, Conv2d, pooling and ReLU alone, and Flatten between them, "
                f"not {type(module).__name__}"
            )
    return parts


def _share_layer(layer: nn.Linear | nn.Conv2d, relu: bool) -> SharedLayer:
    weight = layer.weight.detach().flatten(1).numpy()
    # The bias is one more column of the same matrix in the hardware, so it goes by the same codebook.
    matrix = weight if layer.bias is None else np.column_stack((weight, layer.bias.detach().numpy()))
    codes = np.zeros(matrix.shape, np.uint8)
    used = matrix != 0
    codebook, codes[used] = cluster(matrix[used])
    inputs = weight.shape[1]
    shared = SharedLayer(
        codebook=codebook,
        weight_codes=codes[:, :inputs].copy(),
        bias_codes=None if layer.bias is None else codes[:, inputs].copy(),
        relu=relu,
    )
    if isinstance(layer, nn.Linear):
        return shared
    kernel, stride, padding = window(layer)
    return SharedConv(**vars(shared), kernel=kernel, stride=stride, padding=padding, groups=layer.groups)
