"""The networks that the built-in data sets are run with."""

from itertools import pairwise

import torch
from torch import nn


def digits_mlp(*, seed: int = 0) -> nn.Sequential:
    """64-300-100-10 for `load_digits`: LeNet-300-100 on 8x8 pixels."""
    return _perceptron((64, 300, 100, 10), seed)


def lenet_300_100(*, seed: int = 0) -> nn.Sequential:
    """784-300-100-10 (LeCun et al. 1998), the network of the pruning papers, for 28x28 pixels."""
    return _perceptron((784, 300, 100, 10), seed)


def _perceptron(widths: tuple[int, ...], seed: int) -> nn.Sequential:
    """Linear layers with ReLU between them; the weights depend on `seed` alone, not on torch's state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        modules: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(widths):
            modules += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*modules[:-1])
