"""The check of labels: class numbers, one for each sample, each that of an output of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_labels(field: str, values: NDArray[Any], samples: int) -> NDArray[np.int64]:
    """Labels (int64, samples) from an array. `field` is what errors call them: "data.npz: 'labels'".

    Raises ValueError unless they are integers from 0, one for each of the samples.
    """
    if values.ndim == 2 and len(values) == samples:
        remedy = "use labels.reshape(-1)" if values.shape[1] == 1 else "of one-hot rows take labels.argmax(axis=1)"
        raise ValueError(
            f"{field} must have the shape ({samples},), one class number for each sample, not {values.shape}; {remedy}"
        )
    if values.shape != (samples,):
        raise ValueError(f"{field} must have the shape ({samples},), one for each sample, not {values.shape}")
    if values.dtype.kind not in "iu":
        raise ValueError(f"{field} must hold integers, not {values.dtype}; where they are whole, use astype('int64')")
    wrong = (values < 0) | (values > np.iinfo(np.int64).max)
    if wrong.any():
        where = int(np.argmax(wrong))
        raise ValueError(f"{field} must be class numbers from 0, not {values[where]} at {where}")
    return values.astype(np.int64)


def require_classes(field: str, labels: NDArray[np.int64] | None, outputs: int) -> None:
    """Raises ValueError if a label is not below `outputs`, the number of outputs of a network. No labels are right.
    Where each token of a sequence has a label, each has as many outputs."""
    if labels is None:
        return
    if labels.ndim == 2:
        if outputs % labels.shape[1]:
            raise ValueError(
                f"{field} are for each of {labels.shape[1]} tokens; the network must give as many times the number of "
                f"classes, not {outputs} outputs"
            )
        outputs //= labels.shape[1]
    wrong = (labels < 0) | (labels >= outputs)
    if wrong.any():
        raise ValueError(
            f"{field} must be class numbers below {outputs}, the network's number of outputs, "
            f"not {labels[np.argmax(wrong)]} (in {int(wrong.sum()):,} of {len(labels):,} samples)"
        )
