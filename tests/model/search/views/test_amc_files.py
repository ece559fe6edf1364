"""What AMC writes beside its plan: a line for each episode, and the accuracy of the plan with the highest reward."""

from __future__ import annotations

import csv
from pathlib import Path

from zeroskip.model.network.samples import SampleForm
from zeroskip.model.search.methods.amc import AmcResult, Episode
from zeroskip.model.search.methods.run_method import MethodResult
from zeroskip.model.search.views.detail_files import save_details
from zeroskip.model.search.views.pictures import of_search

SOURCES = ("knapsack", "random", "agent", "neighbour")
ACCURACIES = (0.5, 0.9, 0.8, 0.7)
REWARDS = (-0.5, -0.6, -0.4, -0.45)
"""The most accurate plan has the lowest reward."""


def test_a_line_for_each_episode(tmp_path: Path) -> None:
    episodes = tuple(
        Episode(source=source, accuracy=accuracy, loss=-reward, cost=0.3, reward=reward)
        for source, accuracy, reward in zip(SOURCES, ACCURACIES, REWARDS, strict=True)
    )
    result = AmcResult(densities={}, source="agent", accuracy=0.8, history=episodes)
    files = save_details(
        MethodResult(densities={}, details=result), tmp_path / "plan.json", SampleForm(shape=(1,), low=0.0, high=1.0)
    )
    assert [file.name for file in files] == ["plan.episodes.csv", "plan.episodes.png"]
    with (tmp_path / "plan.episodes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == list(SOURCES)
    assert [float(row["loss"]) for row in rows] == [-reward for reward in REWARDS]
    assert [float(row["accuracy"]) for row in rows] == list(ACCURACIES)


def test_the_line_is_that_of_the_highest_reward() -> None:
    figure = of_search(ACCURACIES, [0.3] * 4, "episode", SOURCES, REWARDS)
    (line,) = (one for one in figure.axes[0].lines if one.get_label() == "highest reward so far")
    assert list(line.get_ydata()) == [0.5, 0.5, 0.8, 0.8]  # type: ignore[arg-type]
