"""The samples that a network was trained or compiled with: their shape, and the range of their values.

Only the number of values of a sample can be told from a compiled network, so that images whose channels come last would
give wrong results without an error. The shape is kept in the network's file for that reason.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from zeroskip.model.warned import warn

FAR = 1.0
"""Values that lie beyond the known range by this many times its width are warned of: 0 to 255 for 0 to 1, for example,
and -1 to 1 for 0 to 1. Values of a normal distribution are not, however many samples there are."""

NARROW = 16
"""As are values that all lie in less than this part of the range: 0 to 1 for 0 to 255."""

MOST_VALUES = 1 << 28
"""The greatest number of values of a sample, or of an image in a network."""


@dataclass(frozen=True, kw_only=True)
class SampleForm:
    """A sample has the `shape` (values,), or (channels, height, width); its values lie between `low` and `high`.

    Raises ValueError naming the field that is wrong.
    """

    shape: tuple[int, ...]
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.shape or not all(type(size) is int and 1 <= size <= MOST_VALUES for size in self.shape):
            raise ValueError(f"shape must be integers of at least 1, not {self.shape!r}")
        if math.prod(self.shape) > MOST_VALUES:
            raise ValueError(f"shape must have at most {MOST_VALUES:,} values, not {by(self.shape)}")
        for name in ("low", "high"):
            value = getattr(self, name)
            if type(value) is not float or not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, not {value!r}")
        if self.low > self.high:
            raise ValueError(f"low must be at most high ({self.high}), not {self.low}")

    @classmethod
    def of(cls, inputs: NDArray[Any]) -> SampleForm:
        """The form of `inputs` (samples x ...)."""
        return cls(shape=tuple(inputs.shape[1:]), low=float(inputs.min()), high=float(inputs.max()))

    @property
    def values(self) -> int:
        """Values of a sample."""
        return math.prod(self.shape)

    def warn_of_range(self, inputs: Sequence[NDArray[Any]], field: str) -> None:
        """Warns, with both ranges, if the values of `inputs` (each samples x ...), which errors call `field`, are far
        from this range."""
        low, high = min(float(some.min()) for some in inputs), max(float(some.max()) for some in inputs)
        width = self.high - self.low
        beyond = max(self.low - low, high - self.high)
        if (beyond > 0 and beyond >= FAR * width) or 0 < (high - low) * NARROW <= width:
            warn(
                f"{field} are from {low:g} to {high:g}, but the network was made with values from {self.low:g} to "
                f"{self.high:g}; scale them as there, or the results mean nothing",
                stacklevel=2,
            )


def require_shape(shape: tuple[int, ...], inputs: NDArray[Any], field: str, *, flat: bool = True) -> None:
    """Raises ValueError, with a remedy, unless `inputs` (samples x ...), which errors call `field`, have samples of
    `shape`.

    Where the network takes `flat` values, as those do that begin with a fully connected layer, flat samples also fit
    images of one channel (1 x height x width) and samples of two axes, and these images fit flat samples: their values
    have no other order.
    """
    given = tuple(inputs.shape[1:])
    if given == shape:
        return
    if flat and math.prod(given) == math.prod(shape):
        if len(given) == 1 and (len(shape) == 2 or _one_channel(shape)):
            return
        if len(shape) == 1 and _one_channel(given):
            return
    if math.prod(given) != math.prod(shape):
        raise ValueError(
            f"{field} must have {math.prod(shape)} values a sample, as the network takes, not {math.prod(given)} "
            f"({by(shape)}, not {by(given)})"
        )
    raise ValueError(
        f"{field} must be samples x {by(shape)}, as the network takes, not samples x {by(given)}{_remedy(shape, given)}"
    )


def _one_channel(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] == 1


def channels_last(given: tuple[int, ...], channels: int) -> str:
    """What an error adds where images of `channels` channels were given as samples of the shape `given`, which are
    perhaps height x width x channels; empty if they are not."""
    if len(given) == 3 and given[2] == channels != given[0]:
        return _remedy((given[2], given[0], given[1]), given)
    return ""


def by(shape: tuple[int, ...]) -> str:
    """A shape for people: "1 x 28 x 28"."""
    return " x ".join(map(str, shape))


def _remedy(shape: tuple[int, ...], given: tuple[int, ...]) -> str:
    """How samples of the shape `given` could become those of `shape`, of as many values; empty where nothing is
    likely."""
    if len(shape) == len(given) == 3 and given == (*shape[1:], shape[0]):
        return "; they look like samples x height x width x channels: use inputs.transpose(0, 3, 1, 2)"
    if len(given) <= 4 and sorted(shape) == sorted(given):
        orders = itertools.permutations(range(len(given)))
        order = next(order for order in orders if tuple(given[place] for place in order) == shape)
        axes = ", ".join(str(place + 1) for place in order)
        return f"; the lengths are in another order: use inputs.transpose(0, {axes})"
    if 1 in (len(shape), len(given)) or [size for size in shape if size > 1] == [size for size in given if size > 1]:
        return f"; where the values are in this order, use inputs.reshape(-1, {', '.join(map(str, shape))})"
    return ""
