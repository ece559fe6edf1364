"""Accuracies of pruned networks on images that nothing is trained on; none is measured twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from model.pruning.training import evaluate
from model.search.accuracies import Accuracies
from model.search.journal import Journal
from model.search.space import Densities, Space
from model.search.workers import spread

LOOK = 5_000
"""Samples at most that a plan is measured on, unless all are asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """The part of the training samples, `inputs` (n, ...) and `labels` (n,), that a search measures accuracy on."""

    inputs: Tensor
    labels: Tensor

    def first(self, count: int) -> Part:
        """The first samples, so many at most."""
        return Part(inputs=self.inputs[:count], labels=self.labels[:count])


@dataclass(frozen=True, eq=False)
class _Measure:
    """Prunes the space's dense network, and measures."""

    space: Space
    part: Part

    def __call__(self, densities: Densities) -> float:
        network = self.space.remove(self.space.masked(densities), densities)
        return evaluate(network, self.part.inputs, self.part.labels)


class Evaluator:
    """The accuracy, a fraction, of the space's network under densities, before any fine-tuning.

    Each goes to the journal before it is given, and to `kept`, where other searches find it. `measured` counts those
    that were in neither.
    """

    def __init__(
        self, space: Space, part: Part, journal: Journal, workers: int | str = 1, kept: Accuracies | None = None
    ) -> None:
        self.space, self.part, self.journal, self.workers, self.kept = space, part, journal, workers, kept
        self.measured = 0
        self._look, self._whole = _Measure(space, part.first(LOOK)), _Measure(space, part)

    def accuracy(self, densities: Densities) -> float:
        """The accuracy under densities of units, by name; those that are not named stay whole."""
        return next(self.accuracies([densities]))

    def accuracies(self, asked: Iterable[Densities], *, whole: bool = False) -> Iterator[float]:
        """The accuracies under one after the other, each as soon as it is known; on the `whole` part, or on LOOK
        samples of it."""
        wanted = list(asked)
        whole = whole and len(self.part.labels) > LOOK
        measure = self._whole if whole else self._look
        keys = [key_of(densities) + whole * " whole" for densities in wanted]
        new = {key: densities for key, densities in zip(keys, wanted, strict=True) if key not in self.journal.known}
        known = {} if self.kept is None else self.kept.find(list(new))
        new = {key: densities for key, densities in new.items() if key not in known}
        if len(new) < 2:
            yield from self._given(keys, known, map(measure, new.values()))
        else:
            with spread(measure, self.workers) as do:
                yield from self._given(keys, known, do(new.values()))

    def _given(self, keys: list[str], known: dict[str, float], measured: Iterator[float]) -> Iterator[float]:
        for key in keys:
            if key not in self.journal.known:
                if key not in known:
                    # Both run in the order of `wanted`: the next that is new is this one.
                    known[key] = next(measured)
                    self.measured += 1
                    if self.kept is not None:
                        self.kept.add(key, known[key])
                self.journal.add(key, known[key])
            yield self.journal.known[key]


def key_of(densities: Densities) -> str:
    """The same for equal densities."""
    return json.dumps({name: density for name, density in sorted(densities.items()) if density < 1})
