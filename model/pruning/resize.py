"""Temporary."""

from torch import Tensor, nn


def flexible(module: nn.Module) -> nn.Module:
    return module


def fit_to(network: nn.Module, state: dict[str, Tensor]) -> None:
    for name, part in network.named_modules():
        for key, value in list(part.named_parameters(recurse=False)):
            new = state[f"{name}.{key}".lstrip(".")]
            if new.shape != value.shape:
                setattr(part, key, nn.Parameter(new.clone()))
        for key, value in list(part.named_buffers(recurse=False)):
            new = state[f"{name}.{key}".lstrip(".")]
            if new.shape != value.shape:
                setattr(part, key, new.clone())
        if isinstance(part, nn.Linear):
            part.out_features, part.in_features = part.weight.shape
        if isinstance(part, nn.Conv2d):
            if part.groups > 1 and part.groups == part.in_channels:
                part.groups = len(part.weight)
            part.out_channels, part.in_channels = len(part.weight), part.weight.shape[1] * part.groups
        if isinstance(part, nn.BatchNorm2d):
            part.num_features = len(part.running_mean)
