"""The evaluator: accuracies without training and after a short training, and on how many samples."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.searching import accuracies, evaluator, space_of, trained
from torch import nn

from zeroskip.model.pruning.training import LARGEST_LOSS, evaluate, evaluate_with_loss
from zeroskip.model.search.evaluation import LOSS, Evaluator, plan_key
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.short_training import train_for_batches
from zeroskip.model.search.spaces.space import LayerSpace
from zeroskip.model.search.storage.accuracies import Accuracies
from zeroskip.model.search.storage.journal import Journal

HARD = {"0": 0.15, "2": 0.2}


def test_before_training_a_few_samples_count_and_after_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.model.search.evaluation.VALIDATION_SAMPLES", 20)
    monkeypatch.setattr("zeroskip.model.search.evaluation.BATCHES", 0)
    measure = evaluator(tmp_path)
    pruned, validation = measure.space.masked(HARD), measure.validation
    few = evaluate(pruned, validation.inputs[:20], validation.labels[:20])
    everything = evaluate(pruned, validation.inputs, validation.labels)
    assert measure.accuracy(HARD) == few != everything
    assert accuracies(measure, [HARD], trained=True) == [everything]


@pytest.mark.parametrize("granularity", ["weights", "channels", "2:4"])
def test_what_is_trained_stays_pruned(tmp_path: Path, granularity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed channels stay removed and pruned weights stay zero, while the other weights are trained and improve."""
    measured: list[nn.Module] = []

    def spy(measure: Callable[..., Any]) -> Callable[..., Any]:
        def measured_too(module: nn.Module, *samples: torch.Tensor) -> Any:
            measured.append(module)
            return measure(module, *samples)

        return measured_too

    monkeypatch.setattr("zeroskip.model.search.evaluation.evaluate_with_loss", spy(evaluate_with_loss))
    measure = evaluator(tmp_path, granularity=granularity)
    plan = {"0": 0.25} if granularity == "channels" else {"0": 0.5, "2": 0.5} if granularity == "2:4" else HARD
    before, (after,) = measure.accuracy(plan), accuracies(measure, [plan], trained=True)
    assert after > before
    pruned, tuned = ([layer.weight for layer in module if isinstance(layer, nn.Linear)] for module in measured)
    for one, other in zip(pruned, tuned, strict=True):
        assert one.shape == other.shape
        assert not torch.equal(one, other)
        assert torch.equal(other == 0, one == 0)
    if granularity == "channels":
        assert pruned[0].shape == (4, 10)
    else:
        assert any((one == 0).any() for one in pruned)


def test_what_is_trained_is_another_accuracy(tmp_path: Path) -> None:
    measure = evaluator(tmp_path)
    before, (after,) = measure.accuracy(HARD), accuracies(measure, [HARD], trained=True)
    resumed = evaluator(tmp_path, resume=True)
    assert (resumed.accuracy(HARD), *accuracies(resumed, [HARD], trained=True)) == (before, after)
    assert resumed.measured == 0


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("found", [(), (0,), (2,), (0, 1), (1, 3), (0, 1, 2, 3)])
def test_every_plan_has_its_own_accuracy_whichever_were_found(
    tmp_path: Path, workers: int, found: tuple[int, ...]
) -> None:
    """Of five plans, one of which is asked twice, some are in the shared database and one is in the journal."""
    plans = [{"0": 0.3}, {"0": 0.1}, {"2": 0.15}, {"0": 0.1, "2": 0.1}, HARD]
    pruned = [space_of().masked(plan) for plan in plans]
    _, inputs, labels = trained()
    alone = [evaluate_with_loss(module, inputs, labels) for module in pruned]
    assert len(set(alone)) == len(plans)
    keys = [[plan_key(plan), plan_key(plan) + LOSS] for plan in plans]
    samples = Samples(inputs=inputs, labels=labels)
    journal, kept = Journal(tmp_path / "j", "", resume=False), Accuracies(tmp_path / "a.sqlite", "")
    for number in found:
        for key, value in zip(keys[number], alone[number], strict=True):
            kept.add(key, value)
    for key, value in zip(keys[4], alone[4], strict=True):
        journal.add(key, value)
    measure = Evaluator(space_of(), samples, samples, journal, workers, kept)
    asked = [3, 0, 4, 1, 3, 2]
    assert list(measure.measure(plans[number] for number in asked)) == [alone[number] for number in asked]
    assert (measure.reused, measure.measured) == (len(found), 4 - len(found))
    expected = {key: value for n in range(4) for key, value in zip(keys[n], alone[n], strict=True)}
    assert kept.find([key for both in keys for key in both]) == expected


