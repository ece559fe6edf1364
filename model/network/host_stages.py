"""The stages that the host computes from whole values, by what their core defines for its numbers.

`compute` is their meaning in floats.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.fields import ADDED_LATER
from zeroskip.model.network.moves import Move
from zeroskip.model.network.samples import MOST_VALUES
from zeroskip.model.network.stage_checks import BEFORE, check_back, check_values


class HostStage:
    """What the host computes from whole values; no layers, no starts."""

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        """What it gives for the values that it reads (each images x values), as floats."""
        raise NotImplementedError

    @property
    def takes(self) -> tuple[int, ...]:
        """The values of an image that it reads, of each of its sources."""
        raise NotImplementedError

    @property
    def gives(self) -> int:
        """The values of an image that it gives."""
        raise NotImplementedError

    @property
    def layers(self) -> range:
        return range(0)

    @property
    def starts(self) -> int:
        return 0


@dataclass(frozen=True, kw_only=True)
class AddStage(HostStage):
    """The sum of two results of `values` values each, and then zero for negative sums where `relu`."""

    values: int
    relu: bool
    back: tuple[int, ...]

    def __post_init__(self) -> None:
        check_back(self.back, 2)
        check_values(self.values)
        if type(self.relu) is not bool:
            raise ValueError(f"relu must be true or false, not {self.relu!r}")

    @property
    def takes(self) -> tuple[int, ...]:
        return self.values, self.values

    @property
    def gives(self) -> int:
        return self.values

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        total: NDArray[Any] = given[0] + given[1]
        return np.maximum(total, 0) if self.relu else total


@dataclass(frozen=True, kw_only=True)
class MultiplyStage(HostStage):
    """The product of two results of `values` values: as many of both, or fewer of the second, each of which multiplies
    as many neighbouring ones of the first (a factor for each channel of an image)."""

    values: tuple[int, int]
    back: tuple[int, ...]

    def __post_init__(self) -> None:
        check_back(self.back, 2)
        if not isinstance(self.values, tuple) or len(self.values) != 2:
            raise ValueError(f"values must be two integers, not {self.values!r}")
        for count in self.values:
            check_values(count)
        if self.values[0] % self.values[1]:
            raise ValueError(f"values: the second must divide the first, not be {self.values[1]} of {self.values[0]}")

    @property
    def takes(self) -> tuple[int, ...]:
        return self.values

    @property
    def gives(self) -> int:
        return self.values[0]

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        product: NDArray[Any] = given[0] * np.repeat(given[1], self.values[0] // self.values[1], axis=1)
        return product


@dataclass(frozen=True, kw_only=True)
class ConcatStage(HostStage):
    """Results of `values` values each, of every image behind one another."""

    values: tuple[int, ...]
    back: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or not self.values:
            raise ValueError(f"values must be a list of at least one, not {self.values!r}")
        check_back(self.back, len(self.values))
        for count in self.values:
            check_values(count)
        check_values(sum(self.values))

    @property
    def takes(self) -> tuple[int, ...]:
        return self.values

    @property
    def gives(self) -> int:
        return sum(self.values)

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate(given, axis=1)


@dataclass(frozen=True, kw_only=True)
class ClampStage(HostStage):
    """Each of `values` values below `low` becomes `low`, each above `high` becomes `high`; None is no limit."""

    values: int
    low: float | None
    high: float | None
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        check_values(self.values)
        for name in ("low", "high"):
            limit = getattr(self, name)
            if limit is not None and (type(limit) not in (int, float) or not math.isfinite(limit)):
                raise ValueError(f"{name} must be a finite number or null, not {limit!r}")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low must be below high ({self.high}), not {self.low}")

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.values,)

    @property
    def gives(self) -> int:
        return self.values

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        if self.low is None and self.high is None:
            return given[0]
        limited: NDArray[Any] = np.clip(given[0], self.low, self.high).astype(given[0].dtype)
        return limited


@dataclass(frozen=True, kw_only=True)
class ActivationStage(HostStage):
    """A `function` (zeroskip.model.network.activations) of each of `values` values, with its `argument`, 0 where it has
    none."""

    values: int
    function: str
    argument: float
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        from zeroskip.model.network.activations import require_function

        check_back(self.back, 1)
        check_values(self.values)
        require_function(self.function, self.argument)

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.values,)

    @property
    def gives(self) -> int:
        return self.values

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        from zeroskip.model.network.activations import activated

        return activated(self.function, self.argument, given[0])


@dataclass(frozen=True, kw_only=True)
class MoveStage(HostStage):
    """Takes values from other places of `values` values: a Move (zeroskip.model.network.moves), which changes none."""

    values: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        check_values(self.values)
        if self.move.furthest >= self.values:
            raise ValueError(
                f"sizes, strides and offset must stay within the {self.values} values, not reach {self.move.furthest}"
            )
        if self.move.count > MOST_VALUES:
            raise ValueError(f"sizes must make at most {MOST_VALUES:,} values, not {self.move.count:,}")

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.values,)

    @property
    def gives(self) -> int:
        return self.move.count

    @property
    def move(self) -> Move:
        return Move(sizes=self.sizes, strides=self.strides, offset=self.offset)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        return self.move.places()

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        return given[0][:, self.places]


@dataclass(frozen=True, kw_only=True)
class SpreadStage(HostStage):
    """Images of `channels` x `height` x `width` with zeros between their values, which are `apart` (down, across), and
    `tail` rows and columns of zeros behind them: what a transposed convolution reads."""

    channels: int
    height: int
    width: int
    apart: tuple[int, int]
    tail: tuple[int, int]
    back: tuple[int, ...] = dataclasses.field(default=BEFORE, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        check_back(self.back, 1)
        for name in ("channels", "height", "width"):
            check_values(getattr(self, name))
        for name, lowest in (("apart", 1), ("tail", 0)):
            pair = getattr(self, name)
            if not isinstance(pair, tuple) or [type(size) for size in pair] != [int, int] or min(pair) < lowest:
                raise ValueError(f"{name} must be two integers of at least {lowest}, not {pair!r}")
        check_values(self.takes[0])
        check_values(self.gives)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result."""
        sizes = zip((self.height, self.width), self.apart, self.tail, strict=True)
        high, wide = ((size - 1) * apart + 1 + tail for size, apart, tail in sizes)
        return high, wide

    @property
    def takes(self) -> tuple[int, ...]:
        return (self.channels * self.height * self.width,)

    @property
    def gives(self) -> int:
        return self.channels * math.prod(self.size)

    def compute(self, *given: NDArray[Any]) -> NDArray[Any]:
        images = given[0].reshape(-1, self.channels, self.height, self.width)
        found = np.zeros((len(images), self.channels, *self.size), images.dtype)
        down, across = self.apart
        found[:, :, : self.size[0] - self.tail[0] : down, : self.size[1] - self.tail[1] : across] = images
        return found.reshape(len(images), -1)
