"""First-order Taylor importance (Molchanov et al., CVPR 2019, arXiv 1906.10771)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.pruning.criteria import Granularity, total
from zeroskip.model.pruning.masks import prunable_weights
from zeroskip.model.pruning.outputs import logits


@dataclass(frozen=True, kw_only=True, eq=False)
class Taylor:
    """A criterion: the change of the loss without a weight or channel, estimated by the first derivative.

    The score is the mean, over the batches of `inputs` (n, ...) and `labels` (n,), of the squared sum of gradient times
    weight (section 3.1; for a channel this is the importance of a gate behind it). The network is in evaluation mode
    meanwhile, and its gradients do not change. Raises ValueError if there are no samples or a weight is frozen.
    """

    inputs: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")
        if len(self.inputs) == 0 or self.labels.shape != (len(self.inputs),):
            raise ValueError(
                f"labels must have the shape (n,) for n > 0 inputs, not {tuple(self.labels.shape)} "
                f"for {len(self.inputs)}"
            )

    def __call__(self, module: nn.Module, granularity: Granularity = "weight") -> dict[str, Tensor]:
        weights = prunable_weights(module)
        for name, weight in weights.items():
            if not weight.requires_grad:
                raise ValueError(f"'{name}' must require a gradient, but is frozen")
        scores = {name: torch.zeros_like(total(weight.detach(), granularity)) for name, weight in weights.items()}
        batches = list(zip(self.inputs.split(self.batch_size), self.labels.split(self.batch_size), strict=True))
        training = module.training
        # In training mode, batch normalisation cancels any scaling of the channel before it, so all scores would be 0.
        module.eval()
        try:
            for inputs, labels in batches:
                with torch.enable_grad():
                    loss = F.cross_entropy(logits(module(inputs.clone())), labels)
                    gradients = torch.autograd.grad(loss, list(weights.values()))
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                    scores[name] += total(gradient * weight.detach(), granularity) ** 2 / len(batches)
        finally:
            module.train(training)
        return scores
