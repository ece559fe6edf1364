"""Layers whose weights are shared: codes into a codebook of 15 values and zero, as the EIE array stores them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.network.pooling import as_convolution, window

CODEBOOK_SIZE = 16
"""Entries of a layer's codebook. Entry 0 is zero, the pruned weights."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedLayer:
    """A Linear layer, and the ReLU behind it where `relu`, whose weights and bias share one codebook.

    `codebook` is float32 (16,), entry 0 exactly zero and unused entries zero; `weight_codes` is uint8
    (outputs, inputs) and `bias_codes` uint8 (outputs,), or None where the layer has no bias. A weight or bias
    has code 0 where, and only where, it is exactly zero. Raises ValueError naming the field that is wrong.
    """

    codebook: NDArray[np.float32]
    weight_codes: NDArray[np.uint8]
    bias_codes: NDArray[np.uint8] | None
    relu: bool

    def __post_init__(self) -> None:
        if self.codebook.dtype != np.float32 or self.codebook.shape != (CODEBOOK_SIZE,):
            raise ValueError(
                f"codebook must be float32 ({CODEBOOK_SIZE},), not {self.codebook.dtype} {self.codebook.shape}"
            )
        if self.codebook[0] != 0 or not np.isfinite(self.codebook).all():
            raise ValueError(f"codebook must be finite and start with zero, not {self.codebook.tolist()}")
        if self.weight_codes.ndim != 2:
            raise ValueError(f"weight_codes must have the shape (outputs, inputs), not {self.weight_codes.shape}")
        _require_codes("weight_codes", self.weight_codes)
        if self.bias_codes is not None:
            if self.bias_codes.shape != self.weight_codes.shape[:1]:
                raise ValueError(
                    f"bias_codes must have the shape {self.weight_codes.shape[:1]}, not {self.bias_codes.shape}"
                )
            _require_codes("bias_codes", self.bias_codes)

    @property
    def weight(self) -> NDArray[np.float32]:
        return self.codebook[self.weight_codes]

    @property
    def bias(self) -> NDArray[np.float32] | None:
        return None if self.bias_codes is None else self.codebook[self.bias_codes]

    @property
    def matrix_codes(self) -> NDArray[np.uint8]:
        """The codes of the matrix that stands for the layer: activations are multiplied by it."""
        return self.weight_codes

    def module(self) -> nn.Module:
        """The float layer, without its ReLU."""
        outputs, inputs = self.weight_codes.shape
        return self._filled(nn.utils.skip_init(nn.Linear, inputs, outputs, bias=self.bias_codes is not None))

    def _filled(self, module: nn.Linear | nn.Conv2d) -> nn.Module:
        bias = self.bias
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(self.weight).reshape(module.weight.shape))
            if module.bias is not None and bias is not None:
                module.bias.copy_(torch.from_numpy(bias))
        return module


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedConv(SharedLayer):
    """A Conv2d likewise: `weight_codes` are (outputs, channels / groups * kernel height * kernel width)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int

    @property
    def channels(self) -> int:
        return self.weight_codes.shape[1] // (self.kernel[0] * self.kernel[1]) * self.groups

    @property
    def matrix_codes(self) -> NDArray[np.uint8]:
        """Block-diagonal: an output sees the channels of its group alone."""
        outputs, inputs = self.weight_codes.shape
        matrix = np.zeros((self.groups, outputs // self.groups, self.groups, inputs), np.uint8)
        group = np.arange(self.groups)
        matrix[group, :, group] = self.weight_codes.reshape(self.groups, -1, inputs)
        return matrix.reshape(outputs, self.groups * inputs)

    def module(self) -> nn.Module:
        module = nn.utils.skip_init(
            nn.Conv2d,
            self.channels,
            len(self.weight_codes),
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            bias=self.bias_codes is not None,
        )
        return self._filled(module)


@dataclass(frozen=True, kw_only=True)
class MaxPool:
    """Max pooling between layers, as nn.MaxPool2d does it."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def module(self) -> nn.Module:
        return nn.MaxPool2d(self.kernel, self.stride, self.padding)


@dataclass(frozen=True, kw_only=True)
class AveragePool:
    """Average pooling, and the ReLU behind it where `relu`. `kernel` is None where it is the whole image.

    It has no weights of the network's: none to prune, none to count, none to train. The array runs it as `layer`.
    """

    kernel: tuple[int, int] | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    relu: bool

    def module(self) -> nn.AvgPool2d | nn.AdaptiveAvgPool2d:
        """The pooling, without its ReLU."""
        return nn.AdaptiveAvgPool2d(1) if self.kernel is None else nn.AvgPool2d(self.kernel, self.stride, self.padding)

    def layer(self, shape: tuple[int, ...]) -> SharedLayer:
        """The convolution that does it to images of `shape`, channels x height x width: exact, with one weight."""
        return _exact_convolution(as_convolution(self.module(), shape), self.relu)


AnyLayer = SharedLayer | MaxPool | AveragePool
"""A network is a list of these. Where images end, they are flattened."""


def takes_images(parts: Sequence[AnyLayer]) -> bool:
    return _of_images(parts[0])


def _of_images(part: AnyLayer) -> bool:
    return isinstance(part, SharedConv | MaxPool | AveragePool)


def to_module(parts: Sequence[AnyLayer]) -> nn.Sequential:
    """The float network that `parts` stand for, in the form that `zeroskip.model.network.fold.fold` gives."""
    return sequence(parts, lambda part: part.module())


def sequence(parts: Sequence[AnyLayer], make: Callable[[AnyLayer], nn.Module]) -> nn.Sequential:
    """A module of each part, with ReLU and Flatten where they belong."""
    modules: list[nn.Module] = []
    images = False
    for part in parts:
        now = _of_images(part)
        if images and not now:
            modules.append(nn.Flatten())
        images = now
        modules.append(make(part))
        if not isinstance(part, MaxPool) and part.relu:
            modules.append(nn.ReLU())
    if images:
        modules.append(nn.Flatten())
    return nn.Sequential(*modules)


def _exact_convolution(layer: nn.Conv2d, relu: bool) -> SharedConv:
    """A convolution without bias whose few distinct weights are its codebook."""
    weight = layer.weight.detach().flatten(1).numpy()
    values = np.unique(weight[weight != 0])
    codebook = np.zeros(CODEBOOK_SIZE, np.float32)
    codebook[1 : 1 + len(values)] = values
    codes = np.where(weight == 0, 0, 1 + np.searchsorted(values, weight)).astype(np.uint8)
    kernel, stride, padding = window(layer)
    return SharedConv(
        codebook=codebook,
        weight_codes=codes,
        bias_codes=None,
        relu=relu,
        kernel=kernel,
        stride=stride,
        padding=padding,
        groups=layer.groups,
    )


def _require_codes(name: str, codes: NDArray) -> None:
    if codes.dtype != np.uint8 or codes.max(initial=0) >= CODEBOOK_SIZE:
        raise ValueError(f"{name} must be uint8 below {CODEBOOK_SIZE}, not {codes.dtype} up to {codes.max(initial=0)}")
