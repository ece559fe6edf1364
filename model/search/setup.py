"""What every search starts from: the network, the train/validation split, the pruning groups and the cost table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.split import held_out
from zeroskip.model.device import CPU, moved
from zeroskip.model.progress import Progress, silent
from zeroskip.model.pruning.data_checks import require_prunable
from zeroskip.model.pruning.training_run import configuration
from zeroskip.model.search.clock import Clock
from zeroskip.model.search.costs.cache import cost_code
from zeroskip.model.search.costs.exact import exact_cost
from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.evaluation import Evaluator
from zeroskip.model.search.layers import Layer, read_layers
from zeroskip.model.search.plan import CHANNELS
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.read_groups import OF_THE_OUTPUTS
from zeroskip.model.search.spaces.space import LayerSpace, Space
from zeroskip.model.search.storage.accuracies import Accuracies
from zeroskip.model.search.storage.journal import Journal
from zeroskip.model.warned import warn

SAMPLE = 16
"""The number of images whose activations the cycles are counted with."""

CALIBRATION = 2_000
"""The largest number of samples by which the layers of a pruned network are refitted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Setup:
    """A network to be pruned, its `layers`, the `space` of its plans, and the `table` of a cost.

    The dataset's training samples are split: the search trains on `train` and measures accuracy on `validation`. It
    does not use the test split. `geometries` holds that of the cost's core, by name. `accuracies` stores those
    that other searches have measured, if they are kept. `configuration` identifies all of this for a journal.
    """

    dataset: Dataset
    train: Samples
    validation: Samples
    layers: list[Layer]
    space: Space
    table: CostTable
    geometries: Mapping[str, Any]
    accuracies: Accuracies | None
    configuration: str

    def evaluator(
        self,
        journal: Journal,
        workers: int | str = 1,
        *,
        kept: Accuracies | None = None,
        clock: Clock | None = None,
    ) -> Evaluator:
        """An evaluator that measures plans with this setup."""
        return Evaluator(self.space, self.train, self.validation, journal, workers, kept, clock)

    def exact_cost(self, network: nn.Module) -> float | None:
        """The cost of a whole network, dense or pruned, by the exact model; None where the table is exact, or, with a
        warning, where the network cannot be compiled."""
        try:
            return exact_cost(self.table.cost, moved(network, CPU), self.dataset.train_inputs[:SAMPLE], self.geometries)
        except ValueError as error:
            warn(f"no {self.table.cost} by the exact model: the network cannot be compiled: {error}", stacklevel=2)
            return None

    @property
    def module(self) -> nn.Module:
        """The dense network."""
        return self.space.module


def prepare(
    module: nn.Module,
    dataset: Dataset,
    *,
    granularity: str,
    cost: str,
    geometries: Mapping[str, Any],
    seed: int,
    cache: Path | None,
    refit: bool = True,
    by_magnitude: bool = False,
    device: str = CPU,
    progress: Progress = silent,
) -> Setup:
    """Splits the training samples by `seed`, reads the network and fills the cost table. Tables and accuracies are kept
    in the folder `cache`, if it is given. With `refit`, the weights of pruned networks are fitted; then channels go in
    the order of what is lost after it, unless `by_magnitude`. Networks run on the `device`
    (zeroskip.model.device); costs are counted on the CPU.

    Raises ValueError if the network does not fit the data, or cannot be pruned at this granularity, or where the
    cost does not exist for it.
    """
    module.eval()
    require_prunable(module, dataset)
    rest = f"{dataset.name}, without its test split"
    split = held_out(rest, dataset.train_inputs, dataset.train_labels, seed + 1)
    validation = Samples(inputs=torch.from_numpy(split.test_inputs), labels=torch.from_numpy(split.test_labels))
    train = Samples(inputs=torch.from_numpy(split.train_inputs), labels=torch.from_numpy(split.train_labels))
    layers = read_layers(module, dataset.train_inputs[:SAMPLE])
    _warn_of_other_layers(module)
    measured = configuration(module, dataset, (granularity, refit, by_magnitude), seed, device)
    table = cost_table(cost, layers, granularity, geometries=geometries, cache=cache, progress=progress)
    space = _space(module, granularity, layers, train.inputs, refit=refit, by_magnitude=by_magnitude)
    _warn_of_whole_layers(space)
    space.to(device)
    return Setup(
        dataset=dataset,
        train=train.to(device),
        validation=validation.to(device),
        layers=layers,
        space=space,
        table=table,
        geometries=geometries,
        accuracies=None if cache is None else Accuracies(cache / "accuracies.sqlite", measured),
        configuration=f"{measured} {table} {cost_code(cost)}",
    )


def _warn_of_other_layers(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        known = isinstance(layer, nn.Linear | nn.Conv2d)
        if not known and any(own.dim() > 1 for own in layer.parameters(recurse=False)):
            warn(
                f"'{name}' ({type(layer).__name__}) is neither pruned nor counted in costs: only Linear and Conv2d are",
                stacklevel=2,
            )


def _warn_of_whole_layers(space: Space) -> None:
    by_reason: dict[str, list[str]] = {}
    for name, reason in space.whole.items():
        # Every network has outputs, which nobody expects to lose.
        if reason != OF_THE_OUTPUTS:
            by_reason.setdefault(reason, []).append(f"'{name}'")
    for reason, names in by_reason.items():
        warn(f"all channels of {', '.join(names)} stay: {reason}", stacklevel=2)


def space_for(module: nn.Module, granularity: str, dataset: Dataset, *, refit: bool, device: str = CPU) -> Space:
    """The space of plans for a network, for fine-tuning on a device. Raises ValueError as `prepare` does."""
    module = moved(module, CPU).eval()
    require_prunable(module, dataset)
    layers = read_layers(module, dataset.train_inputs[:SAMPLE])
    inputs = torch.from_numpy(dataset.train_inputs)
    space = _space(module, granularity, layers, inputs, refit=refit, by_magnitude=False)
    space.to(device)
    return space


def _space(
    module: nn.Module, granularity: str, layers: list[Layer], inputs: Tensor, *, refit: bool, by_magnitude: bool
) -> Space:
    names = [layer.name for layer in layers]
    if granularity == CHANNELS:
        return ChannelSpace(module, names, inputs[:CALIBRATION], refit=refit, by_magnitude=by_magnitude)
    return LayerSpace(module, granularity, names, inputs[:CALIBRATION], refit=refit)