def test_samples_are_trained_on_and_the_part_is_measured(tmp_path: Path) -> None:
    """If it is trained on one label only, it predicts hardly any other; a quarter of the samples have that label."""
    _, inputs, labels = trained()
    one = Samples(inputs=inputs, labels=torch.full_like(labels, 2))
    measure = Evaluator(
        space_of(), one, Samples(inputs=inputs, labels=labels), Journal(tmp_path / "j", "", resume=False)
    )
    assert accuracies(measure, [HARD], trained=True)[0] < 0.35 < measure.accuracy(HARD) - 0.1


def test_training_that_diverges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.model.search.evaluation.LEARNING_RATE", 1e30)
    with pytest.warns(UserWarning, match="the short training failed.*diverged"):
        assert accuracies(evaluator(tmp_path), [HARD], trained=True) == [0.0]


class TwoHeads(nn.Sequential):
    """Returns a tuple in train mode, as networks with an auxiliary head do."""

    def forward(self, x: torch.Tensor) -> Any:
        return (super().forward(x), x) if self.training else super().forward(x)


def test_a_network_that_cannot_be_trained_as_it_is(tmp_path: Path) -> None:
    module, inputs, labels = trained()
    assert isinstance(module, nn.Sequential)
    validation = Samples(inputs=inputs, labels=labels)
    space = LayerSpace(TwoHeads(*module).eval(), "weights", ["0", "2"], inputs)
    measure = Evaluator(space, validation, validation, Journal(tmp_path / "j", "", resume=False))
    assert measure.accuracy(HARD) > 0.3
    with pytest.warns(UserWarning, match="the short training failed"):
        assert accuracies(measure, [HARD], trained=True) == [0.0]


@pytest.mark.parametrize("samples", [26, 200])
def test_so_many_batches_however_few_the_samples(samples: int) -> None:
    module, inputs, labels = trained()
    network, seen = copy.deepcopy(module), []
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    options = {"iterations": 10, "learning_rate": 0.01, "batch_size": 64, "constant": True, "seed": 0, "number": 3}
    train_for_batches(network, Samples(inputs=inputs[:samples], labels=labels[:samples]), **options)  # type: ignore[arg-type]
    assert [len(batch) for batch in seen] == [64] * 10
    counts = torch.cat(seen).unique(dim=0, return_counts=True)[1]
    assert len(counts) == samples
    assert counts.max() - counts.min() <= 1, "all as often, but for the last round"


def test_losses_beside_accuracies(tmp_path: Path) -> None:
    """The cross-entropy of the pruned network by torch; one measurement gives both, and both are kept."""
    measure = evaluator(tmp_path)
    ((accuracy, loss),) = measure.measure([HARD])
    with torch.no_grad():
        outputs = measure.space.masked(HARD)(measure.validation.inputs)
    assert loss == pytest.approx(float(nn.functional.cross_entropy(outputs, measure.validation.labels)), rel=1e-5)
    assert [accuracy] == accuracies(measure, [HARD])
    assert measure.measured == 1
    assert list(evaluator(tmp_path, resume=True).measure([HARD])) == [(accuracy, loss)]


@pytest.mark.parametrize("output", [1e30, float("nan"), float("inf")])
def test_losses_are_numbers(output: float) -> None:
    """A network whose outputs overflow has a very large loss, and JSON can hold it."""
    module = nn.Linear(2, 3)
    with torch.no_grad():
        module.bias[1] = output
    _, loss = evaluate_with_loss(module, torch.zeros(5, 2), torch.zeros(5, dtype=torch.long))
    assert loss == LARGEST_LOSS
