"""Fine-tuning to a plan or to a compression ratio: pruning in rounds, with training after each."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.device import CPU, moved
from zeroskip.model.network.weights_hash import weights_hash
from zeroskip.model.pruning.criteria import Criterion
from zeroskip.model.pruning.data_checks import require_prunable
from zeroskip.model.pruning.masks import Masks, prunable_weights
from zeroskip.model.pruning.regularise import Growing
from zeroskip.model.pruning.training import cross_entropy, evaluate
from zeroskip.model.pruning.training_run import TrainingProgress, TrainingRun, configuration
from zeroskip.model.search.finetune_settings import PruneAndTrainSettings
from zeroskip.model.search.plan import CHANNELS, WEIGHTS, Plan, weight_shapes
from zeroskip.model.search.setup import space_for
from zeroskip.model.search.spaces.batch_norm import prune
from zeroskip.model.search.spaces.global_weights import NETWORK, GlobalWeightSpace
from zeroskip.model.search.spaces.space import Densities, Space


@dataclass(frozen=True, kw_only=True, eq=False)
class FinetuneResult:
    """The fine-tuned network, whose removable channels are removed.

    `accuracies` are fractions of the test set: "dense", "pruned" in one step without training, and "finetuned".
    `layers` gives (non-zero weights, weights of the dense network) for every layer.
    """

    module: nn.Module
    accuracies: dict[str, float]
    layers: dict[str, tuple[int, int]]

    @property
    def count(self) -> int:
        """The number of non-zero weights."""
        return sum(kept for kept, _ in self.layers.values())

    @property
    def total(self) -> int:
        """The number of weights of the dense network."""
        return sum(total for _, total in self.layers.values())

    @property
    def kept(self) -> float:
        """The density: non-zero weights as a fraction of all."""
        return self.count / self.total


def finetune(
    module: nn.Module,
    target: Plan | float,
    dataset: Dataset,
    *,
    settings: PruneAndTrainSettings,
    seed: int,
    adapted: nn.Module | None = None,
    checkpoint: Path | None = None,
    device: str = CPU,
    progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> FinetuneResult:
    """Prunes a copy of `module` and trains the weights that are left. `target` is a plan, or a compression ratio: then
    all weights of the network compete. `adapted` is the network that a search has trained on its way to the plan: it is
    pruned and trained instead, and `module` is the dense network alone. With `checkpoint`, a training run that was
    interrupted continues. The networks run on the `device` (zeroskip.model.device); the result is on the CPU.

    Raises ValueError if the plan belongs to another network, an N:M pattern is to be reached in rounds, or an adapted
    network does not start from the dense one (`PruneAndTrainSettings.at_once`); and FloatingPointError where training
    diverges.
    """
    torch.set_num_threads(settings.threads)
    dense = moved(copy.deepcopy(module), device)
    space, final = _space(dense, target, dataset, settings, device)
    if space.granularity not in (WEIGHTS, CHANNELS) and settings.schedule != "one-shot":
        raise ValueError(f"schedule must be one-shot for {space.granularity}, not {settings.schedule}")
    if adapted is not None and not (settings.at_once and isinstance(target, Plan)):
        raise ValueError(
            "an adapted network is pruned already: it needs its plan, the schedule one-shot, and no training before it"
        )
    steps = settings.steps(final)
    inputs, labels = (torch.from_numpy(array).to(device) for array in (dataset.train_inputs, dataset.train_labels))
    growing = settings.growing(len(inputs))
    trainings = [settings.train, *[settings.training] * len(steps) * (1 if growing is None else 2), settings.final]
    run = TrainingRun(
        labels,
        seed=seed,
        total=sum(training.epochs for training in trainings if training is not None),
        configuration=configuration(
            module, dataset, (settings, target, adapted and weights_hash(adapted)), seed, device
        ),
        path=checkpoint,
        progress=progress,
    )
    if settings.train is not None:
        run.stage("train", dense, inputs, settings.train, keep="dense")
        # The space depends on the network's weights, which have changed.
        space, _ = _space(dense, target, dataset, settings, device)
    criterion = settings.scores(inputs, labels, seed)
    loss = cross_entropy if settings.distil is None else settings.distil.by(dense)
    if adapted is not None and isinstance(space, Space):
        pruned = space.pruned(_like(space, adapted), final, criterion)
    else:
        pruned = space.masked(final, criterion)
    # Pruning to the final densities in one step also fits the weights that are left, so start from its result; pruning
    # in rounds starts from the dense network.
    start = copy.deepcopy(pruned if len(steps) == 1 and growing is None else space.module)
    train = functools.partial(run.stage, inputs=inputs, loss=loss)
    small = _in_rounds(start, space, steps, criterion, settings, growing, train)
    test = torch.from_numpy(dataset.test_inputs).to(device), torch.from_numpy(dataset.test_labels).to(device)
    stages = {"dense": dense, "pruned": space.remove(pruned, final), "finetuned": small}
    left = prunable_weights(small)
    return FinetuneResult(
        module=moved(small, CPU).eval(),
        accuracies={name: evaluate(stage, *test) for name, stage in stages.items()},
        layers={
            name: (int(left[f"{name}.weight".lstrip(".")].count_nonzero()), math.prod(shape))
            for name, shape in weight_shapes(module).items()
        },
    )


def _space(
    module: nn.Module, target: Plan | float, dataset: Dataset, settings: PruneAndTrainSettings, device: str
) -> tuple[Space | GlobalWeightSpace, Densities]:
    """The space of the pruning, and the final densities."""
    if isinstance(target, Plan):
        target.check(module)
        space = space_for(module, target.granularity, dataset, refit=settings.refit, device=device)
        return space, space.densities(target)
    if not 1 <= target < math.inf:
        raise ValueError(f"compression must be at least 1 and finite, not {target}")
    require_prunable(moved(module, CPU), dataset)
    everything = GlobalWeightSpace(module, torch.from_numpy(dataset.train_inputs), refit=settings.refit)
    everything.to(device)
    return everything, {NETWORK: 1 / target}


def _like(space: Space, adapted: nn.Module) -> nn.Module:
    """The adapted weights in the space's network, whose forward() may differ from that of the user's."""
    network = copy.deepcopy(space.module)
    network.load_state_dict(adapted.state_dict())
    return network


def _in_rounds(
    tuned: nn.Module,
    space: Space | GlobalWeightSpace,
    steps: list[Densities],
    criterion: Criterion | None,
    settings: PruneAndTrainSettings,
    growing: Growing | None,
    train: Callable[..., None],
) -> nn.Module:
    """Prunes and trains `tuned` round by round, then runs the final training. Returns the network without the channels
    that can be removed."""
    constant = None if settings.regularisation is None else settings.regularisation.constant
    before: Densities = {}
    for number, step in enumerate(steps, 1):
        name = f"round {number} of {len(steps)}"
        choose = functools.partial(space.masks, densities=step, criterion=criterion)
        if growing is not None:
            # `choose` gives the masks of this round, whose weights are penalised; meanwhile the masks of the round
            # before hold.
            held = space.masks(tuned, before, criterion)
            train(
                f"{name}, penalty",
                tuned,
                training=settings.training,
                keep="tuned",
                choose=choose,
                hold=lambda module, _, held=held: Masks(module, held),
                penalise=lambda masks: growing.on(masks) if masks else None,
            )
        if number < len(steps):
            train(name, tuned, training=settings.training, keep="tuned", choose=choose, penalise=lambda _: constant)
        before = step
    masks = space.masks(tuned, before, criterion)
    prune(tuned, masks, space.calibration)
    # No more weights will be pruned, so remove what can be removed: a smaller network trains faster.
    small = space.remove(tuned, before)
    last = functools.partial(
        train,
        module=small,
        keep="finetuned",
        choose=lambda _: {} if space.granularity == CHANNELS else masks,
        penalise=lambda _: constant,
    )
    last(name, training=settings.training)
    if settings.final is not None:
        last("final", training=settings.final)
    return small
