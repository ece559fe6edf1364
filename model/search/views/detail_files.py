"""The files that show how a search found its plan: numbers, pictures, and weights that were trained meanwhile."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from zeroskip.model.files import save_csv, save_json
from zeroskip.model.loading import save_weights
from zeroskip.model.network.samples import SampleForm
from zeroskip.model.search.methods.amc import AmcResult
from zeroskip.model.search.methods.netadapt import NetAdaptResult
from zeroskip.model.search.methods.run_method import MethodResult
from zeroskip.model.search.methods.sensitivity import SensitivityScan
from zeroskip.model.search.views import side_files
from zeroskip.model.search.views.pictures import of_scan, of_search, save_picture


def save_details(result: MethodResult, output: Path, samples: SampleForm) -> list[Path]:
    """Writes the details of a search beside the plan `output`, with its name and other suffixes. `samples` are those
    that it was searched with. Returns the paths."""
    match result.details:
        case SensitivityScan() as curves:
            return _save_scan(curves, output)
        case NetAdaptResult() as adapted:
            return _save_netadapt(adapted, output, samples)
        case AmcResult() as found:
            return _save_amc(found, output)
        case _:
            return []


def _save_scan(curves: SensitivityScan, output: Path) -> list[Path]:
    rows = [(name, *point) for name, curve in curves.curves.items() for point in curve]
    return [
        save_csv(output.with_suffix(side_files.CURVES), ("group", "density", "accuracy", "loss"), rows),
        save_json(output.with_suffix(side_files.CURVES_DATA), dataclasses.asdict(curves)),
        save_picture(of_scan(curves), output.with_suffix(side_files.CURVES_PICTURE)),
    ]


def _save_netadapt(adapted: NetAdaptResult, output: Path, samples: SampleForm) -> list[Path]:
    steps = adapted.steps
    head = ("iteration", "group", "density", "accuracy", "cost")
    rows = [(number, step.group, step.density, step.accuracy, step.cost) for number, step in enumerate(steps, 1)]
    picture = of_search([step.accuracy for step in steps], [step.cost for step in steps], "iteration")
    weights = side_files.adapted_weights(output)
    # Masked, in the dense network's shape: the long fine-tuning can start from these weights.
    save_weights(adapted.module, weights, removed=False, samples=samples, adapted_from=adapted.dense)
    return [
        save_csv(output.with_suffix(side_files.ITERATIONS), head, rows),
        save_picture(picture, output.with_suffix(side_files.ITERATIONS_PICTURE)),
        weights,
    ]


def _save_amc(found: AmcResult, output: Path) -> list[Path]:
    episodes = found.history
    head = ("episode", "source", "accuracy", "loss", "cost", "reward")
    rows = [
        (number, one.source, one.accuracy, one.loss, one.cost, one.reward) for number, one in enumerate(episodes, 1)
    ]
    picture = of_search(
        [one.accuracy for one in episodes],
        [one.cost for one in episodes],
        "episode",
        [one.source for one in episodes],
        [one.reward for one in episodes],
    )
    return [
        save_csv(output.with_suffix(side_files.EPISODES), head, rows),
        save_picture(picture, output.with_suffix(side_files.EPISODES_PICTURE)),
    ]
