"""On a GPU the commands find what they find on the CPU, here bit for bit: the GPU of `gpu_on_cpu` rounds as the CPU.

`test_device.py` runs these in a process of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.gpu_on_cpu import gpu_on_cpu
from zeroskip.api.compare import CompareSettings, compare
from zeroskip.api.finetune import FinetuneSettings, finetune
from zeroskip.api.search import SearchSettings, search
from zeroskip.api.train import TrainSettings, train
from zeroskip.model.device import CPU, moved
from zeroskip.model.search.choices import Granularity, Method
from zeroskip.model.search.settings import AmcSettings, NetAdaptSettings

Samples = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

SHORT = {
    "amc": AmcSettings(episodes=20, warm_up=4),
    "netadapt": NetAdaptSettings(step=0.3, iterations=2),
}


def samples() -> Samples:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 1, 6, 6)).astype(np.float32)
    return inputs, (inputs[:, 0, :3].mean((1, 2)) > inputs[:, 0, 3:].mean((1, 2))).astype(np.int64)


def network() -> nn.Module:
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 4, 3, padding=1, bias=False)
    return nn.Sequential(
        convolution, nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(36, 2)
    )


def same(module: nn.Module, other: nn.Module) -> bool:
    """Whether two networks are on the CPU and have the same weights."""
    mine, theirs = module.state_dict(), other.state_dict()
    return all(type(value) is not Tensor or torch.equal(value, theirs[name]) for name, value in mine.items()) and all(
        value.device.type == "cpu" for value in (*mine.values(), *theirs.values())
    )


def test_training_gives_the_same_weights_on_a_gpu_and_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that was cut short after its first epoch continues from its checkpoint."""
    there: dict[str, Any] = {"settings": TrainSettings(epochs=2), "checkpoint": tmp_path / "gpu.ckpt"}
    expected = train(network(), samples(), settings=TrainSettings(epochs=2))
    with gpu_on_cpu(monkeypatch) as gpu:

        def cut(step: Any) -> None:
            if step.done == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(network(), samples(), device=gpu, progress=cut, **there)
        found = train(network(), samples(), device=gpu, output=tmp_path / "gpu.safetensors", **there)
    assert same(found.module, expected.module)
    assert found.accuracy == expected.accuracy
    again = train(network(), samples(), weights=tmp_path / "gpu.safetensors", settings=TrainSettings(epochs=0))
    assert same(again.module, expected.module)


@pytest.mark.parametrize(
    ("method", "granularity", "cost"),
    [("sensitivity", "nm", "params"), ("netadapt", "channels", "macs"), ("amc", "weights", "params")],
)
def test_a_search_finds_the_same_plan_and_fine_tuning_the_same_weights(
    method: Method, granularity: Granularity, cost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = 0.8 if granularity == "nm" else 0.5
    settings = SearchSettings(method=method, granularity=granularity, cost=cost, budget=budget, **SHORT)  # type: ignore[arg-type]
    tuning = FinetuneSettings(epochs=1, distil=True)
    here = search(network(), samples(), settings=settings, output=tmp_path / "cpu" / "plan.json")
    with gpu_on_cpu(monkeypatch) as gpu:
        there = search(network(), samples(), settings=settings, output=tmp_path / "gpu" / "plan.json", device=gpu)
        found = finetune(network(), samples(), plan=there, settings=tuning, device=gpu)
    expected = finetune(network(), samples(), plan=here, settings=tuning)
    assert there.plan == here.plan
    assert there.accuracy == here.accuracy
    assert same(found.module, expected.module)
    assert found.accuracy == expected.accuracy


@pytest.mark.parametrize("criterion", ["taylor", "random"])
def test_rounds_of_pruning_give_the_same_weights(criterion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = FinetuneSettings(
        epochs=1, criterion=criterion, schedule="iterative", rounds=2, regularise="growing", strength=1.0
    )
    expected = finetune(network(), samples(), compression=2, settings=settings)
    with gpu_on_cpu(monkeypatch) as gpu:
        found = finetune(network(), samples(), compression=2, settings=settings, device=gpu)
    assert same(found.module, expected.module)


def test_a_comparison_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CompareSettings(
        search=SearchSettings(cost="params", amc=AmcSettings(episodes=8, warm_up=4), netadapt=SHORT["netadapt"]),  # type: ignore[arg-type]
        seeds=1,
        tunings=1,
        epochs=1,
    )
    here = compare(network(), samples(), settings=settings, output=tmp_path / "cpu" / "compared.json")
    with gpu_on_cpu(monkeypatch) as gpu:
        there = compare(network(), samples(), settings=settings, output=tmp_path / "gpu" / "compared.json", device=gpu)
    for name, policy in here.budgets[0]["policies"].items():
        assert [trial["after"] for trial in there.budgets[0]["policies"][name]["trials"]] == [
            trial["after"] for trial in policy["trials"]
        ]


def test_a_search_that_was_begun_on_the_cpu_does_not_go_on_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SearchSettings(method="sensitivity", cost="params")
    search(network(), samples(), settings=settings, output=tmp_path / "plan.json")
    with gpu_on_cpu(monkeypatch) as gpu, pytest.raises(ValueError, match="another search"):
        search(network(), samples(), settings=settings, output=tmp_path / "plan.json", device=gpu, resume=True)


def test_only_a_network_that_is_elsewhere_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Linear(2, 2)
    assert moved(network, CPU) is network
    with gpu_on_cpu(monkeypatch) as gpu:
        there = moved(network, gpu)
        assert there is not network
        assert moved(there, gpu) is there
        assert {value.device.type for value in there.parameters()} == {"gpu"}
        assert torch.equal(moved(there, CPU).weight, network.weight)
