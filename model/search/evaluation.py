"""Validation accuracies of pruned networks. No accuracy is measured twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from zeroskip.model.pruning.masks import Masks
from zeroskip.model.pruning.training import LARGEST_LOSS, evaluate_with_loss
from zeroskip.model.search.clock import SECONDS, Clock, Timed
from zeroskip.model.search.plan import CHANNELS
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.short_training import train_for_batches
from zeroskip.model.search.spaces.space import Densities, Space
from zeroskip.model.search.storage.accuracies import Accuracies
from zeroskip.model.search.storage.journal import Journal
from zeroskip.model.search.workers import worker_map
from zeroskip.model.warned import warn

ACCURACY, LOSS = "", " loss"
TRAINED, TRAINED_LOSS = " trained", " trained loss"
"""The kinds of values of a plan: its key in the journal ends in one of them."""

VALIDATION_SAMPLES = 5_000
"""The largest number of validation samples that a plan without training is measured on."""

BATCHES, LEARNING_RATE, BATCH_SIZE = 100, 0.005, 64
"""The short training: a few per cent of the default fine-tuning (`zeroskip finetune`), with the same settings."""


@dataclass(frozen=True, eq=False)
class _MeasurePruned:
    """Prunes the space's dense network and measures its accuracy and its loss."""

    space: Space
    validation: Samples

    def __call__(self, densities: Densities) -> tuple[float, float]:
        network = self.space.remove(self.space.masked(densities), densities)
        return evaluate_with_loss(network, self.validation.inputs, self.validation.labels)


@dataclass(frozen=True, eq=False)
class _MeasureTrained:
    """Prunes the space's dense network, trains it for a few batches of `samples`, and measures its accuracy and its
    loss."""

    space: Space
    samples: Samples
    validation: Samples

    def __call__(self, densities: Densities) -> tuple[float, float]:
        pruned = self.space.masked(densities)
        network = self.space.remove(pruned, densities)
        masks = {} if self.space.granularity == CHANNELS else self.space.masks(pruned, densities)
        try:
            with Masks(network, masks):
                train_for_batches(
                    network,
                    self.samples,
                    iterations=BATCHES,
                    learning_rate=LEARNING_RATE,
                    batch_size=BATCH_SIZE,
                    constant=False,
                    seed=0,
                    number=0,
                )
        except Exception as error:
            # The training diverges, or the user's forward() fails in train mode. The search can still choose a plan.
            warn(f"the short training failed, so its plan gets the accuracy 0: {error}", stacklevel=2)
            return 0.0, LARGEST_LOSS
        return evaluate_with_loss(network, self.validation.inputs, self.validation.labels)


class Evaluator:
    """Measures the accuracy of the space's network at given densities, as a fraction of the `validation` samples. The
    short training uses `samples`.

    Each accuracy is stored in the journal and in `kept`, where other searches find it, before it is returned.
    `measured` counts the accuracies that were in neither, and `reused` those found in `kept`. With a `clock`, the
    seconds of each are stored too, and added to it.
    """

    def __init__(
        self,
        space: Space,
        samples: Samples,
        validation: Samples,
        journal: Journal,
        workers: int | str = 1,
        kept: Accuracies | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.space, self.samples, self.validation = space, samples, validation
        self.journal, self.workers, self.kept = journal, workers, kept
        self.clock = clock
        self.measured = self.reused = 0
        self._measure_pruned = _MeasurePruned(space, validation.first(VALIDATION_SAMPLES))
        self._measure_trained = _MeasureTrained(space, samples, validation)

    def accuracy(self, densities: Densities) -> float:
        """The accuracy without training; groups that `densities` does not name keep density 1."""
        ((accuracy, _),) = self.measure([densities])
        return accuracy

    def measure(self, asked: Iterable[Densities], *, trained: bool = False) -> Iterator[tuple[float, float]]:
        """The accuracies at the densities `asked` and the mean cross-entropy losses, in nats, in their order, each pair
        as soon as it is known: without training on VALIDATION_SAMPLES samples, or with `trained` after the short
        training on all samples (0 and LARGEST_LOSS where that fails)."""
        if trained:
            pairs = self._values(asked, (TRAINED, TRAINED_LOSS), self._measure_trained)
        else:
            pairs = self._values(asked, (ACCURACY, LOSS), self._measure_pruned)
        return ((accuracy, loss) for accuracy, loss in pairs)

    def _values(
        self, asked: Iterable[Densities], kinds: Sequence[str], measure: Callable[[Densities], Sequence[float]]
    ) -> Iterator[tuple[float, ...]]:
        """For each plan the values of these kinds, which are the first that `measure` returns."""
        if self.clock is not None:
            kinds, measure = (kinds[0] + SECONDS, *kinds), Timed(measure)
        wanted = list(asked)
        plans = [plan_key(densities) for densities in wanted]
        keys = [tuple(plan + kind for kind in kinds) for plan in plans]
        new = {
            these: densities
            for these, densities in zip(keys, wanted, strict=True)
            if any(key not in self.journal.known for key in these)
        }
        known = {} if self.kept is None else self.kept.find([key for these in new for key in these])
        new = {these: densities for these, densities in new.items() if any(key not in known for key in these)}
        if len(new) < 2:
            yield from self._given(keys, known, map(measure, new.values()))
        else:
            with worker_map(measure, self.workers) as do:
                yield from self._given(keys, known, do(new.values()))

    def _given(
        self, keys: list[tuple[str, ...]], known: dict[str, float], measured: Iterator[Sequence[float]]
    ) -> Iterator[tuple[float, ...]]:
        for these in keys:
            if any(key not in self.journal.known for key in these):
                if all(key in known for key in these):
                    self.reused += 1
                else:
                    # `measured` and `keys` have the same order, so the next new values belong to these keys.
                    values = dict(zip(these, next(measured), strict=False))
                    self.measured += 1
                    if self.clock is not None:
                        self.clock.now += values[these[0]]
                    for key, value in values.items():
                        if self.kept is not None and key not in known:
                            self.kept.add(key, value)
                    known.update(values)
                for key in these:
                    if key not in self.journal.known:
                        self.journal.add(key, known[key])
            values = {key: self.journal.known[key] for key in these}
            if self.clock is not None:
                self.clock.spent[these[0]] = values.pop(these[0])
            yield tuple(values.values())


def plan_key(densities: Densities) -> str:
    """A text that is the same for equal densities."""
    return json.dumps({name: density for name, density in sorted(densities.items()) if density < 1})
