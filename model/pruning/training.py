"""Training of classifiers. An interrupted training run that is resumed gives the same bits as an uninterrupted one."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.pruning.data_checks import error_line
from zeroskip.model.pruning.outputs import by_label, logits

EVALUATION_BATCH = 256
"""The batch size of evaluation. With larger batches the activations do not fit the cache (Plain-20 takes four times as
long)."""

LARGEST_LOSS = 1e6
"""The largest loss that `evaluate_with_loss` returns."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The mean loss over a batch, from (outputs, inputs, labels)."""

Penalty = Callable[[nn.Module, int], Tensor]
"""A term that is added to the loss, from the module and the number of steps done in this training."""


def cross_entropy(outputs: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy loss of outputs (n, classes): logits, log-probabilities or probabilities. With labels
    (n, tokens), outputs are (n, tokens, classes)."""
    scores, classes = by_label(outputs, labels)
    return F.cross_entropy(logits(scores), classes)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings of a training: SGD with momentum 0.9 or Adam, with L2 weight decay.

    The learning rate falls to zero along half a cosine, or stays the same if `constant`.
    """

    epochs: int
    learning_rate: float
    weight_decay: float
    batch_size: int
    optimizer: Literal["sgd", "adam"] = "sgd"
    constant: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs must be at least 0, not {self.epochs}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0 and finite, not {self.learning_rate}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be at least 0 and finite, not {self.weight_decay}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")
        if self.optimizer not in ("sgd", "adam"):
            raise ValueError(f"optimizer must be 'sgd' or 'adam', not {self.optimizer!r}")

    def make_optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of the module's parameters. Raises ValueError if all of them are frozen."""
        if not any(value.requires_grad for value in module.parameters()):
            raise ValueError(f"{type(module).__name__} cannot be trained: requires_grad is False for all parameters")
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                module.parameters(), self.learning_rate, momentum=0.9, weight_decay=self.weight_decay
            )
        return torch.optim.Adam(module.parameters(), self.learning_rate, weight_decay=self.weight_decay)

    def rate(self, progress: float) -> float:
        """The learning rate after the fraction `progress` (0 to 1) of all steps."""
        return self.learning_rate * (1 if self.constant else (1 + math.cos(math.pi * progress)) / 2)


def train(
    module: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    training: TrainingSettings,
    optimizer: torch.optim.Optimizer,
    seed: int,
    stage: int,
    first_epoch: int = 0,
    on_epoch: Callable[[int, float], None],
    loss: Loss = cross_entropy,
    penalty: Penalty | None = None,
) -> None:
    """Trains `module` on `inputs` (n, ...) and `labels` (n,) or (n, tokens) from `first_epoch` to the end of the
    training.

    `on_epoch(epochs done, mean loss)` is called after every epoch; the mean includes the penalty. Then the module and
    the optimizer are all the state that must be saved: random numbers (sample order, dropout) depend on (seed, stage,
    epoch) alone, and a `loss` or `penalty` must not have a state. Raises FloatingPointError if training diverges,
    and ValueError where the network fails in train mode.
    """
    module.train()
    # Batch normalisation cannot use a batch of one sample, so a last batch of one is left out.
    samples = len(inputs) - (len(inputs) > training.batch_size and len(inputs) % training.batch_size == 1)
    starts = range(0, samples, training.batch_size)
    for epoch in range(first_epoch, training.epochs):
        total = 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_derived_seed(seed, stage, epoch))
            order = torch.randperm(len(inputs))
            for step, start in enumerate(starts):
                rate = training.rate((epoch + step / len(starts)) / training.epochs)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                batch = order[start : start + training.batch_size]
                some = inputs[batch]
                value = loss(_outputs(module, some), some, labels[batch])
                if penalty is not None:
                    value = value + penalty(module, epoch * len(starts) + step)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                total += value.item() * len(batch)
        mean = total / samples
        if not math.isfinite(mean):
            raise FloatingPointError(f"training diverged: the loss is {mean}; lower the learning rate")
        on_epoch(epoch + 1, mean)


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    mode = "train" if module.training else "evaluation"
    try:
        # A copy: forward() may change its input in place.
        outputs = module(inputs.clone())
    except Exception as error:
        # The user's forward() can raise anything, and no other check runs it on batches and in train mode.
        raise ValueError(f"the network fails in {mode} mode: {error_line(error)}") from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"the network must return a tensor in {mode} mode too, not {type(outputs).__name__}")
    return outputs


def evaluate(module: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The accuracy on `inputs` (n, ...) with `labels` (n,) or (n, tokens), as a fraction. The module's mode is
    restored."""
    correct = sum(_correct(outputs, true) for outputs, true in _evaluated(module, inputs, labels))
    return correct / labels.numel()


def evaluate_with_loss(module: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """As `evaluate`, with the mean cross-entropy loss, in nats: at most LARGEST_LOSS, also where it is not a number."""
    correct, loss = 0, 0.0
    for outputs, true in _evaluated(module, inputs, labels):
        correct += _correct(outputs, true)
        loss += cross_entropy(outputs, inputs, true).item() * len(true)
    mean = loss / len(inputs)
    return correct / labels.numel(), LARGEST_LOSS if math.isnan(mean) else min(mean, LARGEST_LOSS)


def perplexity(loss: float) -> float:
    """That of a mean cross-entropy, in nats: at most exp(700), which a float holds."""
    return math.exp(min(loss, 700.0))


def _evaluated(module: nn.Module, inputs: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The outputs and the labels of one batch after the other."""
    training = module.training
    module.eval()
    for some, true in zip(inputs.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
        with torch.no_grad():
            outputs = _outputs(module, some)
        yield outputs, true
    module.train(training)


def _correct(outputs: Tensor, labels: Tensor) -> int:
    scores, classes = by_label(outputs, labels)
    return int((scores.argmax(1) == classes).sum())


def _derived_seed(*parts: int) -> int:
    """A seed of its own for every (seed, stage, epoch), unlike their sum."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])
