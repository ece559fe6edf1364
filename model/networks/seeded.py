"""Starting weights that depend on a seed alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block torch's random numbers are those of `seed`; behind it, what they were before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def start_convolutions(network: nn.Module) -> None:
    """Starts every Conv2d as He et al. (ICCV 2015, eq. 14): normal, variance 2 / (kernel places x outputs).

    torch's own start is six times smaller in variance than what ReLU needs.
    """
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
