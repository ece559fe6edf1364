"""Initial weights that depend on a seed alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block, torch's random numbers are those of `seed`. Then torch's generator is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def start_convolutions(network: nn.Module) -> None:
    """Initialises every Conv2d as He et al. (ICCV 2015, eq. 14): normal, with variance 2 / (kernel places x outputs).

    The variance of torch's default is six times smaller than ReLU needs.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
