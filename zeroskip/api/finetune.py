"""`zeroskip.finetune`: prune a network to a plan, or to a compression ratio, and train it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_at_least, require_positive, require_settings, typed
from zeroskip.api.inputs import Data, Network, data_of, in_epochs, network_of, on_device, sources_of
from zeroskip.api.paths import optional_path, require_writable, reserves
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning.defaults import WEIGHT_DECAY
from zeroskip.model.search.choices import CriterionName, PenaltyName, ScheduleName
from zeroskip.model.search.views.side_files import adapted_weights
from zeroskip.model.warned import warn

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.api.search import SearchResult
    from zeroskip.model.search import finetune_settings
    from zeroskip.model.search.plan import Plan


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How the network is pruned, and how it is trained.

    Weights, or channels, are ranked by `criterion` and pruned by `schedule`: at once, or in `rounds`. Each round is
    followed by `epochs` of training at `learning_rate`, the last one by `final_epochs` more; a `learning_rate` of
    None means a tenth of `train_rate`. With `train_epochs` the network is first trained dense, at `train_rate`. With
    `refit`, the weights that pruning at once leaves are fitted by least squares before the training.

    `regularise` adds a penalty of the factor `strength` while pruning: about 1e-5 for l1 and group-lasso, 1e-4 for l2
    and 1 for growing (Wang et al., ICLR 2021). With `distil` the dense network is the teacher (Hinton et al., arXiv
    1503.02531): its outputs, softened by `temperature`, have the weight `alpha` in the loss, and the labels the rest.

    Where everything is pruned at once, without dense training, a plan of NetAdapt starts from the weights with which
    its search ended; with `from_dense` it starts from the dense network as all others do.
    """

    criterion: CriterionName = "auto"
    refit: bool = True
    schedule: ScheduleName = "one-shot"
    rounds: int = 5
    train_epochs: int = 0
    train_rate: float = 0.05
    epochs: int = 5
    learning_rate: float | None = None
    final_epochs: int = 0
    batch_size: int = 64
    regularise: PenaltyName | None = None
    strength: float | None = None
    distil: bool = False
    temperature: float = 4.0
    alpha: float = 0.9
    from_dense: bool = False

    def __post_init__(self) -> None:
        require_settings(self, criterion=CriterionName, schedule=ScheduleName)
        if self.regularise is not None:
            require_settings(self, regularise=PenaltyName)
        require_at_least(self, rounds=1, train_epochs=0, epochs=0, final_epochs=0, batch_size=1)
        require_positive(self, "train_rate", "learning_rate", "strength")
        if self.regularise is not None and self.strength is None:
            raise ValueError(f"regularise {self.regularise} needs a strength")


@dataclass(frozen=True, kw_only=True, eq=False)
class Finetuned:
    """The pruned and trained network `module`; removed channels are gone from it. `adapted` says whether the training
    went on from the weights with which the plan's search ended.

    `accuracy` are fractions of the test split: "dense", "pruned" before training, and "finetuned". `layers` gives for
    every layer how many weights are not zero, and how many it had.
    """

    module: nn.Module
    accuracy: dict[str, float]
    layers: dict[str, tuple[int, int]]
    adapted: bool
    output: Path | None
    seconds: float

    @property
    def kept(self) -> int:
        """Weights that are not zero."""
        return sum(kept for kept, _ in self.layers.values())

    @property
    def total(self) -> int:
        """Weights of the dense network."""
        return sum(total for _, total in self.layers.values())

    def summary(self) -> dict[str, Any]:
        """What `zeroskip finetune --json` prints."""
        return {
            "weights": None if self.output is None else str(self.output),
            "accuracy": self.accuracy,
            "adapted": self.adapted,
            "kept": self.kept,
            "total": self.total,
            "density": self.kept / self.total,
            "compression": self.total / self.kept,
            "layers": {name: {"kept": kept, "total": total} for name, (kept, total) in self.layers.items()},
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in self.accuracy.items()]
        if self.adapted:
            rows.append(("pruned and trained from", "the weights with which the search ended"))
        rows += [(f"layer {name}", f"{kept:,} of {total:,} weights") for name, (kept, total) in self.layers.items()]
        density, ratio = self.kept / self.total, self.total / self.kept
        rows.append(("weights kept", f"{self.kept:,} of {self.total:,} ({density:.1%}, compression ratio {ratio:.1f})"))
        return rows if self.output is None else [*rows, ("written to", str(self.output))]


