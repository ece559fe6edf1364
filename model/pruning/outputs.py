"""What the outputs of a classifier are: a score for each class, logits or probabilities."""

from __future__ import annotations

import torch
from torch import Tensor


def class_scores(outputs: Tensor) -> Tensor:
    """Outputs as (n, classes): images of one value for each class, (n, classes, 1, 1), are flattened. Raises ValueError
    for other shapes."""
    if outputs.dim() > 2 and all(size == 1 for size in outputs.shape[2:]):
        return outputs.flatten(1)
    if outputs.dim() != 2:
        remedy = "; average over height and width, as nn.AdaptiveAvgPool2d(1) does" if outputs.dim() == 4 else ""
        raise ValueError(
            f"the network must give outputs of shape (samples, classes), not the shape {tuple(outputs.shape)}{remedy}"
        )
    return outputs


def by_label(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and labels with one row for each label: where tokens have labels (n, tokens), outputs are
    (n, tokens, classes), or the same in one row for each sample. Raises ValueError for other shapes."""
    if labels.dim() == 1:
        return class_scores(outputs), labels
    samples, tokens = labels.shape
    by_token = outputs.dim() == 3 and outputs.shape[1] == tokens
    if not by_token and (outputs.dim() != 2 or outputs.shape[1] % tokens):
        raise ValueError(
            f"the network must give outputs of shape (samples, {tokens}, classes), as each token has a label, not the "
            f"shape {tuple(outputs.shape)}"
        )
    return outputs.reshape(samples * tokens, -1), labels.flatten()


def logits(outputs: Tensor) -> Tensor:
    """Scores of which softmax gives the probabilities, from the outputs (n, classes) of a batch.

    Logits and log-probabilities, the outputs of log_softmax, are such scores themselves. Probabilities, the outputs of
    softmax, are not: their logarithm is. They are told by their values: no row of logits is non-negative and sums to
    one, in a whole batch, by chance.
    """
    scores = class_scores(outputs)
    with torch.no_grad():
        probabilities = bool((scores >= 0).all() and ((scores.sum(1) - 1).abs() < 1e-4).all())
    return scores.clamp(min=torch.finfo(scores.dtype).tiny).log() if probabilities else scores
