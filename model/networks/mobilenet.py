"""MobileNetV1 (Howard et al. 2017, arXiv 1704.04861)."""

from torch import nn

from zeroskip.model.networks.blocks import channels, classifier, convolution
from zeroskip.model.networks.seeded import seeded, start_convolutions

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of each depthwise separable convolution (table 1).

The last stride in the table is 2, which is thought to be a misprint, as the next row still has 7x7 pixels.
"""


def mobilenet_v1(
    *, width: float = 1.0, inputs: int = 3, classes: int = 1000, first_stride: int = 2, seed: int = 0
) -> nn.Sequential:
    """(n, inputs, h, w) of any height and width, meant for 224x224; 4.2 million parameters at width 1.

    Each block is a depthwise 3x3 and a 1x1 convolution, each with batch normalisation and ReLU. Use `first_stride` 1
    for small images such as CIFAR's, which then have 2x2 pixels before the pooling.
    """
    if first_stride not in (1, 2):
        raise ValueError(f"first_stride must be 1 or 2, not {first_stride}")
    given = channels(32, width)
    with seeded(seed):
        modules = [*convolution(inputs, given, 3, stride=first_stride), nn.ReLU()]
        for base, stride in BLOCKS:
            taken, given = given, channels(base, width)
            modules += [*convolution(taken, taken, 3, stride=stride, groups=taken), nn.ReLU()]
            modules += [*convolution(taken, given, 1), nn.ReLU()]
        network = nn.Sequential(*modules, *classifier(given, classes))
        start_convolutions(network)
    return network
