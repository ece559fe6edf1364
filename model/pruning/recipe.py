"""The first two stages of Deep Compression: train, prune in rounds, share weights, fine-tune the shared weights."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.eie.settings import Sharing
from zeroskip.model.eie.shared import SharedLayer, SharedOperation, to_module
from zeroskip.model.eie.sharing import share_layers, warn_of_rough_sharing
from zeroskip.model.network.fold import fold
from zeroskip.model.network.folded import Folded
from zeroskip.model.network.graph import as_inputs_of
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning import schedules
from zeroskip.model.pruning.centroids import trainable_network, with_trained_codebooks
from zeroskip.model.pruning.criteria import magnitude
from zeroskip.model.pruning.data_checks import require_compilable, require_shape, shape_inputs
from zeroskip.model.pruning.masks import allocate_globally, allocate_per_layer
from zeroskip.model.pruning.training import TrainingSettings, evaluate_with_loss, perplexity
from zeroskip.model.pruning.training_run import TrainingProgress, TrainingRun, configuration
from zeroskip.model.pruning.weights import multiplied_weights


@dataclass(frozen=True, kw_only=True)
class PruneAndShareSettings:
    """The density, and the training of each stage.

    `density` is the fraction of all weights that is kept, where all weights compete by magnitude, or one fraction for
    each weight in order (zeroskip.model.pruning.weights): a recurrent layer has two for each layer and direction. It is
    reached in `rounds` rounds, each followed by the training `retrain`. Weights are shared by `sharing`
    (zeroskip.model.eie.settings), and then trained by `share`. The number of `threads` is a setting because it changes
    how sums are rounded.
    """

    density: float | tuple[float, ...]
    rounds: int
    dense: TrainingSettings
    retrain: TrainingSettings
    share: TrainingSettings
    threads: int
    sharing: Sharing = "plain"

    def __post_init__(self) -> None:
        # The schedule checks the density and the number of rounds.
        self.densities()

    def densities(self) -> list[float | tuple[float, ...]]:
        """The density, or densities, after every round."""
        if isinstance(self.density, tuple):
            by_layer = [schedules.iterative(density, self.rounds) for density in self.density]
            return list(zip(*by_layer, strict=True))
        return list(schedules.iterative(self.density, self.rounds))


@dataclass(frozen=True, kw_only=True, eq=False)
class PruneAndShareResult:
    """The network at each stage.

    `dense` is the given module or its trained copy, `pruned` the pruned network in folded form, `layers` the same with
    shared weights, and `shared` the float network with the weights of `layers`. `accuracies` has fractions of the test
    set: "dense", "pruned" and "shared"; None if there are no labels. `perplexities` are those of the same steps where
    labels are of tokens. `kept` of `total` weights are not zero, without
    the biases.
    """

    dense: nn.Module
    pruned: Folded
    layers: list[SharedOperation]
    shared: Folded
    accuracies: dict[str, float] | None
    perplexities: dict[str, float] | None
    kept: int
    total: int
    test: tuple[np.ndarray, np.ndarray] | None = None
    """The inputs and labels of the test set."""


def share(
    module: nn.Module,
    pruned: Folded,
    *,
    inputs: np.ndarray | None = None,
    sharing: Sharing = "plain",
    test_inputs: np.ndarray | None = None,
    test_labels: np.ndarray | None = None,
    progress: Progress = silent,
) -> PruneAndShareResult:
    """Shares the weights of a network, which is given as it is and folded, without pruning and training. `inputs` are
    samples by which the biases are scaled, where they must be, and by which weights are shared, where `sharing` asks
    for it (share_layers).

    The result is exact if, after folding, no layer has more than 15 distinct non-zero weights and biases.
    """
    test = None
    if test_inputs is not None and test_labels is not None:
        require_shape(pruned, test_inputs, "inputs")
        test = torch.from_numpy(test_inputs), torch.from_numpy(test_labels)
    operations = share_layers(pruned, progress, inputs=inputs, sharing=sharing)
    if sharing == "plain":
        warn_of_rough_sharing(pruned, operations)
    return _result(module, pruned, operations, test, progress)


def prune_and_share(
    module: nn.Module,
    dataset: Dataset,
    *,
    settings: PruneAndShareSettings,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[TrainingProgress], None] = lambda _: None,
    steps: Progress = silent,
) -> PruneAndShareResult:
    """Runs the whole recipe on a copy of `module`, starting from its weights.

    `progress` is called after every epoch, `steps` before each step between and after the trainings.

    With `checkpoint` the state is saved there after every epoch, and an interrupted training run continues from it; the
    checkpoint of another run is replaced. Only the reported accuracies depend on the test set.

    Raises ValueError, before anything is trained, if the network cannot be compiled, has layers that share a weight, or
    does not fit the data or the densities, and where the checkpoint is damaged.
    """
    require_compilable(module, dataset)
    train_inputs, train_labels = (
        torch.from_numpy(dataset.train_inputs),
        torch.from_numpy(dataset.train_labels),
    )
    choosers = [_chooser(module, density) for density in settings.densities()]
    torch.set_num_threads(settings.threads)
    run = TrainingRun(
        train_labels,
        seed=seed,
        total=settings.dense.epochs + settings.rounds * settings.retrain.epochs + settings.share.epochs,
        configuration=configuration(module, dataset, settings, seed),
        path=checkpoint,
        progress=progress,
    )
    dense = copy.deepcopy(module)
    steps(Step(task="training"))
    run.stage("train", dense, train_inputs, settings.dense, keep="dense")
    network = copy.deepcopy(dense)
    for number, choose in enumerate(choosers, 1):
        name = f"prune {number}/{len(choosers)}"
        run.stage(name, network, train_inputs, settings.retrain, keep="pruned", choose=choose)
    pruned = fold(network, dataset.train_inputs)
    operations = share_layers(pruned, steps, inputs=dataset.train_inputs, sharing=settings.sharing)
    if settings.sharing == "plain":
        warn_of_rough_sharing(pruned, operations)
    shared = trainable_network(operations)
    run.stage("share", shared, shape_inputs(train_inputs, pruned), settings.share, keep="shared")
    layers = with_trained_codebooks(operations, shared)
    test = torch.from_numpy(dataset.test_inputs), torch.from_numpy(dataset.test_labels)
    return _result(dense.eval(), pruned, layers, test, steps)


def _chooser(module: nn.Module, density: float | tuple[float, ...]) -> Callable[[nn.Module], dict[str, Tensor]]:
    """The function that chooses the masks of one round, by magnitude."""
    names = list(multiplied_weights(module))
    if isinstance(density, tuple) and len(density) != len(names):
        raise ValueError(
            f"density must be one for each of {len(names)} weights ({', '.join(names)}), not {len(density)}"
        )

    def choose(current: nn.Module) -> dict[str, Tensor]:
        scores = {name: magnitude(current.get_parameter(name)) for name in names}
        if isinstance(density, tuple):
            return allocate_per_layer(scores, dict(zip(names, density, strict=True)))
        return allocate_globally(scores, density)

    return choose


def _result(
    dense: nn.Module,
    pruned: Folded,
    layers: list[SharedOperation],
    test: tuple[Tensor, Tensor] | None,
    progress: Progress,
) -> PruneAndShareResult:
    shared = to_module(layers)
    accuracies = perplexities = None
    if test is not None:
        progress(Step(task="measuring accuracy"))
        inputs, labels = test
        shaped = shape_inputs(inputs, pruned)
        measured = {
            "dense": evaluate_with_loss(dense, as_inputs_of(dense, inputs), labels),
            "pruned": evaluate_with_loss(pruned, shaped, labels),
            "shared": evaluate_with_loss(shared, shaped, labels),
        }
        accuracies = {step: accuracy for step, (accuracy, _) in measured.items()}
        if labels.dim() == 2:
            perplexities = {step: perplexity(loss) for step, (_, loss) in measured.items()}
    codes = [layer.weight_codes for layer in layers if isinstance(layer, SharedLayer)]
    return PruneAndShareResult(
        dense=dense,
        pruned=pruned,
        layers=layers,
        shared=shared,
        accuracies=accuracies,
        perplexities=perplexities,
        kept=sum(int(np.count_nonzero(matrix)) for matrix in codes),
        total=sum(matrix.size for matrix in codes),
        test=None if test is None else (test[0].numpy(), test[1].numpy()),
    )
