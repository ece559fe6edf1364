"""PReLU: a slope for negative values that was learned, one for all channels or one for each."""

from __future__ import annotations

import numpy as np
from torch import nn

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.token_operations import Scaling
from zeroskip.model.network.token_pieces import of_sample, shortest


def parametric_relu(pieces: Pieces, layer: nn.PReLU, given: Held) -> Held:
    """With the slope a it is `a * x + (1 - a) * relu(x)`; one slope for all is a LeakyReLU."""
    weight = layer.weight.detach()
    if len(weight) == 1:
        return pieces.activation(given, "leaky_relu", float(weight))
    by_channel = (1, len(weight), *(1 for _ in given.shape[2:]))
    slopes = of_sample(label_of(pieces.node), weight.reshape(by_channel), given.shape)

    def scaled(value: Held, factors: np.ndarray) -> Held:
        scale, shift = shortest(factors, np.zeros_like(factors))
        return pieces.token(Scaling(scale=scale, shift=shift), value.shape, value)

    positive = pieces.activation(given, "relu")
    return pieces.add(scaled(given, slopes), scaled(positive, np.float32(1) - slopes))
