"""Layers for networks on sparse tensors, with the names, arguments and defaults of torchsparse 2.1.

Where torchsparse has layers along three axes only (`Conv3d`), those along one, two and four axes are here, too.
"""

from zeroskip.model.sparseconv.nn.activation import Dropout, LeakyReLU, ReLU, SiLU
from zeroskip.model.sparseconv.nn.convolution import Conv1d, Conv2d, Conv3d, Conv4d
from zeroskip.model.sparseconv.nn.crop import SparseCrop
from zeroskip.model.sparseconv.nn.norm import BatchNorm, GroupNorm, InstanceNorm
from zeroskip.model.sparseconv.nn.pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    AvgPool4d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxPool4d,
)

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "AvgPool4d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "Conv4d",
    "Dropout",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "InstanceNorm",
    "LeakyReLU",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxPool4d",
    "ReLU",
    "SiLU",
    "SparseCrop",
]
