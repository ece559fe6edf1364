"""Deep Compression's first two stages as one run: train, prune in rounds, share weights, fine-tune the centroids."""

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
from model.pruning.checkpoint import (
    Checkpoint,
    OtherConfiguration,
    Tensors,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from model.pruning.criteria import magnitude
from model.pruning.masks import Masks, allocate_globally, allocate_per_layer
from model.pruning.sharing import SharedLayer, share_layers, to_module
from model.pruning.training import Course, evaluate, train


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to prune to, and how to train in each stage.

    `density` is the share of all weights that stays, the layers competing by magnitude, or one density for every
    Linear layer in order. It is reached in `rounds` rounds, each followed by the `retrain` course.
    """

    density: float | tuple[float, ...]
    rounds: int
    dense: Course
    retrain: Course
    share: Course

    def __post_init__(self) -> None:
        # The schedule knows which densities and numbers of rounds there are.
        self.densities()

    def densities(self) -> list[float | tuple[float, ...]]:
        """The density, or densities, after every round."""
        if isinstance(self.density, tuple):
            by_layer = [schedules.iterative(density, self.rounds) for density in self.density]
            return list(zip(*by_layer, strict=True))
        return list(schedules.iterative(self.density, self.rounds))


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`epoch` of `epochs` of a stage are done, which makes `done` of `total` in the whole run; `loss` is a mean."""

    stage: str
    epoch: int
    epochs: int
    done: int
    total: int
    loss: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """The network at each stage.

    `dense` is a trained copy of the given module, `pruned` the pruned one in folded form, `layers` its weights
    shared and `shared` the float network that `layers` stand for. `accuracies` holds the fractions of the test set
    under "dense", "pruned" and "shared", or is None where there are no labels. `kept` of `total` weights are not
    zero, biases not counted.
    """

    dense: nn.Module
    pruned: nn.Sequential
    layers: list[SharedLayer]
    shared: nn.Sequential
    accuracies: dict[str, float] | None
    kept: int
    total: int


def share(
    module: nn.Module, *, test_inputs: np.ndarray | None = None, test_labels: np.ndarray | None = None
) -> Result:
    """Folds and shares a network as it is, without training; exact where no layer has over 15 distinct weights."""
    pruned = fold(module)
    test = None
    if test_inputs is not None and test_labels is not None:
        test = torch.from_numpy(test_inputs), torch.from_numpy(test_labels)
    return _result(copy.deepcopy(module), pruned, share_layers(pruned), test)


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

    Raises ValueError where the network cannot be compiled, before anything is trained, or where the checkpoint
    is damaged.
    """
    fold(module)
    train_inputs, train_labels = (
        torch.from_numpy(dataset.train_inputs),
        torch.from_numpy(dataset.train_labels),
    )
    choosers = [_chooser(module, density) for density in settings.densities()]
    run = _Run(
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


class _Run:
    """The stages of one run, each saved after every epoch and skipped or continued where the checkpoint says so."""

    def __init__(
        self,
        labels: Tensor,
        *,
        seed: int,
        total: int,
        configuration: str,
        path: Path | None,
        progress: Callable[[Progress], None],
    ):
        self.labels = labels
        self.seed = seed
        self.total = total
        self.configuration = configuration
        self.path = path
        self.progress = progress
        self.number = 0
        self.done = 0
        # What the stages that are over ended with.
        self.kept: dict[str, Tensors] = {}
        self.resumed = self._load()

    def stage(
        self,
        name: str,
        module: nn.Module,
        inputs: Tensor,
        course: Course,
        *,
        keep: str,
        choose: Callable[[nn.Module], Tensors] = lambda _: {},
    ) -> None:
        """Trains `module` in place under the masks that `choose` makes from it, or restores how that ended."""
        number, self.number = self.number, self.number + 1
        at = self.resumed
        first_epoch = 0
        if at is not None and number < at.stage:
            module.load_state_dict(at.groups[keep])
        else:
            optimizer = course.make_optimizer(module)
            if at is not None and number == at.stage:
                module.load_state_dict(at.groups["module"])
                restore_optimizer(optimizer, at.groups.get("optimizer", {}))
                masks, first_epoch = at.groups.get("masks", {}), at.epoch
            else:
                masks = choose(module)

            def on_epoch(epoch: int, loss: float) -> None:
                self._save(number, epoch, module, optimizer, masks)
                done = self.done + epoch
                self.progress(
                    Progress(
                        stage=name, epoch=epoch, epochs=course.epochs, done=done, total=self.total, loss=loss
                    )
                )

            with Masks(module, masks):
                train(
                    module,
                    inputs,
                    self.labels,
                    course=course,
                    optimizer=optimizer,
                    seed=self.seed,
                    stage=number,
                    first_epoch=first_epoch,
                    on_epoch=on_epoch,
                )
        self.done += course.epochs
        self.kept[keep] = {key: value.clone() for key, value in module.state_dict().items()}

    def _load(self) -> Checkpoint | None:
        if self.path is None:
            return None
        try:
            return load_checkpoint(self.path, self.configuration)
        except OtherConfiguration:
            return None

    def _save(
        self, number: int, epoch: int, module: nn.Module, optimizer: torch.optim.Optimizer, masks: Tensors
    ) -> None:
        if self.path is None:
            return
        groups = {
            **self.kept,
            "module": module.state_dict(),
            "optimizer": optimizer_tensors(optimizer),
            "masks": masks,
        }
        save_checkpoint(
            self.path, Checkpoint(configuration=self.configuration, stage=number, epoch=epoch, groups=groups)
        )


def _chooser(module: nn.Module, density: float | tuple[float, ...]) -> Callable[[nn.Module], Tensors]:
    """The function that picks the masks of one round, by magnitude."""
    names = [
        f"{name}.weight".lstrip(".") for name, part in module.named_modules() if isinstance(part, nn.Linear)
    ]
    if isinstance(density, tuple) and len(density) != len(names):
        raise ValueError(f"density must name {len(names)} layers ({', '.join(names)}), not {len(density)}")

    def choose(current: nn.Module) -> Tensors:
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
    )


def _digest(module: nn.Module, dataset: Dataset, settings: Settings, seed: int) -> str:
    """Everything that the course of a run depends on."""
    digest = hashlib.sha256(repr((settings, seed, module)).encode())
    for array in (dataset.train_inputs, dataset.train_labels):
        digest.update(np.ascontiguousarray(array))
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy())
    return digest.hexdigest()
