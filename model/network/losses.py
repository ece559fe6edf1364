"""What the number formats of a core lose of a layer's values: counted, and told where it is much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.magnitudes import LOST_SHARE
from zeroskip.model.warned import warn

SATURATED_SHARE = 0.001
"""Saturation changes the largest values, so a smaller share of it is told."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Of `values` non-zero values of a layer (`what`: "weights", "inputs", "activations"), `to_zero` become zero in the
    core's format, and `saturated` are larger than it holds. The inputs (their numbers)
    in `vanished` become zero in some samples, those in `alive` stay non-zero in some."""

    layer: int
    what: str
    values: int
    to_zero: int
    saturated: int
    vanished: frozenset[int] = frozenset()
    alive: frozenset[int] = frozenset()

    @property
    def dead(self) -> int:
        """Inputs that become zero in every sample that has them."""
        return len(self.vanished - self.alive)

    @property
    def much(self) -> bool:
        """Whether a user should know of it."""
        return (
            self.to_zero > LOST_SHARE * self.values or self.saturated > SATURATED_SHARE * self.values or self.dead > 0
        )

    def __str__(self) -> str:
        parts = []
        if self.to_zero:
            parts.append(f"{self.to_zero:,} of {self.values:,} ({self.to_zero / self.values:.1%}) become zero")
        if self.saturated:
            parts.append(f"{self.saturated:,} of {self.values:,} ({self.saturated / self.values:.1%}) are too large")
        if self.dead:
            parts.append(f"{self.dead:,} inputs become zero in all samples")
        return f"layer {self.layer}, {self.what}: {', '.join(parts)} in the core's number format"

    def summary(self) -> dict[str, Any]:
        """As in the commands' JSON."""
        return {name: value for name, value in asdict(self).items() if name not in ("vanished", "alive")}


def joined(losses: Iterable[Loss]) -> list[Loss]:
    """The losses of several batches, one for each layer and kind of value."""
    found: dict[tuple[int, str], Loss] = {}
    for loss in losses:
        key = (loss.layer, loss.what)
        if key not in found:
            found[key] = loss
            continue
        one = found[key]
        found[key] = replace(
            one,
            values=one.values + loss.values,
            to_zero=one.to_zero + loss.to_zero,
            saturated=one.saturated + loss.saturated,
            vanished=one.vanished | loss.vanished,
            alive=one.alive | loss.alive,
        )
    return list(found.values())


def saturated(losses: Iterable[Loss]) -> dict[str, int]:
    """How many values saturated, by kind; weights never do."""
    counts: dict[str, int] = {}
    for loss in losses:
        if loss.what == "weights":
            continue
        counts[loss.what] = counts.get(loss.what, 0) + loss.saturated
    return counts


def input_loss(inputs: NDArray[Any], encoded: NDArray[Any], clipped: int) -> Loss:
    """What is lost of a network's inputs (samples x values) as the core takes them, `encoded`; `clipped` saturated."""
    present, vanished = inputs != 0, (inputs != 0) & (encoded == 0)
    return Loss(
        layer=0,
        what="inputs",
        values=int(np.count_nonzero(present)),
        to_zero=int(np.count_nonzero(vanished)),
        saturated=clipped,
        vanished=_inputs(vanished),
        alive=_inputs(present & ~vanished),
    )


def _inputs(where: NDArray[np.bool_]) -> frozenset[int]:
    """The inputs that are true in a sample (samples x values)."""
    return frozenset(np.flatnonzero(where.any(axis=0)).tolist())


def warn_of(losses: Iterable[Loss]) -> None:
    """Warns of each loss that a user should know of."""
    for loss in losses:
        if loss.much:
            warn(f"{loss}; scale the network or its inputs", stacklevel=3)
