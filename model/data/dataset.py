"""The form of every data set in this project."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Inputs and labels with a fixed train/test split.

    `train_inputs` and `test_inputs` are float32 (n, ...); `train_labels` and `test_labels` are int64 (n,), or, where
    each token of a sequence has a label, (n, tokens).
    `labels_named` is what errors call the labels of both splits, where these are from one file: "data.npz: 'y'". Raises
    ValueError where a field has another type or shape, or a split has no samples.
    """

    name: str
    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    labels_named: str | None = None

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            inputs, labels = getattr(self, f"{split}_inputs"), getattr(self, f"{split}_labels")
            if inputs.dtype != np.float32 or inputs.ndim < 2:
                raise ValueError(
                    f"{self.name}: {split}_inputs must be float32 (n, ...), not {inputs.dtype} {inputs.shape}"
                )
            if inputs.size == 0:
                raise ValueError(f"{self.name}: {split}_inputs must hold at least one sample, not {inputs.shape}")
            if labels.dtype != np.int64 or labels.shape not in (inputs.shape[:1], inputs.shape):
                raise ValueError(
                    f"{self.name}: {split}_labels must be int64 ({len(inputs)},), not {labels.dtype} {labels.shape}"
                )

    def labels_field(self, split: str) -> str:
        """What errors call the labels of a split."""
        return self.labels_named or f"{self.name}: {split}_labels"


def accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of the `outputs` (n, classes) whose largest value is at the index of their label (n,); with labels
    (n, tokens), outputs are (n, tokens * classes)."""
    return float((outputs.reshape(*labels.shape, -1).argmax(axis=-1) == labels).mean())


def perplexity(outputs: np.ndarray, labels: np.ndarray) -> float | None:
    """The perplexity of logits (n, tokens * classes) with labels (n, tokens): the exponential of the mean
    cross-entropy; None for labels (n,), which are those of no language model."""
    if labels.ndim == 1:
        return None
    scores = outputs.reshape(*labels.shape, -1).astype(np.float64)
    scores = scores - scores.max(axis=-1, keepdims=True)
    right = np.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
    return float(np.exp((np.log(np.exp(scores).sum(axis=-1)) - right).mean()))
