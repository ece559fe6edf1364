"""The operations of a folded network, in order: sizes and windows, without the weights."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from zeroskip.model.network.pooling import Pair, window


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A fully connected layer, and the ReLU after it where `relu`."""

    inputs: int
    outputs: int
    relu: bool


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution of images of `channels`, and the ReLU after it where `relu`."""

    channels: int
    outputs: int
    kernel: Pair
    stride: Pair
    padding: Pair
    groups: int
    relu: bool


@dataclass(frozen=True, kw_only=True)
class MaxPooling:
    """Max pooling, as nn.MaxPool2d does it."""

    kernel: Pair
    stride: Pair
    padding: Pair

    def module(self) -> nn.MaxPool2d:
        return nn.MaxPool2d(self.kernel, self.stride, self.padding)


@dataclass(frozen=True, kw_only=True)
class AveragePooling:
    """Average pooling, and the ReLU after it where `relu`. `kernel` is None where it is the whole image.

    It has no weights that are pruned, counted or trained. Cores run it as a convolution with
    a group for each channel and one constant weight (zeroskip.model.network.lower).
    """

    kernel: Pair | None
    stride: Pair
    padding: Pair
    relu: bool

    def module(self) -> nn.AvgPool2d | nn.AdaptiveAvgPool2d:
        """The pooling, without its ReLU."""
        return nn.AdaptiveAvgPool2d(1) if self.kernel is None else nn.AvgPool2d(self.kernel, self.stride, self.padding)


Operation = Linear | Convolution | MaxPooling | AveragePooling
"""Where a Linear follows images, they are flattened in between."""


def operations(folded: nn.Sequential) -> list[tuple[Operation, nn.Module]]:
    """The operations of what `zeroskip.model.network.fold.fold` returns, each with the module that it was read from.

    Raises ValueError naming a module that `fold` does not return.
    """
    found: list[tuple[Operation, nn.Module]] = []
    modules = list(folded)
    for module, follower in zip(modules, [*modules[1:], None], strict=True):
        relu = isinstance(follower, nn.ReLU)
        if isinstance(module, nn.Linear):
            found.append((Linear(inputs=module.in_features, outputs=module.out_features, relu=relu), module))
        elif isinstance(module, nn.Conv2d):
            kernel, stride, padding = window(module)
            convolution = Convolution(
                channels=module.in_channels,
                outputs=module.out_channels,
                kernel=kernel,
                stride=stride,
                padding=padding,
                groups=module.groups,
                relu=relu,
            )
            found.append((convolution, module))
        elif isinstance(module, nn.MaxPool2d):
            kernel, stride, padding = window(module)
            found.append((MaxPooling(kernel=kernel, stride=stride, padding=padding), module))
        elif isinstance(module, nn.AvgPool2d):
            kernel, stride, padding = window(module)
            found.append((AveragePooling(kernel=kernel, stride=stride, padding=padding, relu=relu), module))
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            found.append((AveragePooling(kernel=None, stride=(1, 1), padding=(0, 0), relu=relu), module))
        elif not isinstance(module, nn.ReLU) and not (isinstance(module, nn.Flatten) and found):
            raise ValueError(
                "a folded network must hold Linear, Conv2d, pooling and ReLU alone, and Flatten between them, "
                f"not {type(module).__name__}"
            )
    return found
