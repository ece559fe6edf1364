"""Layers whose weights are shared: codes into a codebook of 15 values and zero, as the EIE array stores them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.network.folded import Folded
from zeroskip.model.network.lower import averaging_weight, block_diagonal
from zeroskip.model.network.operation_base import PREVIOUS
from zeroskip.model.network.operations import (
    AveragePooling,
    Convolution,
    HostOperation,
    Imaging,
    Linear,
    MaxPooling,
    Operation,
    Recurrence,
    recurrent,
)
from zeroskip.model.network.stages import ConvStage

CODEBOOK_SIZE = 16
"""Entries of a layer's codebook. Entry 0 is zero, the pruned weights."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedLayer:
    """A Linear layer of `rows` parts of a sample, and the ReLU after it where `relu`, whose weights and bias share one
    codebook.

    `codebook` is float32 (16,), entry 0 exactly zero and unused entries zero; `weight_codes` is uint8
    (outputs, inputs) and `bias_codes` uint8 (outputs,), or None where the layer has no bias. A weight or bias
    has code 0 where, and only where, it is exactly zero. The codebook holds biases divided by `2**bias_exponent`, the
    activation of the bias column. `back` is that of an operation (zeroskip.model.network.operations). Raises ValueError
    naming the field that is wrong.
    """

    codebook: NDArray[np.float32]
    weight_codes: NDArray[np.uint8]
    bias_codes: NDArray[np.uint8] | None
    bias_exponent: int = 0
    relu: bool
    back: tuple[int, ...] = PREVIOUS
    rows: int = 1

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
        return None if self.bias_codes is None else np.ldexp(self.codebook[self.bias_codes], self.bias_exponent)

    @property
    def matrix_codes(self) -> NDArray[np.uint8]:
        """The codes of the matrix by which the layer multiplies its inputs (outputs x inputs)."""
        return self.weight_codes

    @property
    def operation(self) -> Linear | Convolution:
        """The layer's operation, without its weights."""
        outputs, inputs = self.weight_codes.shape
        return Linear(inputs=inputs, outputs=outputs, relu=self.relu, rows=self.rows, back=self.back)

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
    """A Conv2d with shared weights: `weight_codes` are (outputs, channels / groups * kernel height * kernel width)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int
    dilation: tuple[int, int] = (1, 1)

    @property
    def channels(self) -> int:
        return self.weight_codes.shape[1] // (self.kernel[0] * self.kernel[1]) * self.groups

    @property
    def matrix_codes(self) -> NDArray[np.uint8]:
        """Block-diagonal: an output sees only the channels of its group."""
        return block_diagonal(self.weight_codes, self.groups)

    @property
    def operation(self) -> Convolution:
        return Convolution(
            channels=self.channels,
            outputs=len(self.weight_codes),
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            dilation=self.dilation,
            relu=self.relu,
            back=self.back,
        )

    def module(self) -> nn.Module:
        module = nn.utils.skip_init(
            nn.Conv2d,
            self.channels,
            len(self.weight_codes),
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias_codes is not None,
        )
        return self._filled(module)


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedRecurrence(SharedLayer):
    """The layer of a recurrent `cell` with shared weights (zeroskip.model.network.operations.Recurrence)."""

    cell: str

    @property
    def operation(self) -> Recurrence:
        sums, hidden = self.weight_codes.shape
        return Recurrence(inputs=hidden, outputs=sums, relu=False, rows=self.rows, cell=self.cell, back=self.back)

    def module(self) -> nn.Module:
        sums, hidden = self.weight_codes.shape
        return self._filled(recurrent(self.cell, hidden, sums, bias=self.bias_codes is not None))


SharedOperation = SharedLayer | MaxPooling | AveragePooling | Imaging | HostOperation
"""A network is a list of these. Images are flattened before a Linear layer."""


def shapes_of(network: Sequence[SharedOperation]) -> list[Operation]:
    """The operations without their weights, as lowering takes them."""
    return [item.operation if isinstance(item, SharedLayer) else item for item in network]


def averaging_layer(stage: ConvStage, relu: bool) -> SharedConv:
    """The convolution that does an average pooling: exact, with one weight."""
    codebook = np.zeros(CODEBOOK_SIZE, np.float32)
    codebook[1] = averaging_weight(stage)
    return SharedConv(
        codebook=codebook,
        weight_codes=np.ones((stage.channels, stage.kernel[0] * stage.kernel[1]), np.uint8),
        bias_codes=None,
        relu=relu,
        kernel=stage.kernel,
        stride=stage.stride,
        padding=stage.padding,
        groups=stage.channels,
    )


def to_module(network: Sequence[SharedOperation]) -> Folded:
    """The float network with the same weights, in the form that `zeroskip.model.network.fold.fold` gives."""
    return module_of(network, lambda operation: operation.module())


def module_of(network: Sequence[SharedOperation], make: Callable[[SharedOperation], nn.Module]) -> Folded:
    """The network of the modules that `make` returns for each operation."""
    return Folded(shapes_of(network), [make(operation) for operation in network])


def _require_codes(name: str, codes: NDArray[Any]) -> None:
    if codes.dtype != np.uint8 or codes.max(initial=0) >= CODEBOOK_SIZE:
        raise ValueError(f"{name} must be uint8 below {CODEBOOK_SIZE}, not {codes.dtype} up to {codes.max(initial=0)}")
