"""NetAdapt: its steps, and a search that was interrupted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from support.searching import GEOMETRIES, space_of, table_of, trained
from torch import nn

from zeroskip.model.pruning.training import evaluate
from zeroskip.model.search.costs.table import cost_table
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.methods.netadapt import NetAdaptResult, netadapt
from zeroskip.model.search.progress import SearchProgress
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.settings import NetAdaptSettings
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.storage.journal import Journal

SETTINGS = NetAdaptSettings(step=0.1, decay=0.9, iterations=3, batch_size=20, learning_rate=0.01)


def search(
    folder: Path,
    *,
    budget: float = 0.5,
    granularity: str = "channels",
    settings: NetAdaptSettings = SETTINGS,
    resume: bool = False,
    **options: Any,
) -> tuple[NetAdaptResult, Journal]:
    _, inputs, labels = trained()
    journal = Journal(folder / "journal", "this", resume=resume)
    adapted = netadapt(
        space_of(granularity),
        table_of("params", granularity),
        budget,
        settings=settings,
        samples=Samples(inputs=inputs[:200], labels=labels[:200]),
        validation=Samples(inputs=inputs[200:], labels=labels[200:]),
        journal=journal,
        seed=5,
        **options,
    )
    return adapted, journal


def test_each_step_trains_on_other_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []
    monkeypatch.setattr(
        "zeroskip.model.search.methods.netadapt.train_for_batches", lambda *_, number, **__: numbers.append(number)
    )
    adapted, _ = search(tmp_path, granularity="weights")
    assert numbers == [number for number in range(len(adapted.steps)) for _ in range(2)]


@pytest.mark.parametrize("granularity", ["weights", "channels"])
def test_every_step_saves_what_it_must(tmp_path: Path, granularity: str) -> None:
    adapted, journal = search(tmp_path, granularity=granularity)
    costs = [1.0, *(step.cost for step in adapted.steps)]
    for number, (before, after) in enumerate(pairwise(costs)):
        # The cost of a group changes in steps, so it may fall below the target.
        assert after <= max(0.5, before - 0.1 * 0.9**number) + 1e-9
    assert costs[-1] <= 0.5 < costs[-2]
    table = table_of("params", granularity)
    space = space_of(granularity)
    assert table.total(space.points(adapted.densities)) / table.dense == pytest.approx(costs[-1])
    assert len(journal.known) >= len(adapted.steps)


def test_the_network_is_what_was_measured(tmp_path: Path) -> None:
    adapted, _ = search(tmp_path)
    _, inputs, labels = trained()
    assert evaluate(adapted.module, inputs[200:], labels[200:]) == adapted.steps[-1].accuracy
    small = space_of("channels").remove(adapted.module, adapted.densities)
    assert small.get_parameter("0.weight").shape[0] == round(16 * adapted.densities["0"])


def test_rules_differ_as_they_say(tmp_path: Path) -> None:
    """The paper's rule chooses the most accurate proposal of every iteration."""
    settings = NetAdaptSettings(step=0.1, decay=0.9, iterations=0, pick="accuracy")
    adapted, journal = search(tmp_path, granularity="weights", settings=settings)
    for number, step in enumerate(adapted.steps):
        tried = [value for key, value in journal.known.items() if key.startswith(f"[{number},") and key.endswith("]")]
        assert step.accuracy == max(tried)


def test_training_helps(tmp_path: Path) -> None:
    without, _ = search(tmp_path / "1", budget=0.15, settings=NetAdaptSettings(step=0.1, iterations=0))
    trained_more = NetAdaptSettings(step=0.1, iterations=20, batch_size=50, learning_rate=0.05)
    with_it, _ = search(tmp_path / "2", budget=0.15, settings=trained_more)
    assert with_it.steps[-1].accuracy > without.steps[-1].accuracy


@pytest.mark.parametrize("at", [1, 4, 7])
def test_cut_short_within_an_iteration(tmp_path: Path, at: int) -> None:
    expected, journal = search(tmp_path / "whole", granularity="weights")
    calls = 0

    def stop(state: SearchProgress) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", granularity="weights", progress=stop)
    text = (tmp_path / "cut" / "journal").read_text()
    resumed, other = search(tmp_path / "cut", granularity="weights", resume=True)
    assert other.path.read_text().startswith(text), "what was measured is not measured again"
    assert other.path.read_text() == journal.path.read_text()
    assert (resumed.densities, resumed.steps) == (expected.densities, expected.steps)
    for name, value in expected.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name])


