"""N:M sparse networks in one training run: train, prune by magnitude, train again; or SR-STE from the start."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning.data_checks import require_compilable
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.nm import LayerReport, layer_reports, nm_masks
from zeroskip.model.pruning.permute import PermutedLayer, permute
from zeroskip.model.pruning.sr_ste import SrSte
from zeroskip.model.pruning.training import TrainingSettings, evaluate
from zeroskip.model.pruning.training_run import TrainingProgress, TrainingRun, configuration


@dataclass(frozen=True, kw_only=True)
class NmSettings:
    """The pattern and the method.

    The method "magnitude" trains with the settings `dense`, prunes, and repeats the training with the same settings,
    the learning rate starting again (Mishra et al., arXiv 2104.08378). With `permute` it first permutes the channels so
    that pruning keeps more (Pool & Yu, NeurIPS 2021). The method "sr-ste" trains the initial weights twice with the
    settings `dense`, dense and sparse, to compare the two. `retrain` replaces `dense` in the second training. Layers
    named in `skip` stay dense. The number of `threads` is a setting because it changes how sums are rounded.
    """

    pattern: Pattern
    dense: TrainingSettings
    threads: int
    retrain: TrainingSettings | None = None
    method: Literal["magnitude", "sr-ste"] = "magnitude"
    permute: bool = False
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in ("magnitude", "sr-ste"):
            raise ValueError(f"method must be 'magnitude' or 'sr-ste', not {self.method!r}")
        if self.permute and self.method != "magnitude":
            raise ValueError("permute must be False with 'sr-ste', whose initial weights are not trained yet")


@dataclass(frozen=True, kw_only=True, eq=False)
class NmResult:
    """The networks at each stage, all in the form of the given module.

    `dense` is the trained network, `pruned` the same (permuted, if that was asked for) pruned by magnitude and not
    trained since, `sparse` the final N:M sparse network. `accuracies` has fractions of the test set: "dense", "pruned"
    and "sparse". `masks` are those of `sparse`, by parameter name. `layers` describes the pruning of each layer, and
    `permutations` the order of its channels. `test` holds the inputs and labels of the test set.
    """

    dense: nn.Module
    pruned: nn.Module
    sparse: nn.Module
    accuracies: dict[str, float]
    masks: dict[str, Tensor]
    layers: list[LayerReport]
    permutations: list[PermutedLayer]
    test: tuple[np.ndarray, np.ndarray]


def prune_nm(
    module: nn.Module,
    dataset: Dataset,
    *,
    settings: NmSettings,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[TrainingProgress], None] = lambda _: None,
    steps: Progress = silent,
) -> NmResult:
    """Runs the whole recipe on a copy of `module`, starting from its weights.

    `progress` is called after every epoch, `steps` before each step between and after the trainings.

    With `checkpoint` the state is saved there after every epoch, and an interrupted training run continues from it; the
    checkpoint of another run is replaced. Only the reported accuracies depend on the test set.

    Raises ValueError, before anything is trained, if the network cannot be compiled, has layers that share a weight, or
    does not fit the data or the settings, and where the checkpoint is damaged.
    """
    require_compilable(module, dataset)
    choose = partial(nm_masks, pattern=settings.pattern, skip=settings.skip)
    choose(module)
    inputs, labels = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_labels)
    if settings.permute:
        permute(module, settings.pattern, seed=seed, proposals=0, samples=inputs)
    torch.set_num_threads(settings.threads)
    retrain = settings.dense if settings.retrain is None else settings.retrain
    run = TrainingRun(
        labels,
        seed=seed,
        total=settings.dense.epochs + retrain.epochs,
        configuration=configuration(module, dataset, settings, seed),
        path=checkpoint,
        progress=progress,
    )
    dense = copy.deepcopy(module)
    steps(Step(task="training"))
    run.stage("train", dense, inputs, settings.dense, keep="dense")
    if settings.permute:
        steps(Step(task="permuting channels"))
    # Not stored in the checkpoint: the permutation depends on `dense` alone and is computed again.
    ordered, permutations = (
        permute(dense, settings.pattern, seed=seed, samples=inputs) if settings.permute else (dense, [])
    )
    steps(Step(task=f"pruning to {settings.pattern}"))
    masks = choose(ordered)
    layers = layer_reports(ordered, masks, settings.pattern)
    pruned = copy.deepcopy(ordered)
    Masks(pruned, masks).apply()
    if settings.method == "magnitude":
        sparse = copy.deepcopy(pruned)
        run.stage("retrain", sparse, inputs, retrain, keep="sparse", choose=lambda _: masks)
    else:
        sparse = copy.deepcopy(module)

        def hold(trained: nn.Module, _: object) -> SrSte:
            return SrSte(trained, settings.pattern, skip=settings.skip)

        run.stage("train sparse", sparse, inputs, retrain, keep="sparse", hold=hold)
        masks = choose(sparse)
    test_inputs, test_labels = torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels)
    steps(Step(task="measuring accuracy"))
    stages = {"dense": dense.eval(), "pruned": pruned.eval(), "sparse": sparse.eval()}
    return NmResult(
        **stages,
        accuracies={name: evaluate(stage, test_inputs, test_labels) for name, stage in stages.items()},
        masks=masks,
        layers=layers,
        permutations=permutations,
        test=(dataset.test_inputs, dataset.test_labels),
    )
