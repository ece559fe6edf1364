"""The arguments of the functions of the public API: a network or its name, data or their name. Imports nothing
heavy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

from zeroskip.model.progress import Progress, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from zeroskip.model.data.dataset import Dataset
    from zeroskip.model.pruning import training_run

Network: TypeAlias = Union["nn.Module", str]
"""An nn.Module; or "module:factory", also with arguments: "nets:lenet(classes=10)"."""

Data: TypeAlias = Union["Dataset", str, Path, tuple[Any, Any]]
"""A Dataset; the path of an NPZ file or the name of a data set; or (inputs, labels), arrays or tensors, of which a
fifth is held out to measure accuracy."""

SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")
"""Of data without splits, both are all samples."""


def network_of(network: Network, weights: Path | None, progress: Progress) -> tuple[nn.Module, bool]:
    """The network with the weights of a file, if one is given; and whether these are smaller than the factory makes
    them, because channels were removed. Its numbers are float32. A given module is not changed. Raises ValueError or
    OSError."""
    progress(Step(task="loading the network"))
    from zeroskip.model.loading import load_network, with_weights

    if isinstance(network, str):
        return load_network(network, weights)
    import copy

    from zeroskip.model.network.number_types import require_numbers
    from zeroskip.model.network.wrappers import unwrapped

    # Before the copy, which fails for some that are refused.
    require_numbers(network)
    try:
        module = copy.deepcopy(unwrapped(network))
    except RuntimeError as error:
        raise ValueError(f"the network must be one that copy.deepcopy copies, but: {error}") from error
    return with_weights(module, weights)


def data_of(data: Data, seed: int, progress: Progress, weights: Path | None = None) -> Dataset:
    """The data set; samples without a test split of their own are split by `seed`. Raises ValueError or OSError, also
    where the samples have another shape than those with which the `weights` were trained."""
    dataset = _dataset(data, seed, progress)
    require_as_trained(weights, f"{dataset.name}: inputs", dataset.train_inputs, dataset.test_inputs)
    return dataset


def require_as_trained(weights: Path | None, field: str, *inputs: Any) -> None:
    """Raises ValueError if `inputs` (samples x ...), which errors call `field`, have another shape than the samples
    with which the weights of a file were trained, and warns where their range is far from that. Files of others do not
    say it."""
    from zeroskip.model.loading import trained_with
    from zeroskip.model.network.samples import require_shape

    if weights is not None and (samples := trained_with(weights)) is not None:
        for some in inputs:
            require_shape(samples.shape, some, field)
        samples.warn_of_range(inputs, field)


def _dataset(data: Data, seed: int, progress: Progress) -> Dataset:
    progress(Step(task="loading the data"))

    from zeroskip.model.data.dataset import Dataset
    from zeroskip.model.data.named import load_data
    from zeroskip.model.data.split import held_out

    if isinstance(data, Dataset):
        return data
    _require_kind(data)
    if isinstance(data, tuple):
        inputs, labels = data
        if labels is None:
            raise ValueError("data must have labels where a network is trained: (inputs, labels)")
        return held_out("data", *_pair(inputs, labels), seed, labels_named=labels_field(data, "train"))
    return load_data(str(data), seed)


def samples_of(data: Data, split: Literal["train", "test"], progress: Progress) -> tuple[Any, Any]:
    """Inputs (float32, n x ...) and labels (int64, n), or None, of one split; all samples if the data have no splits.
    Raises ValueError or OSError."""
    progress(Step(task="loading the data"))

    from zeroskip.model.data.dataset import Dataset
    from zeroskip.model.data.named import load_samples

    if isinstance(data, Dataset):
        return getattr(data, f"{split}_inputs"), getattr(data, f"{split}_labels")
    _require_kind(data)
    if isinstance(data, tuple):
        inputs, labels = data
        return (_inputs(inputs), None) if labels is None else _pair(inputs, labels)
    return load_samples(str(data), split)


def labels_field(data: Data, split: Literal["train", "test"]) -> str:
    """What errors call the labels that `samples_of` returns: the key of a file, or a field."""
    from zeroskip.model.data.dataset import Dataset
    from zeroskip.model.data.named import labels_field as labels_of_file

    if isinstance(data, Dataset):
        return data.labels_field(split)
    return "labels" if isinstance(data, tuple) else labels_of_file(str(data), split)


def _require_kind(data: Any) -> None:
    if not isinstance(data, str | Path) and not (isinstance(data, tuple) and len(data) == 2):
        raise ValueError(
            f"data must be a Dataset, the path of a file, the name of a data set or (inputs, labels), "
            f"not {type(data).__name__}"
        )


def _inputs(given: Any) -> NDArray[np.float32]:
    """Arrays or tensors as inputs. Raises ValueError if they are not finite numbers of the shape (samples, ...)."""
    import numpy as np

    values = np.asarray(given)
    if values.dtype.kind not in "biuf" or values.ndim < 2 or values.size == 0:
        raise ValueError(
            f"inputs must be real numbers (samples, ...), at least one sample, not {values.dtype} {values.shape}"
        )
    inputs = values.astype(np.float32)
    if not np.isfinite(inputs).all():
        raise ValueError("inputs must be finite in float32, but hold NaN or infinity")
    return inputs


def _pair(inputs: Any, labels: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    import numpy as np

    from zeroskip.model.data.labels import as_labels

    values = _inputs(inputs)
    return values, as_labels("labels", np.asarray(labels), len(values))


def name_of(data: Data) -> str:
    """What errors and reports call the data."""
    return str(data) if isinstance(data, str | Path) else getattr(data, "name", "data")


def sources_of(data: Data, *paths: Path | None) -> list[Path]:
    """The files that are read, which must not be overwritten."""
    named = [Path(data)] if isinstance(data, str | Path) else []
    return [*named, *(path for path in paths if path is not None)]


def in_epochs(progress: Progress) -> Callable[[training_run.TrainingProgress], None]:
    """Turns the progress of a training run into Steps."""

    def report(at: training_run.TrainingProgress) -> None:
        facts = {} if at.loss is None else {"loss": f"{at.loss:.3g}"}
        progress(Step(task=at.stage, done=at.done, total=at.total, unit="epochs", facts=facts))

    return report


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Within the block torch gives the same bits every time, with `one_thread` and on the device
    (zeroskip.model.device). Raises ValueError where there is no such device."""
    from zeroskip.model.device import reproducible, require_device

    require_device(device)
    with one_thread(), reproducible(device):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch uses one thread: sums that are split among threads round differently; with one thread a
    seed gives the same weights everywhere."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_turn(progress: Progress, total: int, unit: str) -> Callable[[str], None]:
    """Turns the names of tasks, as each of `total` begins, into Steps."""
    begun = itertools.count()
    return lambda task: progress(Step(task=task, done=next(begun), total=total, unit=unit))
