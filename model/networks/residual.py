"""The networks for CIFAR of He et al. (CVPR 2016, section 4.2), with shortcuts and without."""

from collections.abc import Callable

from torch import nn

from zeroskip.model.networks.blocks import BasicBlock, channels, classifier, convolution
from zeroskip.model.networks.seeded import seeded, start_convolutions

STAGES = (16, 32, 64)
"""Channels of the three stages; the second and the third halve height and width."""

Block = Callable[[int, int, int], list[nn.Module]]
"""Makes the modules of two convolutions from the numbers of inputs and outputs and the stride."""


def plain_20(*, width: float = 1.0, inputs: int = 3, classes: int = 10, seed: int = 0) -> nn.Sequential:
    """20 layers without shortcuts, for (n, inputs, h, w) of any height and width; 0.27 million parameters."""

    def block(taken: int, given: int, stride: int) -> list[nn.Module]:
        return [*convolution(taken, given, 3, stride=stride), nn.ReLU(), *convolution(given, given, 3), nn.ReLU()]

    return _network(block, 3, width, inputs, classes, seed)


def resnet_20(*, width: float = 1.0, inputs: int = 3, classes: int = 10, seed: int = 0) -> nn.Sequential:
    """Plain-20 with shortcuts; 0.27 million parameters.

    At the start of a stage, the shortcut is a 1x1 convolution (option B), as in Distiller, whose AMC and greedy
    baselines are compared with it. The paper's network for CIFAR has shortcuts without parameters (option A) and is 1%
    smaller.
    """
    return _network(_residual, 3, width, inputs, classes, seed)


def resnet_56(*, width: float = 1.0, inputs: int = 3, classes: int = 10, seed: int = 0) -> nn.Sequential:
    """ResNet-56: nine blocks in each stage, where `resnet_20` has three; 0.86 million parameters, 0.85 without the
    shortcuts."""
    return _network(_residual, 9, width, inputs, classes, seed)


def _residual(taken: int, given: int, stride: int) -> list[nn.Module]:
    return [BasicBlock(taken, given, stride)]


def _network(block: Block, blocks: int, width: float, inputs: int, classes: int, seed: int) -> nn.Sequential:
    given = channels(STAGES[0], width)
    with seeded(seed):
        modules: list[nn.Module] = [*convolution(inputs, given, 3), nn.ReLU()]
        for stage, base in enumerate(STAGES):
            for number in range(blocks):
                taken, given = given, channels(base, width)
                modules += block(taken, given, 2 if stage > 0 and number == 0 else 1)
        network = nn.Sequential(*modules, *classifier(given, classes))
        start_convolutions(network)
    return network
