"""N:M sparse networks in one run: train, prune by magnitude, train again; or SR-STE from the start."""

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
from zeroskip.model.mma.pattern import Pattern
from zeroskip.model.network.fold import fold
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning.fitting import require_fit
from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.nm import LayerReport, layer_reports, nm_masks
from zeroskip.model.pruning.permute import PermutedLayer, permute
from zeroskip.model.pruning.sr_ste import SrSte
from zeroskip.model.pruning.training import TrainingSettings, evaluate
from zeroskip.model.pruning.training_run import TrainingProgress, TrainingRun, configuration


@dataclass(frozen=True, kw_only=True)
class NmSettings:
    """What to prune to, and how.

    "magnitude" trains by `dense`, prunes, and trains what is left by `dense` once more: the same hyper-parameters,
    the learning rate from its beginning (Mishra et al., arXiv 2104.08378). With `permute` the channels are
    brought into a better order before that (Pool & Yu, NeurIPS 2021). "sr-ste" trains the starting weights by `dense`
    twice, as they are and sparse, so that the two can be compared. `retrain` replaces `dense` in the second training.
    Layers named in `skip` stay dense. `threads` is part of the settings because sums that are split among threads
    round differently.
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
            raise ValueError("permute must be False with 'sr-ste', which starts from weights that mean nothing yet")


@dataclass(frozen=True, kw_only=True, eq=False)
class NmResult:
    """The network at each stage, all of the form of the given module.

    `dense` is its trained copy, `pruned` that one pruned by magnitude (and permuted before, where asked for) and not
    trained since, `sparse` the N:M sparse network to use. `accuracies` holds fractions of the test set under "dense",
    "pruned" and "sparse". `masks` are those of `sparse` by parameter name, `layers` says what became of the weights
    from `dense` to `pruned`, and `permutations` what moved. `test` is what accuracies were measured on.
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
    """Runs the whole recipe on a copy of `module`, whose weights are the starting point.

    `progress` is called after every epoch, `steps` before what takes a while between and behind the training stages.

    With `checkpoint` the state is saved there after every epoch, and a run that was cut short continues; a
    checkpoint of another run is started over. Nothing depends on the test set but the reported accuracies.

    Raises ValueError, before anything is trained, where the network cannot be compiled or does not fit the data or
    the settings, and where the checkpoint is damaged.
    """
    require_fit(fold(module), dataset)
    choose = partial(nm_masks, pattern=settings.pattern, skip=settings.skip)
    choose(module)
    if settings.permute:
        permute(module, settings.pattern, seed=seed, proposals=0)
    inputs, labels = torch.from_numpy(dataset.train_inputs), torch.from_numpy(dataset.train_labels)
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
    # Found again rather than stored where a run is resumed: all that follows depends on `dense` alone.
    ordered, permutations = permute(dense, settings.pattern, seed=seed) if settings.permute else (dense, [])
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
