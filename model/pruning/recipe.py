"""Deep Compression's first two stages in one run: train, prune in rounds, share weights, fine-tune them."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model.compiler.fold import fold
from model.data.dataset import Dataset
from model.pruning import schedules
from model.pruning.centroids import SharedLinear, trainable
from model.pruning.criteria import magnitude
from model.pruning.masks import allocate_globally, allocate_per_layer
from model.pruning.sharing import SharedLayer, share_layers, to_module
from model.pruning.stages import Progress, Run
from model.pruning.training import Course, evaluate


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to prune to, and how to train in each stage.

    `density` is the fraction of all weights that stays, the layers competing by magnitude, or one fraction
    for every Linear layer in order. It is reached in `rounds` rounds, each followed by `retrain`. `threads` is part
    of the settings because sums that are split among threads round differently.
    """

    density: float | tuple[float, ...]
    rounds: int
    dense: Course
    retrain: Course
    share: Course
    threads: int

    def __post_init__(self) -> None:
        # The schedule knows which densities and numbers of rounds there are.
        self.densities()

    def densities(self) -> list[float | tuple[float, ...]]:
        """The density, or densities, after every round."""
        if isinstance(self.density, tuple):
            by_layer = [schedules.iterative(density, self.rounds) for density in self.density]
            return list(zip(*by_layer, strict=True))
        return list(schedules.iterative(self.density, self.rounds))


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """The network at each stage.

    `dense` is the given module or its trained copy, `pruned` the pruned one in folded form, `layers` its
    weights shared and `shared` the float network that `layers` stand for. `accuracies` holds fractions of the
    test set under "dense", "pruned" and "shared", or is None where there are no labels. `kept` of `total`
    weights are not zero, biases not counted.
    """

    dense: nn.Module
    pruned: nn.Sequential
    layers: list[SharedLayer]
    shared: nn.Sequential
    accuracies: dict[str, float] | None
    kept: int
    total: int
    test: tuple[np.ndarray, np.ndarray] | None = None
    """The inputs and labels that accuracies were measured on."""


def share(module: nn.Module, *, test_inputs: np.ndarray | None = None, test_labels: np.ndarray | None = None) -> Result:
    """Folds and shares a network as it is, without pruning and training.

    Exact where, after folding, no layer has more than 15 distinct non-zero weights and biases.
    Raises ValueError where the network cannot be folded.
    """
    pruned = fold(module)
    test = None
    if test_inputs is not None and test_labels is not None:
        test = torch.from_numpy(test_inputs), torch.from_numpy(test_labels)
    return _result(module, pruned, share_layers(pruned), test)


def prune_and_share(
    module: nn.Module,
    dataset: Dataset,
    *,
    settings: Settings,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Result:
    """Runs the whole recipe on a copy of `module`, whose weights are the starting point.

    With `checkpoint` the state is saved there after every epoch, and a run that was cut short continues; a
    checkpoint of another run is started over. Nothing depends on the test set but the reported accuracies.

    Raises ValueError, before anything is trained, where the network cannot be compiled or does not fit the
    data or the densities, and where the checkpoint is damaged.
    """
    _require_fit(fold(module), dataset)
    train_inputs, train_labels = (
        torch.from_numpy(dataset.train_inputs),
        torch.from_numpy(dataset.train_labels),
    )
    choosers = [_chooser(module, density) for density in settings.densities()]
    torch.set_num_threads(settings.threads)
    run = Run(
        train_labels,
        seed=seed,
        total=settings.dense.epochs + settings.rounds * settings.retrain.epochs + settings.share.epochs,
        configuration=_digest(module, dataset, settings, seed),
        path=checkpoint,
        progress=progress,
    )
    dense = copy.deepcopy(module)
    run.stage("train", dense, train_inputs, settings.dense, keep="dense")
    network = copy.deepcopy(dense)
    for number, choose in enumerate(choosers, 1):
        name = f"prune {number}/{len(choosers)}"
        run.stage(name, network, train_inputs, settings.retrain, keep="pruned", choose=choose)
    pruned = fold(network)
    shared = trainable(share_layers(pruned))
    run.stage("share", shared, train_inputs.flatten(1), settings.share, keep="shared")
    layers = [part.shared_layer() for part in shared if isinstance(part, SharedLinear)]
    test = torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels)
    return _result(dense.eval(), pruned, layers, test)


def _require_fit(folded: nn.Sequential, dataset: Dataset) -> None:
    linears = [part for part in folded if isinstance(part, nn.Linear)]
    width, classes = linears[0].in_features, linears[-1].out_features
    for split in ("train", "test"):
        inputs, labels = getattr(dataset, f"{split}_inputs"), getattr(dataset, f"{split}_labels")
        if inputs[0].size != width:
            raise ValueError(
                f"{dataset.name}: {split}_inputs must have {width} values a sample, as the network takes, "
                f"not {inputs[0].size}"
            )
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(
                f"{dataset.name}: {split}_labels must be 0 to {classes - 1}, as the network gives, "
                f"not {labels.min()} to {labels.max()}"
            )


def _chooser(module: nn.Module, density: float | tuple[float, ...]) -> Callable[[nn.Module], dict[str, Tensor]]:
    """The function that picks the masks of one round, by magnitude."""
    names = [f"{name}.weight".lstrip(".") for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if isinstance(density, tuple) and len(density) != len(names):
        raise ValueError(f"density must name {len(names)} layers ({', '.join(names)}), not {len(density)}")

    def choose(current: nn.Module) -> dict[str, Tensor]:
        scores = {name: magnitude(current.get_parameter(name)) for name in names}
        if isinstance(density, tuple):
            return allocate_per_layer(scores, dict(zip(names, density, strict=True)))
        return allocate_globally(scores, density)

    return choose


def _result(
    dense: nn.Module, pruned: nn.Sequential, layers: list[SharedLayer], test: tuple[Tensor, Tensor] | None
) -> Result:
    shared = to_module(layers)
    accuracies = None
    if test is not None:
        inputs, labels = test
        accuracies = {
            "dense": evaluate(dense, inputs, labels),
            "pruned": evaluate(pruned, inputs.flatten(1), labels),
            "shared": evaluate(shared, inputs.flatten(1), labels),
        }
    return Result(
        dense=dense,
        pruned=pruned,
        layers=layers,
        shared=shared,
        accuracies=accuracies,
        kept=sum(int(np.count_nonzero(layer.weight_codes)) for layer in layers),
        total=sum(layer.weight_codes.size for layer in layers),
        test=None if test is None else (test[0].numpy(), test[1].numpy()),
    )


def _digest(module: nn.Module, dataset: Dataset, settings: Settings, seed: int) -> str:
    """Everything that the course of a run depends on."""
    digest = hashlib.sha256(repr((settings, seed, module)).encode())
    for array in (dataset.train_inputs, dataset.train_labels):
        digest.update(np.ascontiguousarray(array).data)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().numpy()).data)
    return digest.hexdigest()
