"""Knowledge distillation (Hinton et al. 2015, arXiv 1503.02531): a network learns from a larger one."""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.pruning.outputs import logits


@dataclass(frozen=True, kw_only=True)
class Distil:
    """The settings of knowledge distillation; see `Distillation`."""

    temperature: float = 4.0
    alpha: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, not {self.temperature}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must be 0 to 1, not {self.alpha}")

    def by(self, teacher: nn.Module) -> "Distillation":
        return Distillation(teacher, temperature=self.temperature, alpha=self.alpha)


class Distillation:
    """A `Loss`: alpha * T^2 * KL(teacher at T, student at T) + (1 - alpha) * cross-entropy with labels (section 2).

    A network at temperature T gives softmax(outputs / T). The higher T, the more the student learns from the teacher's
    probabilities of wrong classes. The factor T^2 keeps the ratio of the two gradients independent of T. `teacher` is
    copied, in evaluation mode; it must have as many outputs as the student.
    """

    def __init__(self, teacher: nn.Module, *, temperature: float, alpha: float):
        Distil(temperature=temperature, alpha=alpha)
        self._teacher = copy.deepcopy(teacher).eval().requires_grad_(False)
        self.temperature = temperature
        self.alpha = alpha

    def __call__(self, outputs: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch, from the student's `outputs` (n, classes), `inputs` (n, ...) and `labels` (n,)."""
        with torch.no_grad():
            targets = logits(self._teacher(inputs))
        outputs = logits(outputs)
        if targets.shape != outputs.shape:
            raise ValueError(f"the teacher must give outputs {tuple(outputs.shape)}, not {tuple(targets.shape)}")
        soft = F.kl_div(
            F.log_softmax(outputs / self.temperature, 1),
            F.log_softmax(targets / self.temperature, 1),
            reduction="batchmean",
            log_target=True,
        )
        hard = F.cross_entropy(outputs, labels)
        return self.alpha * self.temperature**2 * soft + (1 - self.alpha) * hard
