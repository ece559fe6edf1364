"""Layers, functions and methods of torch that give their input as it is in eval mode."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

DROPOUT_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)

DROPOUTS: dict[object, bool] = {
    F.dropout: True,
    F.dropout1d: True,
    F.dropout2d: True,
    F.dropout3d: True,
    F.alpha_dropout: False,
    F.feature_alpha_dropout: False,
    torch.dropout: True,
}
"""Whether they drop values where `training` is not given."""

COPIES = ("contiguous", "clone", "detach", "to", "float", "double", "long", "int", "type", "cpu")
