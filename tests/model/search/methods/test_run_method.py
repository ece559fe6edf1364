"""A method by its name is that method, with the samples, the journal and the seed that it is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.searching import GEOMETRIES, signs
from torch import nn

from zeroskip.model.search.evaluation import Evaluator
from zeroskip.model.search.methods import policies
from zeroskip.model.search.methods.amc import amc
from zeroskip.model.search.methods.netadapt import NetAdaptResult, netadapt
from zeroskip.model.search.methods.run_method import run_method
from zeroskip.model.search.methods.sensitivity import scan, solve
from zeroskip.model.search.methods.starts import starts
from zeroskip.model.search.progress import SearchProgress
from zeroskip.model.search.settings import AgentSettings, AmcSettings, MethodSettings, NetAdaptSettings
from zeroskip.model.search.setup import Setup, prepare
from zeroskip.model.search.storage.journal import Journal

SETTINGS = MethodSettings(
    amc=AmcSettings(episodes=4, warm_up=2, agent=AgentSettings(hidden=8)),
    netadapt=NetAdaptSettings(step=0.3, iterations=2, batch_size=8, learning_rate=0.1),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For networks as small as these, more threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def setup() -> Setup:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))
    return prepare(module, signs(), granularity="weights", cost="macs", geometries=GEOMETRIES, seed=0, cache=None)


def evaluator(setup: Setup, folder: Path, name: str) -> Evaluator:
    (folder / name).mkdir()
    return setup.evaluator(Journal(folder / name / "journal", "this", resume=False))


@pytest.mark.parametrize("name", ["uniform", "erk", "lamp"])
def test_policies(setup: Setup, tmp_path: Path, name: str) -> None:
    found = run_method(name, setup, 0.6, settings=SETTINGS, evaluator=evaluator(setup, tmp_path, "a"), seed=0)
    assert found.densities == getattr(policies, name)(setup.space, setup.table, 0.6)
    assert found.details is None


def test_sensitivity(setup: Setup, tmp_path: Path) -> None:
    states: list[SearchProgress] = []
    first, second = evaluator(setup, tmp_path, "a"), evaluator(setup, tmp_path, "b")
    found = run_method("sensitivity", setup, 0.6, settings=SETTINGS, evaluator=first, seed=0, progress=states.append)
    curves = scan(second)
    assert found.details == curves
    assert found.packed == solve(curves, setup.space, setup.table, 0.6)
    begun = starts(setup.space, setup.table, 0.6, found.packed.densities)
    losses = {source: loss for source, (_, loss) in zip(begun, second.measure(begun.values()), strict=True)}
    assert found.source == min(losses, key=lambda source: losses[source])
    assert found.densities == begun[found.source]
    assert states[-1].done == states[-1].total == len(states) > 0


def test_amc(setup: Setup, tmp_path: Path) -> None:
    states: list[SearchProgress] = []
    first, second = evaluator(setup, tmp_path, "a"), evaluator(setup, tmp_path, "b")
    found = run_method("amc", setup, 0.6, settings=SETTINGS, evaluator=first, seed=4, progress=states.append)
    expected = amc(second, setup.layers, setup.table, 0.6, settings=SETTINGS.amc, seed=4)
    assert found.details == expected
    assert found.densities == expected.densities
    # Nine densities of each of the two layers, and four plans.
    assert len(states) == 2 * 9 + 4


def test_netadapt(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It measures on the first of the validation samples, as many as other methods do."""
    monkeypatch.setattr("zeroskip.model.search.methods.run_method.VALIDATION_SAMPLES", 7)
    states: list[SearchProgress] = []
    first, second = evaluator(setup, tmp_path, "a"), evaluator(setup, tmp_path, "b")
    found = run_method("netadapt", setup, 0.6, settings=SETTINGS, evaluator=first, seed=4, progress=states.append)
    expected = netadapt(
        setup.space,
        setup.table,
        0.6,
        settings=SETTINGS.netadapt,
        samples=setup.train,
        validation=setup.validation.first(7),
        journal=second.journal,
        seed=4,
    )
    assert isinstance(found.details, NetAdaptResult)
    assert found.densities == found.details.densities == expected.densities
    assert found.details.steps == expected.steps
    assert first.journal.known == second.journal.known
    assert all(
        torch.equal(a, b) for a, b in zip(found.details.module.parameters(), expected.module.parameters(), strict=True)
    )
    assert 2 * len(states) == len(first.journal.known), "an accuracy and a loss for each"
