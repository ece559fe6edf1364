"""The comparison of policies: each trial is that of its policy and seed, and the summary is that of the trials."""

from __future__ import annotations

import json
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
from zeroskip.model.search.methods.compare import Comparison, _Run, _summary, compare, dense_accuracy
from zeroskip.model.search.methods.netadapt import netadapt
from zeroskip.model.search.methods.policies import RULES
from zeroskip.model.search.plan import load_plan
from zeroskip.model.search.progress import SearchProgress
from zeroskip.model.search.settings import AgentSettings, AmcSettings, MethodSettings, NetAdaptSettings
from zeroskip.model.search.setup import Setup, prepare
from zeroskip.model.search.storage.journal import Journal

BUDGET = 0.5
SEARCHES = ("sensitivity", "netadapt", "amc")
NAMES = [name + fit for name in ("uniform", "erk", "lamp", "global") for fit in ("", "+fit")] + list(SEARCHES)
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


def unfitted(seed: int) -> Setup:
    module, cost = network(), "macs"
    return prepare(
        module, dataset(), granularity="weights", cost=cost, geometries=GEOMETRIES, seed=seed, cache=None, refit=False
    )


def comparison(folder: Path) -> Comparison:
    return Comparison(
        prepare=prepared,
        raw=unfitted,
        exact_dense=None,
        module=network(),
        dataset=dataset(),
        settings=MethodSettings(
            amc=AmcSettings(episodes=4, warm_up=2, agent=AgentSettings(hidden=8)),
            netadapt=NetAdaptSettings(step=0.3, iterations=1, batch_size=8),
        ),
        training=TRAINING,
        tunings=2,
        peers=False,
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
        BUDGET,
        settings=what.settings.netadapt,
        samples=setup.train,
        validation=setup.validation,
        journal=Journal(folder / "journal", "this", resume=False),
        seed=seed,
    )
    return found.module


def test_trials_and_their_summary(tmp_path: Path) -> None:
    """Two seeds of every search, one of every rule, without and with the fit; the accuracies are those of fine-tuning
    the saved plan by both orders of the samples; NetAdapt's starts from the network that its search has trained."""
    states: list[SearchProgress] = []
    what = comparison(tmp_path)
    found = compare(what, "weights", [BUDGET], [3, 5], progress=states.append)[BUDGET]
    assert list(found) == NAMES
    rules = [name for name in NAMES if name not in SEARCHES and not name.endswith("+fit")]
    trials = [(name, seed) for seed in (3, 5) for name in ((*rules, *SEARCHES) if seed == 3 else SEARCHES)]
    assert [state.trying for state in states] == [f"{name} at 0.5, seed {seed}" for name, seed in trials]
    assert [(state.done, state.total) for state in states] == [(number, 10) for number in range(1, 11)]
    for name, summary in found.items():
        searched = name in SEARCHES
        assert [trial["seed"] for trial in summary["trials"]] == ([3, 5] if searched else [3])
        for trial in summary["trials"]:
            seed = trial["seed"]
            fit = "+fit" if name.endswith("+fit") else ""
            plan = load_plan(tmp_path / f"{name.removesuffix('+fit')}-0.5-{seed}{fit}.json")
            assert (plan.method, plan.cost, plan.budget, plan.reached) == (name, "macs", BUDGET, trial["cost"])
            kept = sum(layer.density * layer.shape[0] * layer.shape[1] for layer in plan.layers)
            assert trial["cost"] == pytest.approx(kept / (96 + 36))
            assert trial["cost"] <= BUDGET
            assert "exact" not in trial
            settings = PruneAndTrainSettings(training=TRAINING, threads=1, refit=searched or bool(fit))
            adapted = adapted_network(what, tmp_path / f"again-{seed}", seed) if name == "netadapt" else None
            for number, after in enumerate(trial["after"]):
                tuned = finetune(network(), plan, dataset(), settings=settings, seed=number, adapted=adapted)
                assert trial["before"] == tuned.accuracies["pruned"]
                assert after == tuned.accuracies["finetuned"]
            assert len(trial["after"]) == 2
            assert trial["seconds"] > 0
            assert ("overhead" in trial) == searched
            assert 0 < trial.get("overhead", 0.5) < 1
    setup = prepared(3)
    for name in rules:
        expected = RULES[name][0](setup.space, setup.table, BUDGET)
        assert load_plan(tmp_path / f"{name}-0.5-3.json").densities == expected
    # A comparison that goes on where it was: nothing is searched or trained again.
    again = replace(what, resume=True, training=TRAINING)
    assert compare(again, "weights", [BUDGET], [3, 5])[BUDGET] == found


@pytest.mark.parametrize("method", SEARCHES)
def test_a_trial_that_was_cut_short_goes_on(tmp_path: Path, method: str) -> None:
    """After each number of its journal, it ends with the same numbers but for its seconds, and the same plan; those of
    the evaluations that were known count in its seconds."""
    whole, trial = comparison(tmp_path / "whole"), (method, 3, BUDGET)
    expected = _Run(whole)(trial)[method]
    plan = (tmp_path / f"whole/{method}-0.5-3.json").read_text()
    lines = (tmp_path / f"whole/{method}-0.5-3.journal").read_text().splitlines(keepends=True)
    cut = tmp_path / "cut"
    cut.mkdir()
    for kept in range(1, len(lines), 7):
        (cut / f"{method}-0.5-3.json").unlink(missing_ok=True)
        (cut / f"{method}-0.5-3.ckpt").unlink(missing_ok=True)
        (cut / f"{method}-0.5-3.journal").write_text("".join(lines[:kept]))
        found = _Run(replace(comparison(cut), resume=True))(trial)[method]
        same = ("seed", "cost", "before", "after")
        assert [found[name] for name in same] == [expected[name] for name in same]
        assert (cut / f"{method}-0.5-3.json").read_text() == plan
        known = sum(json.loads(line)["value"] for line in lines[1:kept] if '{ seconds"' in line or ' seconds"' in line)
        assert found["seconds"] >= known * (method not in lines[kept - 1])


def test_summary() -> None:
    trials = [
        {"seed": 0, "cost": 0.4, "exact": 0.5, "before": 0.2, "after": [0.9, 0.8], "seconds": 3.0, "overhead": 0.1},
        {"seed": 1, "cost": 0.45, "exact": 0.3, "before": 0.5, "after": [0.7, 0.3], "seconds": 5.0, "overhead": 0.3},
    ]
    assert _summary(trials) == {
        "cost": 0.45,
        "exact": 0.5,
        "before": pytest.approx(0.35),
        "after": pytest.approx(0.675),
        "std": pytest.approx(statistics.stdev([0.9, 0.8, 0.7, 0.3])),
        "std_before": pytest.approx(statistics.stdev([0.2, 0.5])),
        "seconds": pytest.approx(4.0),
        "overhead": pytest.approx(0.2),
        "trials": trials,
    }
    one = [{"seed": 0, "cost": 0.4, "before": 0.2, "after": [0.9], "seconds": 3.0}]
    found = _summary(one)
    assert (found["std"], found["std_before"], found["exact"], found["overhead"]) == (0.0, 0.0, None, None)


def test_dense_accuracy_is_that_of_the_test_split() -> None:
    data = dataset()
    test = torch.from_numpy(data.test_inputs), torch.from_numpy(data.test_labels)
    assert dense_accuracy(network(), data) == evaluate(network(), *test)
