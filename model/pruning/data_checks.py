"""Checks that a network fits a data set, before anything is trained or searched."""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.data.labels import require_classes
from zeroskip.model.network.fold import fold
from zeroskip.model.network.folded import Folded
from zeroskip.model.network.graph import read_steps
from zeroskip.model.network.kinds import torch_class
from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.samples import channels_last
from zeroskip.model.network.steps import ConvStep, LinearStep
from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.pruning.outputs import by_label, class_scores
from zeroskip.model.pruning.weights import KINDS, multiplied_weights, multiplying_layers, weight_names


def shape_inputs(inputs: Tensor, folded: Folded) -> Tensor:
    """Inputs in the shape that the folded network takes: images or flat values."""
    return inputs if folded.images else inputs.flatten(1)


def require_shape(folded: Folded, inputs: np.ndarray, where: str) -> int:
    """The number of outputs of the network for a sample. Raises ValueError if the inputs' shape does not fit."""
    sample = shape_inputs(torch.from_numpy(inputs[:1]), folded)
    if isinstance(folded[0], nn.Linear) and sample.shape[1] != folded[0].in_features:
        raise ValueError(
            f"{where} must have {folded[0].in_features} values a sample, as the network takes, not {sample.shape[1]}"
        )
    if folded.images and sample.dim() != 4:
        raise ValueError(
            f"{where} must be samples x channels x height x width, as the network takes, not {tuple(inputs.shape)}"
        )
    convolution = next((layer for layer in folded if isinstance(layer, nn.Conv2d)), None) if folded.images else None
    if convolution is not None and sample.shape[1] != convolution.in_channels:
        raise ValueError(
            f"{where} must be samples x {convolution.in_channels} channels x height x width, as the "
            f"network takes, not {tuple(inputs.shape)}{channels_last(inputs.shape[1:], convolution.in_channels)}"
        )
    try:
        with torch.no_grad():
            return int(folded(sample).shape[1])
    except RuntimeError as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"{where} of shape {tuple(inputs.shape)} do not fit the network: {reason}") from error


def require_fit(folded: Folded, dataset: Dataset) -> None:
    """Raises ValueError if the inputs do not have the shape that the network takes, or a label is not one of its
    classes. `folded` is the result of zeroskip.model.network.fold.fold."""
    for split in ("train", "test"):
        classes = require_shape(folded, getattr(dataset, f"{split}_inputs"), f"{dataset.name}: {split}_inputs")
        require_classes(dataset.labels_field(split), getattr(dataset, f"{split}_labels"), classes)


def require_compilable(module: nn.Module, dataset: Dataset) -> None:
    """Raises ValueError unless the network can be folded for a core, fits the data (require_fit), and has weights of
    its own in every layer, so that it can be pruned and trained for the core."""
    layers = multiplying_layers(module)
    _require_own_weights(module, {name: (layer, weight_names(layer)) for name, layer in layers.items()})
    require_fit(fold(module, dataset.train_inputs), dataset)
    _require_layers(module, dataset)


def _require_layers(module: nn.Module, dataset: Dataset) -> None:
    """Raises ValueError for a product with a parameter of the network that is no layer's weight, as only those are
    pruned. Buffers are not: nobody prunes a filter or a graph that is given."""
    changed = copy.deepcopy(module)
    pruned = multiplied_weights(changed).keys()
    others = [value for name, value in changed.named_parameters() if name not in pruned]
    layers = [one for one in changed.modules() if torch_class(one) is not None]
    # Biases, and factors of normalisations: layers of torch multiply by no other vector.
    vectors = {id(value) for one in layers for value in one.parameters(recurse=False) if value.dim() < 2}
    others = [value for value in others if id(value) not in vectors]
    if not others:
        return
    inputs = torch.from_numpy(dataset.train_inputs)
    before = read_steps(module, inputs)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in others:
            value.add_(torch.rand(value.shape, generator=generator))
    for step, after in zip(before, read_steps(changed, inputs), strict=True):
        if not isinstance(step, LinearStep | ConvStep) or not isinstance(after, LinearStep | ConvStep):
            continue
        if not torch.equal(step.module.weight, after.module.weight):
            raise step.error(
                f"{step.label} multiplies by a parameter of the network that is no layer's weight, which is not "
                f"pruned; supported in what prunes: {KINDS}, and tensors that are buffers; compile the network "
                "without pruning (weights that are zero take no place)"
            )


def require_classifier(module: nn.Module, dataset: Dataset) -> None:
    """Raises ValueError unless the network, of any form, has an output for each class of the data."""
    # With two samples, as a forward() may work for a single one only.
    try:
        outputs = _outputs(module, torch.from_numpy(dataset.train_inputs[:2]))
        by_label(outputs, torch.from_numpy(dataset.train_labels[:2]))
    except ValueError as error:
        convolution = next((layer for layer in module.modules() if isinstance(layer, nn.Conv2d)), None)
        shape = dataset.train_inputs.shape[1:]
        remedy = "" if convolution is None else channels_last(shape, convolution.in_channels)
        raise ValueError(f"{dataset.name}: {error}{remedy}") from error
    for split in ("train", "test"):
        require_classes(dataset.labels_field(split), getattr(dataset, f"{split}_labels"), outputs[0].numel())


