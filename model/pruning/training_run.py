"""A training run of several stages, which can be interrupted and resumed."""

import hashlib
import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.device import CPU, kind_of
from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.weights_hash import weights_hash
from zeroskip.model.pruning.checkpoint import (
    Checkpoint,
    OtherConfiguration,
    Tensors,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.training import Loss, Penalty, TrainingSettings, cross_entropy, train

_LOG = logging.getLogger(__name__)

SAMPLES = 16
"""The number of inputs whose outputs are a part of a network's identity."""


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """`epoch` of the `epochs` of a stage are done, and `done` of the `total` epochs of the run. `loss` is the mean over
    the last epoch, or None where the run has just resumed."""

    stage: str
    epoch: int
    epochs: int
    done: int
    total: int
    loss: float | None


class TrainingRun:
    """A sequence of training stages, which can be resumed from the file `path`.

    The state is saved there after every epoch. If the file holds the state of a run with the same `configuration`,
    finished stages are restored from it, and the unfinished one continues. The state of another run is overwritten.
    `total` is the number of epochs of all stages. Raises ValueError if the file is damaged.
    """

    def __init__(
        self,
        labels: Tensor,
        *,
        seed: int,
        total: int,
        configuration: str,
        path: Path | None,
        progress: Callable[[TrainingProgress], None],
    ):
        self.labels = labels
        self.seed = seed
        self.total = total
        self.configuration = configuration
        self.path = path
        self.progress = progress
        self.number = 0
        self.done = 0
        # The results of the finished stages.
        self.kept: dict[str, Tensors] = {}
        self.resumed = self._load()

    def stage(
        self,
        name: str,
        module: nn.Module,
        inputs: Tensor,
        training: TrainingSettings,
        *,
        keep: str,
        choose: Callable[[nn.Module], Tensors] = lambda _: {},
        hold: Callable[[nn.Module, Tensors], AbstractContextManager[Any]] = Masks,
        loss: Loss = cross_entropy,
        penalise: Callable[[Tensors], Penalty | None] = lambda _: None,
    ) -> None:
        """Trains `module` in place with the masks of `choose(module)`, or restores it if the stage was finished before.

        `keep` is the name of the stage's result in the checkpoint; a later stage with the same name replaces it. The
        training runs within the context `hold(module, masks)`, which must not rename parameters, with `loss` and the
        penalty of `penalise(masks)`. All that these depend on must be a part of the run's configuration.
        """
        number, self.number = self.number, self.number + 1
        at = self.resumed
        first_epoch = 0
        if at is not None and number < at.stage:
            module.load_state_dict(at.groups[keep])
        else:
            optimizer = training.make_optimizer(module)
            if at is not None and number == at.stage:
                module.load_state_dict(at.groups["module"])
                restore_optimizer(optimizer, at.groups.get("optimizer", {}))
                masks, first_epoch = self._masks(module, at), at.epoch
                self._report_resumed(self.done + first_epoch)
                self.progress(
                    TrainingProgress(
                        stage=name,
                        epoch=first_epoch,
                        epochs=training.epochs,
                        done=self.done + first_epoch,
                        total=self.total,
                        loss=None,
                    )
                )
            else:
                masks = choose(module)

            def on_epoch(epoch: int, loss: float) -> None:
                self._save(number, epoch, module, optimizer, masks)
                done = self.done + epoch
                self.progress(
                    TrainingProgress(
                        stage=name, epoch=epoch, epochs=training.epochs, done=done, total=self.total, loss=loss
                    )
                )

            with hold(module, masks):
                train(
                    module,
                    inputs,
                    self.labels,
                    training=training,
                    optimizer=optimizer,
                    seed=self.seed,
                    stage=number,
                    first_epoch=first_epoch,
                    on_epoch=on_epoch,
                    loss=loss,
                    penalty=penalise(masks),
                )
        self.done += training.epochs
        self.kept[keep] = {key: value.clone() for key, value in module.state_dict().items()}

    @staticmethod
    def _masks(module: nn.Module, at: Checkpoint) -> Tensors:
        """The masks of a checkpoint, where the parameters are."""
        return {name: mask.to(module.get_parameter(name).device) for name, mask in at.groups.get("masks", {}).items()}

    def _report_resumed(self, done: int) -> None:
        if done == self.total:
            _LOG.info(f"{self.path} holds this training, complete: nothing was trained again; delete it to train anew")
        else:
            _LOG.info(f"resumed from {self.path}: {done} of {self.total} epochs are done")

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


def _sources(module: nn.Module) -> list[str]:
    """The source code of the network's classes. It shows what the outputs in evaluation mode do not, such as
    dropout."""
    every = {one for layer in module.modules() for one in type(layer).__mro__}
    own = [one for one in every if one.__module__.partition(".")[0] not in ("torch", "builtins")]
    sources = []
    for one in sorted(own, key=lambda one: (one.__module__, one.__qualname__)):
        try:
            sources.append(inspect.getsource(one))
        except (OSError, TypeError):
            # The class has no source file.
            sources.append(one.__qualname__)
    return sources


def configuration(module: nn.Module, dataset: Dataset, settings: object, seed: int, device: str = CPU) -> str:
    """A hash of all that a training run depends on, for `TrainingRun`: the network, the data, the `settings` (by their
    repr), the seed, and the kind of device, on which sums are rounded differently. The network must be on the CPU.

    The network is identified by its layers, the source code of its classes, its weights, and its outputs for SAMPLES
    inputs, as a forward() defined elsewhere may have changed.
    """
    with in_mode(module, training=False), torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        outputs = module(torch.from_numpy(dataset.train_inputs[:SAMPLES].copy()))
    facts = (settings, seed, module, _sources(module), dataset.train_inputs.shape, outputs.shape)
    digest = hashlib.sha256(repr(facts).encode() + outputs.numpy().tobytes())
    if device != CPU:
        digest.update(kind_of(device).encode())
    for array in (dataset.train_inputs, dataset.train_labels):
        digest.update(np.ascontiguousarray(array).data)
    digest.update(weights_hash(module).encode())
    return digest.hexdigest()