def test_workers_change_nothing(tmp_path: Path) -> None:
    alone, first = search(tmp_path / "1", granularity="weights")
    together, second = search(tmp_path / "2", granularity="weights", workers=2)
    assert (alone.densities, alone.steps) == (together.densities, together.steps)
    assert first.path.read_text() == second.path.read_text()


def test_patterns_all_the_way_down(tmp_path: Path) -> None:
    """The small layer alone cannot save enough for a step, so it is pruned when nothing else is left."""
    settings = NetAdaptSettings(step=0.3, decay=1.0, iterations=0)
    adapted, _ = search(tmp_path, granularity="2:4", budget=0.6, settings=settings)
    assert adapted.densities == {"0": 0.5, "2": 0.5}


@pytest.mark.parametrize("budget", [0.9, 0.5, 0.1])
def test_a_step_for_every_budget(tmp_path: Path, budget: float) -> None:
    settings = NetAdaptSettings(iterations=0)
    adapted, _ = search(tmp_path, granularity="weights", budget=budget, settings=settings)
    first = settings.first_step(budget)
    assert sum(first * 0.96**number for number in range(30)) == pytest.approx(1 - budget)
    # Layers with so few weights save more than they must, so there are fewer steps.
    assert 5 <= len(adapted.steps) <= 31
    assert adapted.steps[-1].cost <= budget


def test_steps_that_would_never_reach_the_budget(tmp_path: Path) -> None:
    message = (
        r"step must be above 0\.0300, as steps that shrink by 0\.96 would never reach the budget 0\.25, not 0\.025"
    )
    with pytest.raises(ValueError, match=message):
        search(tmp_path, budget=0.25, settings=NetAdaptSettings(step=0.025))


def test_budgets_that_cannot_be_met(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"budget 0\.01 of the dense params cannot be met: the smallest cost"):
        search(tmp_path, budget=0.01)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step", 0.0, "step must be above 0 and at most 1"),
        ("step", 1.01, "step must be above 0 and at most 1"),
        ("step", -0.1, "step must be above 0 and at most 1"),
        ("decay", 1.5, "decay must be above 0 and at most 1, not 1.5"),
        ("decay", 0.0, "decay must be above 0 and at most 1, not 0.0"),
        ("pick", "best", "pick must be one of loss, ratio, accuracy, not 'best'"),
        ("iterations", -1, "iterations must be at least 0, not -1"),
        ("learning_rate", 0.0, "learning_rate must be above 0 and finite, not 0.0"),
        ("learning_rate", float("inf"), "learning_rate must be above 0 and finite, not inf"),
        ("batch_size", 0, "batch_size must be at least 1, not 0"),
    ],
)
def test_settings(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetAdaptSettings(**{field: value})


def test_settings_at_their_limits() -> None:
    NetAdaptSettings(step=1.0, decay=1.0, iterations=0, batch_size=1)
    assert NetAdaptSettings(decay=1.0).first_step(0.4) == pytest.approx(0.6 / 30)
    assert NetAdaptSettings(step=0.9, decay=0.5).first_step(0.4) == 0.9


def test_seconds(tmp_path: Path) -> None:
    """For layers so large that the time depends on the channels, not on the overhead of a call."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 144, 4)
    ).eval()
    inputs, labels = torch.rand(40, 3, 16, 16), torch.arange(40) % 4
    layers = read_layers(module, inputs[:2].numpy())
    table = cost_table("latency", layers, "channels", geometries=GEOMETRIES)
    adapted = netadapt(
        ChannelSpace(module, [layer.name for layer in layers], inputs),
        table,
        0.6,
        settings=NetAdaptSettings(step=0.2, iterations=0),
        samples=Samples(inputs=inputs, labels=labels),
        validation=Samples(inputs=inputs, labels=labels),
        journal=Journal(tmp_path / "journal", "this", resume=False),
        seed=0,
    )
    assert adapted.steps[-1].cost <= 0.6
    assert min(adapted.densities.values()) < 1
