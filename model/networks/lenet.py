"""Perceptrons and LeNet-5, the networks of the first pruning papers."""

from itertools import pairwise

from torch import nn

from zeroskip.model.networks.seeded import seeded


def digits_mlp(*, seed: int = 0) -> nn.Sequential:
    """64-300-100-10 for `load_digits`: LeNet-300-100 on 8x8 pixels."""
    return _perceptron((64, 300, 100, 10), seed)


def lenet_300_100(*, seed: int = 0) -> nn.Sequential:
    """784-300-100-10 (LeCun et al. 1998), the network of the pruning papers, for 28x28 pixels."""
    return _perceptron((784, 300, 100, 10), seed)


def lenet_5(*, seed: int = 0) -> nn.Sequential:
    """LeNet-5 as in Caffe and in the pruning papers, for 1x28x28 pixels: 5x5 convolutions of 20 and 50 channels, each
    with 2x2 pooling, then 800-500-10; 430,500 weights."""
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(1, 20, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(800, 500),
            nn.ReLU(),
            nn.Linear(500, 10),
        )


def _perceptron(widths: tuple[int, ...], seed: int) -> nn.Sequential:
    """Linear layers with ReLU between them; the weights depend on `seed` alone, not on torch's state."""
    with seeded(seed):
        modules: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(widths):
            modules += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*modules[:-1])
