"""The comparison of policies: each trial is that of its policy and seed, and the summary is that of the trials."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.searching import GEOMETRIES
from torch import nn

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.pruning.training import TrainingSettings, evaluate
from zeroskip.model.search.finetune import finetune
from zeroskip.model.search.finetune_settings import PruneAndTrainSettings
from zeroskip.model.search.methods.compare import POLICIES, Comparison, _summary, compare, dense_accuracy
from zeroskip.model.search.methods.netadapt import netadapt
from zeroskip.model.search.methods.policies import deep, shallow, uniform
from zeroskip.model.search.plan import load_plan
from zeroskip.model.search.progress import SearchProgress
from zeroskip.model.search.settings import AgentSettings, AmcSettings, MethodSettings, NetAdaptSettings
from zeroskip.model.search.setup import Setup, prepare
from zeroskip.model.search.storage.journal import Journal

TRAINING = TrainingSettings(epochs=2, learning_rate=0.05, weight_decay=1e-4, batch_size=16)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For networks as small as these, more threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3))


def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(100, 8)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64) + (inputs[:, 1] > 0)
    return Dataset(
        name="signs",
        train_inputs=inputs[:60],
        train_labels=labels[:60],
        test_inputs=inputs[60:],
        test_labels=labels[60:],
    )


def prepared(seed: int) -> Setup:
    return prepare(
        network(), dataset(), granularity="weights", cost="macs", geometries=GEOMETRIES, seed=seed, cache=None
    )


def comparison(folder: Path) -> Comparison:
    return Comparison(
        prepare=prepared,
        exact_dense=None,
        module=network(),
        dataset=dataset(),
        budget=0.5,
        settings=MethodSettings(
            amc=AmcSettings(episodes=4, warm_up=2, agent=AgentSettings(hidden=8)),
            netadapt=NetAdaptSettings(step=0.3, iterations=1, batch_size=8),
        ),
        training=TRAINING,
        folder=folder,
        configuration="this",
        resume=False,
    )


def adapted_network(what: Comparison, folder: Path, seed: int) -> nn.Module:
    """The network with which NetAdapt ends."""
    setup = prepared(seed)
    found = netadapt(
        setup.space,
        setup.table,
        what.budget,
        settings=what.settings.netadapt,
        samples=setup.train,
        validation=setup.validation,
        journal=Journal(folder / "journal", "this", resume=False),
        seed=seed,
    )
    return found.module


def test_trials_and_their_summary(tmp_path: Path) -> None:
    """Two seeds of every policy; the accuracies are those of fine-tuning the saved plan with the seed of the trial;
    NetAdapt's starts from the network that its search has trained."""
    states: list[SearchProgress] = []
    what = comparison(tmp_path)
    found = compare(what, [3, 5], progress=states.append)
    assert list(found) == list(POLICIES) == ["uniform", "shallow", "deep", "sensitivity", "netadapt", "amc"]
    assert [state.trying for state in states] == [f"{name}, seed {seed}" for seed in (3, 5) for name in POLICIES]
    assert [(state.done, state.total) for state in states] == [(number, 12) for number in range(1, 13)]
    afters = [state.accuracy for state in states]
    assert [state.best for state in states] == np.maximum.accumulate(afters).tolist()
    for name, summary in found.items():
        trials = summary["trials"]
        assert [trial["after"] for trial in trials] == [
            state.accuracy for state in states if state.trying.startswith(f"{name},")
        ]
        for seed, trial in zip((3, 5), trials, strict=True):
            plan = load_plan(tmp_path / f"{name}-{seed}.json")
            assert (plan.method, plan.cost, plan.budget, plan.reached) == (name, "macs", 0.5, trial["cost"])
            kept = sum(layer.density * layer.shape[0] * layer.shape[1] for layer in plan.layers)
            assert trial["cost"] == pytest.approx(kept / (96 + 36))
            assert trial["cost"] <= 0.5
            assert "exact" not in trial
            settings = PruneAndTrainSettings(training=TRAINING, threads=1)
            adapted = adapted_network(what, tmp_path / f"again-{seed}", seed) if name == "netadapt" else None
            tuned = finetune(network(), plan, dataset(), settings=settings, seed=seed, adapted=adapted)
            assert trial["before"] == tuned.accuracies["pruned"]
            assert trial["after"] == tuned.accuracies["finetuned"]
            assert trial["seconds"] > 0
    for policy in (uniform, shallow, deep):
        setup = prepared(3)
        expected = policy(setup.space, setup.table, 0.5)
        assert load_plan(tmp_path / f"{policy.__name__}-3.json").densities == expected
    # A comparison that goes on where it was: nothing is trained again.
    again = replace(what, resume=True, training=TRAINING)
    assert compare(again, [3, 5]) == found


def test_summary() -> None:
    trials = [
        {"cost": 0.4, "exact": 0.5, "before": 0.2, "after": 0.9, "seconds": 3.0},
        {"cost": 0.45, "exact": 0.3, "before": 0.5, "after": 0.7, "seconds": 5.0},
        {"cost": 0.1, "exact": 0.4, "before": 0.3, "after": 0.5, "seconds": 1.0},
    ]
    assert _summary(trials) == {
        "cost": 0.45,
        "exact": 0.5,
        "before": pytest.approx(1 / 3),
        "after": pytest.approx(0.7),
        "std": pytest.approx(0.2),
        "std_before": pytest.approx(statistics.stdev([0.2, 0.5, 0.3])),
        "seconds": pytest.approx(3.0),
        "trials": trials,
    }
    one = copy.deepcopy(trials[:1])
    assert (_summary(one)["std"], _summary(one)["std_before"]) == (0.0, 0.0)
    del one[0]["exact"]
    assert _summary([*one, trials[1]])["exact"] is None


def test_dense_accuracy_is_that_of_the_test_split() -> None:
    data = dataset()
    test = torch.from_numpy(data.test_inputs), torch.from_numpy(data.test_labels)
    assert dense_accuracy(network(), data) == evaluate(network(), *test)
