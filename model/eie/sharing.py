"""Weight sharing: a layer's weights become 15 values (Deep Compression, ICLR 2016, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.eie.calibrated_sharing import share_calibrated
from zeroskip.model.eie.kmeans import cluster
from zeroskip.model.eie.matrix import matrix_with_bias, shared_layer
from zeroskip.model.eie.rough import warn_of_rough_outputs
from zeroskip.model.eie.settings import Sharing
from zeroskip.model.eie.shared import SharedLayer, SharedOperation
from zeroskip.model.network.folded import Folded, operations
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.operations import Convolution, Linear
from zeroskip.model.network.ranges import input_magnitudes
from zeroskip.model.progress import Progress, Step, silent


def share_layers(
    folded: Folded,
    progress: Progress = silent,
    *,
    inputs: NDArray[np.float32] | None = None,
    sharing: Sharing = "plain",
) -> list[SharedOperation]:
    """The operations of what `zeroskip.model.network.fold.fold` returns, each layer with its own codebook.

    Exact, with nothing lost, for a layer of at most 15 distinct non-zero values. Samples of the network's `inputs`
    (samples x ...) say how large the activations are: where these are very small or large, or the biases much larger
    than the weights, the biases are scaled, so that 16 bits hold all of them. `sharing` other than "plain" needs them
    (zeroskip.model.eie.calibrated_sharing); ValueError says so where there are none.
    """
    found = operations(folded)
    if sharing != "plain" and (inputs is None or not len(inputs)):
        raise ValueError(f"sharing {sharing!r} needs samples of the network's inputs; pass some, or share 'plain'")
    ranges = None if inputs is None else input_magnitudes(folded, inputs, progress)
    if inputs is not None and ranges is not None and sharing != "plain":
        return share_calibrated(folded, inputs, ranges, sharing, progress)
    network: list[SharedOperation] = []
    for number, (operation, module) in enumerate(found):
        progress(Step(task="sharing weights", done=number, total=len(found), unit="layers"))
        if isinstance(operation, Linear | Convolution):
            assert isinstance(module, nn.Linear | nn.Conv2d)
            network.append(_share_layer(module, operation, None if ranges is None else ranges[number]))
        else:
            network.append(operation)
    return network


def warn_of_rough_sharing(folded: Folded, shared: Sequence[SharedOperation]) -> None:
    """Warns of each layer in which sharing changes the weights of many outputs by more than half of their size.

    That happens where one codebook has to hold weights of very different sizes: the small ones all get a value of the
    large ones, and what the layer computed with them is gone. `shared` is what share_layers made of `folded` by the
    weights alone; sharing by inputs warns itself, of what is lost of the outputs.
    """
    number = 0
    for (operation, module), layer in zip(operations(folded), shared, strict=True):
        if not isinstance(operation, Linear | Convolution):
            continue
        assert isinstance(layer, SharedLayer)
        assert isinstance(module, nn.Linear | nn.Conv2d)
        weight = module.weight.detach().flatten(1).double().numpy()
        warn_of_rough_outputs(number, ((layer.weight - weight) ** 2).sum(axis=1), (weight**2).sum(axis=1))
        number += 1


def _share_layer(
    layer: nn.Linear | nn.Conv2d, operation: Linear | Convolution, inputs: Magnitudes | None
) -> SharedLayer:
    matrix, exponent = matrix_with_bias(layer, inputs)
    codes = np.zeros(matrix.shape, np.uint8)
    used = matrix != 0
    codebook, codes[used] = cluster(matrix[used])
    return shared_layer(operation, codebook, codes, None if layer.bias is None else exponent)