def require_prunable(module: nn.Module, dataset: Dataset) -> None:
    """Raises ValueError unless the network is a classifier of the data in which the weight of every layer is a
    parameter of its own, so that it can be pruned."""
    require_own_weights(module)
    require_classifier(module, dataset)


def require_own_weights(module: nn.Module) -> None:
    """Raises ValueError, naming the layer, unless the weight of every Linear and Conv2d layer is a parameter of its
    own."""
    _require_own_weights(module, {name: (layer, ["weight"]) for name, layer in prunable_layers(module).items()})


def _require_own_weights(module: nn.Module, layers: Mapping[str, tuple[nn.Module, Sequence[str]]]) -> None:
    """The same for layers with the names of their weights."""
    for name, (layer, keys) in layers.items():
        if torch_class(layer) is None and not nn.utils.parametrize.is_parametrized(layer):
            raise ValueError(
                f"layer '{name}' is a {type(layer).__name__} with a forward() of its own, which may compute with other "
                f"weights than those that would be pruned; make it a {_torchs(layer).__name__}"
            )
        for key in keys:
            if not isinstance(getattr(layer, key), nn.Parameter):
                raise ValueError(
                    f"the {key} of '{name}' must be a parameter, not computed from others; remove weight_norm or "
                    "spectral_norm first (torch.nn.utils.parametrize.remove_parametrizations, remove_weight_norm)"
                )
    _require_own(module, [getattr(layer, key) for layer, keys in layers.values() for key in keys])


def _torchs(layer: nn.Module) -> type:
    """The class of torch that a layer's class was derived from."""
    return next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("torch."))


def require_own_channels(module: nn.Module) -> None:
    """Raises ValueError, naming the layer, unless all that each layer has for its channels is its own: two layers that
    share a bias, say, cannot lose different channels."""
    require_own_weights(module)
    layers = [layer for layer in module.modules() if isinstance(layer, _OF_CHANNELS)]
    _require_own(module, [value for layer in layers for value in _tensors(layer).values()])


_OF_CHANNELS = (nn.Linear, nn.Conv2d, _BatchNorm, nn.PReLU)


def _require_own(module: nn.Module, tensors: list[Tensor]) -> None:
    """Raises ValueError if one of the `tensors` has two names in the network."""
    places = {place for value in tensors if (place := _place(value)) is not None}
    owners: dict[tuple[int, int], str] = {}
    # A layer that is reached by two names is listed once.
    everything = [
        (f"{name}.{key}".lstrip("."), value)
        for name, layer in module.named_modules()
        for key, value in _tensors(layer).items()
    ]
    for name, value in everything:
        place = _place(value)
        if place is not None and place in places and (other := owners.setdefault(place, name)) != name:
            kind = name.rpartition(".")[2]
            copy = f"layer.{kind}.detach().clone()"
            copy = f"nn.Parameter({copy})" if isinstance(value, nn.Parameter) else copy
            raise ValueError(
                f"'{other}' and '{name}' must be different tensors, not one that two layers use; give each layer one "
                f"of its own: layer.{kind} = {copy}"
            )


def _tensors(layer: nn.Module) -> dict[str, Tensor]:
    """The layer's own parameters and buffers."""
    # One tensor may have two names.
    parameters = layer.named_parameters(recurse=False, remove_duplicate=False)
    return {**dict(parameters), **dict(layer.named_buffers(recurse=False, remove_duplicate=False))}


def _place(value: Tensor) -> tuple[int, int] | None:
    """Where the values are in memory; None where there are none."""
    if value.dim() == 0 or value.numel() == 0 or value.is_meta:
        return None
    return value.untyped_storage().data_ptr(), int(value.storage_offset())


def network_outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    """The network's outputs (n, classes) in evaluation mode; the mode of every module is restored. Raises ValueError
    where the inputs do not fit, or the outputs do not have this shape."""
    return class_scores(_outputs(module, inputs))


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    try:
        with in_mode(module, training=False), torch.no_grad():
            # A copy: forward() may change its input in place.
            outputs = module(inputs.clone())
    except Exception as error:
        # The user's forward() can raise anything.
        raise ValueError(
            f"inputs of shape {tuple(inputs.shape)} do not fit the network: {error_line(error)}"
        ) from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"the network must give outputs of shape (samples, classes), not {type(outputs).__name__}")
    return outputs


def error_line(error: Exception) -> str:
    """The type and the message of an error that the user's code raised, in one line."""
    return f"{type(error).__name__}: {str(error).strip()}".split("\n")[0]
