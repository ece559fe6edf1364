"""Accuracies of pruned networks on images that they are not trained on; none is measured twice."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.training import evaluate
from zeroskip.model.search.plan import CHANNELS
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.short_training import train_for_batches
from zeroskip.model.search.spaces.space import Densities, Space
from zeroskip.model.search.storage.accuracies import Accuracies
from zeroskip.model.search.storage.journal import Journal
from zeroskip.model.search.workers import spread

LOOK = 5_000
"""Samples at most that a plan is measured on before training."""

BATCHES, RATE, BATCH_SIZE = 100, 0.005, 64
"""Brief training: the fine-tuning that would follow by default (`zeroskip finetune`), a few per cent of it."""


@dataclass(frozen=True, eq=False)
class _Pruned:
    """Prunes the space's dense network, and measures."""

    space: Space
    validation: Samples

    def __call__(self, densities: Densities) -> float:
        network = self.space.remove(self.space.masked(densities), densities)
        return evaluate(network, self.validation.inputs, self.validation.labels)


@dataclass(frozen=True, eq=False)
class _Trained:
    """Prunes the space's dense network, trains it briefly on `samples`, and measures."""

    space: Space
    samples: Samples
    validation: Samples

    def __call__(self, densities: Densities) -> float:
        pruned = self.space.masked(densities)
        network = self.space.remove(pruned, densities)
        masks = {} if self.space.granularity == CHANNELS else self.space.masks(pruned, densities)
        try:
            with Masks(network, masks):
                train_for_batches(
                    network,
                    self.samples,
                    iterations=BATCHES,
                    learning_rate=RATE,
                    batch_size=BATCH_SIZE,
                    constant=False,
                    seed=0,
                    number=0,
                )
        except Exception as error:
            # Training diverges, or the user's forward() fails where it trains: the search has its plans all the same.
            warnings.warn(f"brief training failed, and its plan counts as all wrong: {error}", stacklevel=2)
            return 0.0
        return evaluate(network, self.validation.inputs, self.validation.labels)


class Evaluator:
    """The accuracy, a fraction, of the space's network under densities, on `validation`; briefly trained ones have seen
    `samples`.

    Each goes to the journal before it is given, and to `kept`, where other searches find it. `measured` counts those
    that were in neither, `reused` those from `kept`.
    """

    def __init__(
        self,
        space: Space,
        samples: Samples,
        validation: Samples,
        journal: Journal,
        workers: int | str = 1,
        kept: Accuracies | None = None,
    ) -> None:
        self.space, self.samples, self.validation = space, samples, validation
        self.journal, self.workers, self.kept = journal, workers, kept
        self.measured = self.reused = 0
        self._pruned, self._trained = _Pruned(space, validation.first(LOOK)), _Trained(space, samples, validation)

    def accuracy(self, densities: Densities) -> float:
        """The accuracy under densities of groups, by name; those that are not named stay whole."""
        return next(self.accuracies([densities]))

    def accuracies(self, asked: Iterable[Densities], *, trained: bool = False) -> Iterator[float]:
        """The accuracies under one after the other, each as soon as it is known: before any training, on LOOK samples,
        or after brief training, on all. Where that fails it is 0."""
        wanted = list(asked)
        measure = self._trained if trained else self._pruned
        keys = [key_of(densities) + trained * " trained" for densities in wanted]
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
                else:
                    self.reused += 1
                self.journal.add(key, known[key])
            yield self.journal.known[key]


def key_of(densities: Densities) -> str:
    """The same for equal densities."""
    return json.dumps({name: density for name, density in sorted(densities.items()) if density < 1})
