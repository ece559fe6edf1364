"""A small trained network, and an evaluator for it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.eie.core import CORE as EIE
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma.core import CORE as MMA
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.evaluation import Evaluator
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.space import Densities, LayerSpace, Space
from zeroskip.model.search.storage.journal import Journal

GEOMETRIES = {EIE.name: EieGeometry(pes=4), MMA.name: TileGeometry()}
"""A small geometry of every core, for cost tables."""


def signs() -> Dataset:
    """Eight inputs; the class counts the first two that are above zero."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 8)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64) + (inputs[:, 1] > 0)
    return Dataset(
        name="signs", train_inputs=inputs, train_labels=labels, test_inputs=inputs[:9], test_labels=labels[:9]
    )


@cache
def trained(width: int = 16) -> tuple[nn.Module, Tensor, Tensor]:
    """A perceptron 10-`width`-4 that tells the signs of two of its inputs."""
    torch.manual_seed(3)
    inputs = torch.randn(300, 10)
    labels = (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()
    module = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 4))
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
    return module.eval(), inputs, labels


def space_of(granularity: str = "weights", width: int = 16) -> Space:
    module, inputs, _ = trained(width)
    if granularity == "channels":
        return ChannelSpace(module, ["0", "2"], inputs)
    return LayerSpace(module, granularity, ["0", "2"], torch.empty(0))


def table_of(cost: str = "macs", granularity: str = "weights", width: int = 16) -> CostTable:
    module, inputs, _ = trained(width)
    layers = read_layers(module, inputs[:4].numpy().astype(np.float32))
    return cost_table(cost, layers, granularity, geometries=GEOMETRIES)


def accuracies(measure: Evaluator, asked: Iterable[Densities], *, trained: bool = False) -> list[float]:
    return [accuracy for accuracy, _ in measure.measure(asked, trained=trained)]


def evaluator(
    folder: Path,
    *,
    resume: bool = False,
    configuration: str = "this",
    granularity: str = "weights",
    width: int = 16,
    workers: int | str = 1,
) -> Evaluator:
    _, inputs, labels = trained(width)
    journal = Journal(folder / "journal", configuration, resume=resume)
    samples = Samples(inputs=inputs, labels=labels)
    return Evaluator(space_of(granularity, width), samples, samples, journal, workers)
