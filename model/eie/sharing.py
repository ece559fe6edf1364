"""Weight sharing: a layer's weights become 15 values (Deep Compression, ICLR 2016, section 3)."""

from __future__ import annotations

import numpy as np
from torch import nn

from zeroskip.model.eie.kmeans import cluster
from zeroskip.model.eie.shared import SharedConv, SharedLayer, SharedOperation
from zeroskip.model.network.operations import Convolution, Linear, operations
from zeroskip.model.progress import Progress, Step, silent


def share_layers(folded: nn.Sequential, progress: Progress = silent) -> list[SharedOperation]:
    """The operations of what `zeroskip.model.network.fold.fold` returns, each layer with its own codebook.

    Exact, with nothing lost, for a layer of at most 15 distinct non-zero values.
    """
    network: list[SharedOperation] = []
    found = operations(folded)
    for number, (operation, module) in enumerate(found):
        progress(Step(task="sharing weights", done=number, total=len(found), unit="layers"))
        if isinstance(operation, Linear | Convolution):
            assert isinstance(module, nn.Linear | nn.Conv2d)
            network.append(_share_layer(module, operation))
        else:
            network.append(operation)
    return network


def _share_layer(layer: nn.Linear | nn.Conv2d, operation: Linear | Convolution) -> SharedLayer:
    weight = layer.weight.detach().flatten(1).numpy()
    # In the hardware the bias is one more column of the matrix, so it uses the same codebook.
    matrix = weight if layer.bias is None else np.column_stack((weight, layer.bias.detach().numpy()))
    codes = np.zeros(matrix.shape, np.uint8)
    used = matrix != 0
    codebook, codes[used] = cluster(matrix[used])
    inputs = weight.shape[1]
    shared = SharedLayer(
        codebook=codebook,
        weight_codes=codes[:, :inputs].copy(),
        bias_codes=None if layer.bias is None else codes[:, inputs].copy(),
        relu=operation.relu,
    )
    if isinstance(operation, Linear):
        return shared
    return SharedConv(
        **vars(shared),
        kernel=operation.kernel,
        stride=operation.stride,
        padding=operation.padding,
        groups=operation.groups,
    )
