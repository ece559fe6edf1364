"""`zeroskip.train`: the dense network that pruning starts from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zeroskip.api.checks import require_at_least, require_positive, require_settings, typed
from zeroskip.api.inputs import Data, Network, data_of, in_epochs, network_of, on_device, sources_of
from zeroskip.api.paths import optional_path, require_writable, reserves
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning.defaults import WEIGHT_DECAY

if TYPE_CHECKING:
    from torch import nn


OptimizerName = Literal["sgd", "adam"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """SGD with momentum 0.9, or Adam; the learning rate falls from `learning_rate` to zero along half a cosine."""

    epochs: int = 20
    learning_rate: float = 0.05
    weight_decay: float = WEIGHT_DECAY
    batch_size: int = 64
    optimizer: OptimizerName = "sgd"

    def __post_init__(self) -> None:
        require_settings(self, optimizer=OptimizerName)
        require_at_least(self, epochs=0, weight_decay=0, batch_size=1)
        require_positive(self, "learning_rate")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """The trained network `module`, and its accuracy on the test split as fractions: at the "start", and "trained".
    `perplexity` is of the same steps, where each token has a label, as of language models; otherwise None."""

    module: nn.Module
    accuracy: dict[str, float]
    perplexity: dict[str, float] | None
    samples: dict[str, int]
    """How many samples are in the splits "train" and "test"."""
    epochs: int
    output: Path | None
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What `zeroskip train --json` prints."""
        return {
            "weights": None if self.output is None else str(self.output),
            "samples": self.samples,
            "epochs": self.epochs,
            "accuracy": self.accuracy,
            "perplexity": self.perplexity,
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        rows = [(f"accuracy, {step}", f"{value:.2%}") for step, value in self.accuracy.items()]
        rows += [(f"perplexity, {step}", f"{value:.3f}") for step, value in (self.perplexity or {}).items()]
        rows.append(("samples", f"{self.samples['train']:,} for training, {self.samples['test']:,} for testing"))
        return rows if self.output is None else [*rows, ("written to", str(self.output))]


@typed
@reserves("output", "checkpoint")
def train(
    network: Network,
    data: Data,
    *,
    weights: Path | str | None = None,
    settings: TrainSettings | None = None,
    output: Path | str | None = None,
    checkpoint: Path | str | None = None,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = silent,
) -> Trained:
    """Train a dense network by SGD or Adam.

    `network` is an nn.Module, which is not changed, or "module:factory"; `weights` is a safetensors file of its
    state_dict. `data` has inputs (n, ...) float32 and labels (n,) of classes, or (n, tokens). The trained weights are
    written to `output`, and the state of the training to `checkpoint` after every epoch: a run that was cut short
    continues from it. The network runs on the `device`, "cpu", "cuda" or "cuda:N". The result depends on the arguments
    alone.

    Raises ValueError if network, data or settings do not fit each other, OSError where a file cannot be read or
    written, and FloatingPointError where training diverges.
    """
    start = time.monotonic()
    weights = optional_path(weights)
    output = optional_path(output)
    checkpoint = optional_path(checkpoint)
    settings = settings or TrainSettings()
    if output is not None:
        require_writable(output, *sources_of(data, checkpoint), suffix=".safetensors")
    with on_device(device):
        module, removed = network_of(network, weights, progress)
        if output is not None:
            from zeroskip.model.loading import require_savable

            require_savable(module)
        dataset = data_of(data, seed, progress, weights)
        import copy

        import torch

        from zeroskip.model.device import CPU, moved
        from zeroskip.model.loading import save_weights
        from zeroskip.model.network.samples import SampleForm
        from zeroskip.model.pruning.data_checks import require_classifier
        from zeroskip.model.pruning.training import TrainingSettings, evaluate_with_loss, perplexity
        from zeroskip.model.pruning.training_run import TrainingRun, configuration

        training = TrainingSettings(
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            batch_size=settings.batch_size,
            optimizer=settings.optimizer,
        )
        require_classifier(module, dataset)
        trained = moved(copy.deepcopy(module), device)
        run = TrainingRun(
            torch.from_numpy(dataset.train_labels).to(device),
            seed=seed,
            total=settings.epochs,
            configuration=configuration(module, dataset, training, seed, device),
            path=checkpoint,
            progress=in_epochs(progress),
        )
        progress(Step(task="training", total=settings.epochs, unit="epochs"))
        run.stage("training", trained, torch.from_numpy(dataset.train_inputs).to(device), training, keep="dense")
        progress(Step(task="measuring accuracy"))
        test = torch.from_numpy(dataset.test_inputs).to(device), torch.from_numpy(dataset.test_labels).to(device)
        start_at = moved(module, device)
        measured = {"start": evaluate_with_loss(start_at, *test), "trained": evaluate_with_loss(trained, *test)}
        trained = moved(trained, CPU)
    spread = {step: perplexity(loss) for step, (_, loss) in measured.items()}
    if output is not None:
        save_weights(trained, output, removed=removed, samples=SampleForm.of(dataset.train_inputs))
    return Trained(
        module=trained.eval(),
        accuracy={step: accuracy for step, (accuracy, _) in measured.items()},
        perplexity=spread if dataset.test_labels.ndim == 2 else None,
        samples={"train": len(dataset.train_inputs), "test": len(dataset.test_inputs)},
        epochs=settings.epochs,
        output=output,
        seconds=time.monotonic() - start,
    )
