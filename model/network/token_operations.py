"""The operations of a folded network for tokens, with their constants. Values are flat, row by row.

`module` computes an operation in torch, and `stage` is the host's (zeroskip.model.network.token_stages).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.operation_base import BaseOperation
from zeroskip.model.network.token_stages import (
    ConstantStage,
    EmbeddingStage,
    NormStage,
    ProductStage,
    ScaleStage,
    SoftmaxStage,
    TokenStage,
)

Back = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Normalization(BaseOperation):
    """LayerNorm where `centred`, else RMSNorm, of each row; `weight` and `bias` have as many values as a row."""

    eps: float
    centred: bool
    weight: NDArray[np.float32] = dataclasses.field(compare=False, repr=False)
    bias: NDArray[np.float32] = dataclasses.field(compare=False, repr=False)

    def module(self) -> nn.Module:
        return Normalize(self.eps, self.centred, torch.from_numpy(self.weight), torch.from_numpy(self.bias))

    def stage(self, counts: tuple[int, ...], back: Back) -> TokenStage:
        fields = {"eps": self.eps, "centred": self.centred, "weight": self.weight, "bias": self.bias, "back": back}
        return NormStage(values=counts[0], width=len(self.weight), **fields)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Softmaxing(BaseOperation):
    """The softmax of each row of `width` values, times `scale` before it, where the `mask` (rows x width) is not zero;
    the rows of the mask are repeated."""

    width: int
    scale: float = 1.0
    mask: NDArray[np.uint8] | None = dataclasses.field(default=None, compare=False, repr=False)

    def module(self) -> nn.Module:
        return MaskedSoftmax(self.width, self.scale, None if self.mask is None else torch.from_numpy(self.mask))

    def stage(self, counts: tuple[int, ...], back: Back) -> TokenStage:
        return SoftmaxStage(values=counts[0], width=self.width, scale=self.scale, mask=self.mask, back=back)


@dataclass(frozen=True, kw_only=True)
class MatrixProduct(BaseOperation):
    """`batch` products of matrices, `rows` x `depth` by `depth` x `columns`, times `scale`."""

    batch: int
    rows: int
    depth: int
    columns: int
    scale: float = 1.0

    def module(self) -> nn.Module:
        return MultiplyMatrices(self)

    def stage(self, counts: tuple[int, ...], back: Back) -> TokenStage:
        sizes = {"batch": self.batch, "rows": self.rows, "depth": self.depth, "columns": self.columns}
        return ProductStage(**sizes, scale=self.scale, back=back)


@dataclass(frozen=True, kw_only=True)
class Scaling(BaseOperation):
    """Values times constants, plus constants, which are repeated (`scale` and `shift`, as many)."""

    scale: NDArray[np.float32] = dataclasses.field(compare=False, repr=False)
    shift: NDArray[np.float32] = dataclasses.field(compare=False, repr=False)

    def module(self) -> nn.Module:
        return Scale(torch.from_numpy(self.scale), torch.from_numpy(self.shift))

    def stage(self, counts: tuple[int, ...], back: Back) -> TokenStage:
        return ScaleStage(values=counts[0], scale=self.scale, shift=self.shift, back=back)


@dataclass(frozen=True, kw_only=True)
class Embedding(BaseOperation):
    """The rows of a `table` (vocabulary x width) that whole numbers name."""

    table: NDArray[np.float32] = dataclasses.field(compare=False, repr=False)

    def module(self) -> nn.Module:
        return Embed(torch.from_numpy(self.table))

    def stage(self, counts: tuple[int, ...], back: Back) -> TokenStage:
        return EmbeddingStage(values=counts[0], table=self.table, back=back)


@dataclass(frozen=True, kw_only=True)
class Constant(BaseOperation):
    """The same values for every sample; it reads others only to know how many samples there are."""

    constant: NDArray[np.float32] = dataclasses.field(compare=False, repr=False)

    def module(self) -> nn.Module:
        return Repeat(torch.from_numpy(self.constant))

    def stage(self, counts: tuple[int, ...], back: Back) -> TokenStage:
        return ConstantStage(values=counts[0], constant=self.constant, back=back)


TokenOperation = Normalization | Softmaxing | MatrixProduct | Scaling | Embedding | Constant


class _WithConstants(nn.Module):
    """A layer of flat values (n, values) with constants, which follow its type."""

    def __init__(self, **constants: Tensor | None) -> None:
        super().__init__()
        for name, constant in constants.items():
            self.register_buffer(name, constant, persistent=False)


class Normalize(_WithConstants):
    weight: Tensor
    bias: Tensor

    def __init__(self, eps: float, centred: bool, weight: Tensor, bias: Tensor) -> None:
        super().__init__(weight=weight, bias=bias)
        self.eps, self.centred = eps, centred

    def forward(self, values: Tensor) -> Tensor:
        rows = values.reshape(len(values), -1, len(self.weight))
        if self.centred:
            return F.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.eps).flatten(1)
        return (F.rms_norm(rows, self.weight.shape, self.weight, self.eps) + self.bias).flatten(1)


class MaskedSoftmax(_WithConstants):
    mask: Tensor | None

    def __init__(self, width: int, scale: float, mask: Tensor | None) -> None:
        super().__init__(mask=mask)
        self.width, self.scale = width, scale

    def forward(self, values: Tensor) -> Tensor:
        period = 1 if self.mask is None else len(self.mask)
        rows = values.reshape(len(values), -1, period, self.width) * self.scale
        if self.mask is not None:
            rows = rows.masked_fill(self.mask == 0, -torch.inf)
        return rows.softmax(-1).flatten(1)


class MultiplyMatrices(nn.Module):
    def __init__(self, product: MatrixProduct) -> None:
        super().__init__()
        self.product = product

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        sizes = self.product
        left = one.reshape(len(one), sizes.batch, sizes.rows, sizes.depth)
        right = other.reshape(len(other), sizes.batch, sizes.depth, sizes.columns)
        return (left @ right * sizes.scale).flatten(1)


class Scale(_WithConstants):
    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__(scale=scale, shift=shift)

    def forward(self, values: Tensor) -> Tensor:
        return (values.reshape(len(values), -1, len(self.scale)) * self.scale + self.shift).flatten(1)


class Embed(_WithConstants):
    table: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__(table=table)

    def forward(self, values: Tensor) -> Tensor:
        return F.embedding(values.long(), self.table).flatten(1)


class Repeat(_WithConstants):
    constant: Tensor

    def __init__(self, constant: Tensor) -> None:
        super().__init__(constant=constant)

    def forward(self, values: Tensor) -> Tensor:
        return self.constant.expand(len(values), -1)
