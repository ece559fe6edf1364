"""The stages of the host for tokens: normalisation, softmax, products of matrices, tables, constants.

Their meaning in floats, `compute`, is made of IEEE operations in a fixed order (zeroskip.model.network.portable), in
float64; the result has the precision of what is read. So every machine gives the same bits.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network import portable
from zeroskip.model.network.fields import ADDED_LATER, TENSOR
from zeroskip.model.network.host_stages import HostStage
from zeroskip.model.network.samples import MOST_VALUES
from zeroskip.model.network.stage_checks import BEFORE, check_array, check_back, check_values

MOST_WIDTH = 1 << 16
"""The most values that are normalised together: the sums of their squares are exact in 64 bits."""

MOST_DEPTH = 1 << 22
"""The most products of a sum: those of 16-bit integers are then exact in float64, in any order."""


@dataclass(frozen=True, kw_only=True)
class NormStage(HostStage):
    """Normalises each row of `width` of `values` values, by their mean (where `centred`: LayerNorm; else RMSNorm) and
    the root of their mean square and `eps`; then each is multiplied by its `weight`, and its `bias` added."""

    values: int
    width: int
    eps: float
    centred: bool
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)
    weight: NDArray[np.float32] = dataclasses.field(metadata=TENSOR, compare=False, repr=False)
    bias: NDArray[np.float32] = dataclasses.field(metadata=TENSOR, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        _check_rows(self, MOST_WIDTH)
        if type(self.eps) is not float or not 0 < self.eps < math.inf:
            raise ValueError(f"eps must be a number above 0, not {self.eps!r}")
        if type(self.centred) is not bool:
            raise ValueError(f"centred must be true or false, not {self.centred!r}")
        for name in ("weight", "bias"):
            check_array(name, getattr(self, name), np.float32, (self.width,))

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.values,)

    @property
    def gives(self) -> int:
        return self.values

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        rows = given[0].reshape(-1, self.width).astype(np.float64)
        if self.centred:
            rows = rows - portable.total(rows) / self.width
        spread = np.sqrt(portable.total(rows * rows) / self.width + self.eps)
        found = rows / spread * self.weight.astype(np.float64) + self.bias.astype(np.float64)
        return found.reshape(given[0].shape).astype(given[0].dtype)


@dataclass(frozen=True, kw_only=True)
class SoftmaxStage(HostStage):
    """The softmax of each row of `width` of `values` values, which are multiplied by `scale` first.

    Where a `mask` (uint8, rows x width) has a zero, the result is zero, and what is read there does not count. Row i of
    the values has row i of the mask, which is repeated.
    """

    values: int
    width: int
    scale: float
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)
    mask: NDArray[np.uint8] | None = dataclasses.field(default=None, metadata=TENSOR, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        _check_rows(self, MOST_VALUES)
        if type(self.scale) is not float or not 0 < self.scale < math.inf:
            raise ValueError(f"scale must be a number above 0, not {self.scale!r}")
        if self.mask is not None:
            check_array("mask", self.mask, np.uint8, (None, self.width))
            if not len(self.mask) or self.values // self.width % len(self.mask):
                raise ValueError(
                    f"mask must have rows that divide the {self.values // self.width}, not {len(self.mask)}"
                )
            if self.mask.max() > 1 or not self.mask.any(axis=1).all():
                raise ValueError("mask must be zeros and ones, at least one of them in each row")

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.values,)

    @property
    def gives(self) -> int:
        return self.values

    def rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (images x values) as rows: images x repetitions of the mask x rows of it x width."""
        period = 1 if self.mask is None else len(self.mask)
        return values.reshape(len(values), -1, period, self.width)

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        rows = self.rows(given[0]).astype(np.float64) * self.scale
        kept = np.ones((1, self.width), bool) if self.mask is None else self.mask.astype(bool)
        top = np.where(kept, rows, -np.inf).max(axis=-1, keepdims=True)
        powers = np.where(kept, portable.exp(np.where(kept, rows - top, 0)), 0)
        found = powers / portable.total(powers)
        return found.reshape(given[0].shape).astype(given[0].dtype)


