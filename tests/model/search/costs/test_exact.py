"""Costs by the exact models: cycles only where a core counts them, and what cannot be compiled is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.searching import GEOMETRIES
from torch import nn

from zeroskip.model.search.costs.exact import exact_cost, require_compilable

INPUTS = np.random.default_rng(2).normal(size=(3, 12)).astype(np.float32)


def network(between: nn.Module) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(12, 8), between, nn.Linear(8, 3)).eval()


@pytest.mark.parametrize("cost", ["eie-cycles", "mma-cycles"])
def test_the_cycles_of_a_core(cost: str) -> None:
    cycles = require_compilable(cost, network(nn.ReLU()), INPUTS, GEOMETRIES, remedy="")
    assert cycles is not None
    assert cycles > 0
    assert cycles == exact_cost(cost, network(nn.ReLU()), INPUTS, GEOMETRIES)
    with pytest.raises(ValueError, match=r"the network cannot be compiled for the .*Softsign.*; take a ReLU"):
        require_compilable(cost, network(nn.Softsign()), INPUTS, GEOMETRIES, remedy="take a ReLU")


@pytest.mark.parametrize("cost", ["macs", "params", "bytes", "latency"])
def test_what_no_core_counts_needs_no_compiler(cost: str) -> None:
    assert require_compilable(cost, network(nn.Softsign()), INPUTS, GEOMETRIES, remedy="") is None