@typed
@reserves("output", "checkpoint")
def finetune(
    network: Network,
    data: Data,
    *,
    plan: Plan | SearchResult | Path | str | None = None,
    compression: float | None = None,
    weights: Path | str | None = None,
    settings: FinetuneSettings | None = None,
    output: Path | str | None = None,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = silent,
) -> Finetuned:
    """Prune a network and train it.

    It is pruned to a `plan`: what `zeroskip.search` returned, its plan, or the path of its file; or to a `compression`
    ratio, dense weights to kept weights, where all layers compete for the weights. A plan of NetAdapt goes on from the
    weights with which its search ended, those of the result or those beside the file, if that search started from the
    weights that are given (otherwise a warning says so). `network` is an nn.Module, which is
    not changed, or "module:factory"; `weights` is a safetensors file of its state_dict. `data` has inputs (n, ...)
    float32 and labels (n,) of classes. The weights are written to `output`, for `zeroskip.compile`, and the state of
    the training to `checkpoint` after every epoch: a run that was cut short continues from it. Networks run on the
    `device`, "cpu", "cuda" or "cuda:N". The result depends on the arguments alone.

    Raises ValueError if the arguments do not fit each other, such as a plan for another network, OSError where a
    file cannot be read or written, and FloatingPointError where training diverges.
    """
    start = time.monotonic()
    weights = optional_path(weights)
    output = optional_path(output)
    checkpoint = optional_path(checkpoint)
    settings = settings or FinetuneSettings()
    if (plan is None) == (compression is None):
        raise ValueError("either a plan or a compression ratio must be given, and not both")
    if compression is not None and not 1 <= compression < math.inf:
        raise ValueError(f"compression must be at least 1 and finite, not {compression}")
    trained = (getattr(plan, "adapted", None), getattr(plan, "adapted_from", None))
    plan = getattr(plan, "plan", plan)
    path = Path(plan) if isinstance(plan, str | Path) else None
    if output is not None:
        # Weights may be trained on in place: they are read before they are written.
        require_writable(output, *sources_of(data, path, checkpoint), suffix=".safetensors")
    with on_device(device):
        from zeroskip.model.loading import require_savable, save_weights
        from zeroskip.model.network.samples import SampleForm
        from zeroskip.model.search.finetune import finetune as prune_and_train
        from zeroskip.model.search.plan import CHANNELS, Plan, load_plan

        target: Any = load_plan(path) if path is not None else compression if plan is None else plan
        training = _training(settings)
        module, removed = network_of(network, weights, progress)
        if output is not None:
            require_savable(module)
        dataset = data_of(data, seed, progress, weights)
        adapted = None
        if isinstance(target, Plan) and training.at_once and not settings.from_dense:
            adapted = _adapted(module, target, path, trained)
        progress(Step(task="pruning"))
        result = prune_and_train(
            module,
            target,
            dataset,
            settings=training,
            seed=seed,
            adapted=adapted,
            checkpoint=checkpoint,
            device=device,
            progress=in_epochs(progress),
        )
        if output is not None:
            gone = isinstance(target, Plan) and target.granularity == CHANNELS
            samples = SampleForm.of(dataset.train_inputs)
            save_weights(result.module, output, removed=removed or gone, samples=samples)
    return Finetuned(
        module=result.module,
        accuracy=result.accuracies,
        layers=result.layers,
        adapted=adapted is not None,
        output=output,
        seconds=time.monotonic() - start,
    )


def _adapted(
    module: nn.Module, plan: Plan, path: Path | None, found: tuple[nn.Module | None, str | None]
) -> nn.Module | None:
    """The network with which the search for the plan ended: the one that was `found`, with the hash of the weights from
    which it started, or that of the file beside the plan's `path`. None where there is none, or where the search
    started from other weights than the module's."""
    import copy

    from zeroskip.model.loading import adapted_from, load_weights
    from zeroskip.model.network.weights_hash import weights_hash

    file = None if path is None or plan.method != "netadapt" else adapted_weights(path)
    if file is not None and file.is_file():
        plan.check(module)
        found = load_weights(copy.deepcopy(module), file), adapted_from(file)
    adapted, start = found
    if adapted is None:
        return None
    given = weights_hash(module)
    if start == given:
        return adapted
    if given != weights_hash(adapted):
        place = "the search result's weights" if file is None else str(file)
        warn(
            f"{place} were trained from other weights than the given ones, so training starts from the given ones",
            stacklevel=2,
        )
    return None


def _training(settings: FinetuneSettings) -> finetune_settings.PruneAndTrainSettings:
    """Converts the settings for the rounds of pruning and training."""
    from zeroskip.model.pruning.distil import Distil
    from zeroskip.model.pruning.training import TrainingSettings
    from zeroskip.model.search.finetune_settings import PruneAndTrainSettings, Regularisation

    rate = settings.train_rate / 10 if settings.learning_rate is None else settings.learning_rate

    def training(epochs: int, rate: float) -> TrainingSettings:
        return TrainingSettings(
            epochs=epochs, learning_rate=rate, weight_decay=WEIGHT_DECAY, batch_size=settings.batch_size
        )

    return PruneAndTrainSettings(
        train=training(settings.train_epochs, settings.train_rate) if settings.train_epochs else None,
        training=training(settings.epochs, rate),
        final=training(settings.final_epochs, rate) if settings.final_epochs else None,
        schedule=settings.schedule,
        rounds=settings.rounds,
        criterion=settings.criterion,
        refit=settings.refit,
        regularisation=None
        if settings.regularise is None
        else Regularisation(name=settings.regularise, strength=settings.strength or 0),
        distil=Distil(temperature=settings.temperature, alpha=settings.alpha) if settings.distil else None,
        threads=1,
    )