@dataclass(frozen=True, kw_only=True)
class ProductStage(HostStage):
    """`batch` products of matrices, `rows` x `depth` by `depth` x `columns`, times `scale`."""

    batch: int
    rows: int
    depth: int
    columns: int
    scale: float
    back: tuple[int, ...]

    def __post_init__(self) -> None:
        check_back(self.back, 2)
        for name in ("batch", "rows", "depth", "columns"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise ValueError(f"{name} must be an integer of at least 1, not {getattr(self, name)!r}")
        if self.depth > MOST_DEPTH:
            raise ValueError(f"depth must be at most {MOST_DEPTH:,}, not {self.depth:,}")
        if type(self.scale) is not float or not math.isfinite(self.scale) or self.scale == 0:
            raise ValueError(f"scale must be a number other than 0, not {self.scale!r}")
        for count in (*self.takes, self.gives):
            check_values(count)

    @property
    def takes(self) -> tuple[int, ...]:
        return self.batch * self.rows * self.depth, self.batch * self.depth * self.columns

    @property
    def gives(self) -> int:
        return self.batch * self.rows * self.columns

    def matrices(self, *given: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """What is read, as images x batch x matrices."""
        one, other = given
        return (
            one.reshape(-1, self.batch, self.rows, self.depth),
            other.reshape(-1, self.batch, self.depth, self.columns),
        )

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        sums = portable.product(*self.matrices(*given)) * self.scale
        return sums.reshape(len(given[0]), -1).astype(given[0].dtype)


@dataclass(frozen=True, kw_only=True)
class ScaleStage(HostStage):
    """Each of `values` values times a constant, plus another: value i has constants `i % period` of `scale` and `shift`
    (float32, period)."""

    values: int
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)
    scale: NDArray[np.float32] = dataclasses.field(metadata=TENSOR, compare=False, repr=False)
    shift: NDArray[np.float32] = dataclasses.field(metadata=TENSOR, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        check_values(self.values)
        for name in ("scale", "shift"):
            check_array(name, getattr(self, name), np.float32, (None,))
        if len(self.scale) != len(self.shift) or not len(self.scale) or self.values % len(self.scale):
            raise ValueError(
                f"scale and shift must be as many, and divide the {self.values} values, not {len(self.scale)} and "
                f"{len(self.shift)}"
            )

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.values,)

    @property
    def gives(self) -> int:
        return self.values

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        rows = given[0].reshape(-1, len(self.scale)).astype(np.float64)
        found = rows * self.scale.astype(np.float64) + self.shift.astype(np.float64)
        return found.reshape(given[0].shape).astype(given[0].dtype)


@dataclass(frozen=True, kw_only=True)
class EmbeddingStage(HostStage):
    """Row i of a `table` (float32, vocabulary x width) for each of `values` whole numbers i."""

    values: int
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)
    table: NDArray[np.float32] = dataclasses.field(metadata=TENSOR, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        check_values(self.values)
        check_array("table", self.table, np.float32, (None, None))
        if not self.table.size:
            raise ValueError(f"table must have at least one row and one value, not the shape {self.table.shape}")
        check_values(self.gives)

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.values,)

    @property
    def gives(self) -> int:
        return self.values * self.table.shape[1]

    def places(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """The rows that whole numbers name. Raises ValueError where one is no row of the table."""
        places = np.rint(values).astype(np.int64)
        wrong = (places != values) | (places < 0) | (places >= len(self.table))
        if wrong.any():
            sample, place = np.argwhere(wrong)[0].tolist()
            raise ValueError(
                f"inputs must be whole numbers from 0 to {len(self.table) - 1}, the rows of the embedding, not "
                f"{values[sample, place]:g} (sample {sample}, value {place})"
            )
        return places

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        return self.table[self.places(given[0])].reshape(len(given[0]), -1).astype(given[0].dtype)


@dataclass(frozen=True, kw_only=True)
class ConstantStage(HostStage):
    """The same `constant` (float32, values) for every image; of what it reads, `values` values, nothing is used."""

    values: int
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)
    constant: NDArray[np.float32] = dataclasses.field(metadata=TENSOR, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        check_values(self.values)
        check_array("constant", self.constant, np.float32, (None,))
        check_values(self.gives)

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.values,)

    @property
    def gives(self) -> int:
        return len(self.constant)

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        return np.tile(self.constant.astype(given[0].dtype), (len(given[0]), 1))


def _check_rows(stage: NormStage | SoftmaxStage, most: int) -> None:
    check_values(stage.values)
    if type(stage.width) is not int or not 1 <= stage.width <= most or stage.values % stage.width:
        raise ValueError(
            f"width must be an integer of at most {most:,} that divides the {stage.values} values, not {stage.width!r}"
        )


TokenStage = NormStage | SoftmaxStage | ProductStage | ScaleStage | EmbeddingStage | ConstantStage
