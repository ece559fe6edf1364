"""`zeroskip.search` and `zeroskip.finetune` as a notebook calls them: modules and arrays in, results out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip
from zeroskip.model.cores import CORES
from zeroskip.model.progress import Step
from zeroskip.model.search.settings import AmcSettings, NetAdaptSettings

ARRAY, TILE = list(CORES)[:2]
SHORT = AmcSettings(episodes=12, warm_up=4)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(4, 12))
    labels = rng.integers(0, 4, 200)
    return (centres[labels] + 0.4 * rng.normal(size=(200, 12))).astype(np.float32), labels


@pytest.fixture(scope="module")
def trained(data: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))
    return zeroskip.train(module, data, settings=zeroskip.TrainSettings(epochs=8)).module


def settings(**fields: object) -> zeroskip.SearchSettings:
    return zeroskip.SearchSettings(method="amc", cost="macs", budget=0.4, amc=SHORT, **fields)  # type: ignore[arg-type]


def test_search_and_finetune_without_files(
    trained: nn.Module, data: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a module and arrays to a pruned module; nothing is written, and the module given is not changed."""
    monkeypatch.chdir(tmp_path)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    found = zeroskip.search(trained, data, settings=settings())
    assert found.plan.reached <= 0.4
    tuned = zeroskip.finetune(trained, data, plan=found.plan, settings=zeroskip.FinetuneSettings(epochs=3))
    by_result = zeroskip.finetune(trained, data, plan=found, settings=zeroskip.FinetuneSettings(epochs=3))
    assert by_result.accuracy == tuned.accuracy
    kept = sum(int(part.weight.count_nonzero()) for part in tuned.module if isinstance(part, nn.Linear))
    assert kept == tuned.kept
    assert kept / tuned.total == pytest.approx(found.density, abs=0.01)
    assert tuned.accuracy["finetuned"] >= 0.9
    assert [*tmp_path.iterdir()] == []
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())


def test_netadapts_plan_goes_on_from_its_weights(
    trained: nn.Module, data: tuple[np.ndarray, np.ndarray], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """From the result and from its files, unless it is told otherwise, trains in rounds, or the weights are others."""
    netadapt = NetAdaptSettings(step=0.2, iterations=5)
    wanted = zeroskip.SearchSettings(method="netadapt", cost="macs", budget=0.4, netadapt=netadapt)
    output = tmp_path / "plan.json"
    found = zeroskip.search(trained, data, settings=wanted, output=output)
    assert found.adapted is not None
    adapted = found.adapted.state_dict()

    def tuned(network: nn.Module, plan: Any, **fields: Any) -> zeroskip.Finetuned:
        return zeroskip.finetune(network, data, plan=plan, settings=zeroskip.FinetuneSettings(epochs=0, **fields))

    for plan in (found, output):
        result = tuned(trained, plan)
        assert result.adapted
        assert all(torch.equal(value, adapted[name]) for name, value in result.module.state_dict().items())
        for fields in ({"from_dense": True}, {"schedule": "iterative", "rounds": 2}, {"train_epochs": 1}):
            assert not tuned(trained, plan, **fields).adapted
        kept = tuned(trained, plan, from_dense=True, refit=False).module.get_parameter("0.weight")
        assert torch.equal(kept[kept != 0], trained.get_parameter("0.weight")[kept != 0])
    assert not tuned(trained, found.plan).adapted
    same = tuned(found.adapted, output)
    assert torch.equal(same.module.get_parameter("0.weight"), adapted["0.weight"])
    assert not recwarn
    other = copy.deepcopy(trained)
    with torch.no_grad():
        other.get_parameter("0.bias").add_(1e-3)
    with pytest.warns(UserWarning, match=r"plan\.adapted\.safetensors were trained from other weights than the given"):
        assert not tuned(other, output).adapted


def test_tensors_are_data_too(trained: nn.Module, data: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, labels = data
    tensors = torch.from_numpy(inputs), torch.from_numpy(labels)
    by_arrays, by_tensors = (zeroskip.search(trained, given, settings=settings()) for given in (data, tensors))
    assert by_tensors.plan == by_arrays.plan


def test_files_where_an_output_is_given(
    trained: nn.Module, data: tuple[np.ndarray, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A second search measures nothing anew, and says where the accuracies came from."""
    output = tmp_path / "plan.json"
    first = zeroskip.search(trained, data, settings=settings(), output=output)
    assert output in tmp_path.iterdir()
    assert all(path.stat().st_size for path in first.files)
    with caplog.at_level("INFO", logger="zeroskip"):
        again = zeroskip.search(trained, data, settings=settings(), output=output)
    assert (again.evaluations, again.plan) == (0, first.plan)
    assert f"{again.reused} accuracies reused from {tmp_path / '.search/accuracies.sqlite'}" in caplog.messages


def test_progress_begins_before_the_network_is_loaded(data: tuple[np.ndarray, np.ndarray]) -> None:
    steps: list[Step] = []
    with pytest.raises(ValueError, match="nothing"):
        zeroskip.search("nothing:there", data, settings=settings(), progress=steps.append)
    assert [step.task for step in steps] == ["loading the network"]


def test_threads_are_as_before(trained: nn.Module, data: tuple[np.ndarray, np.ndarray]) -> None:
    threads = torch.get_num_threads()
    zeroskip.search(trained, data, settings=settings())
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sizes": {"pes": 4}}, "sizes mean nothing with the cost 'macs', which counts no cycles of a core"),
        ({"granularity": "rows"}, "granularity must be one of weights, nm, channels, not 'rows'"),
    ],
)
def test_settings_that_mean_nothing(
    trained: nn.Module, data: tuple[np.ndarray, np.ndarray], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        zeroskip.search(trained, data, settings=settings(**fields))


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (np.full((20, 12), np.nan), np.zeros(20, int), "inputs must be finite in float32, but hold NaN or infinity"),
        (np.zeros(20), np.zeros(20, int), r"inputs must be real numbers \(samples, ...\), .*, not float64 \(20,\)"),
        (np.zeros((0, 12)), np.zeros(0, int), r"at least one sample, not float64 \(0, 12\)"),
        (np.zeros((20, 12)), np.zeros(20), "labels must hold integers, not float64"),
        (np.zeros((20, 12)), np.full(20, -1), "labels must be class numbers from 0, not -1 at 0"),
        (
            np.zeros((20, 12)),
            np.zeros(19, int),
            r"labels must have the shape \(20,\), one for each sample, not \(19,\)",
        ),
    ],
)
def test_arrays_that_are_no_data(trained: nn.Module, inputs: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zeroskip.search(trained, (inputs, labels), settings=settings())


@pytest.mark.parametrize("given", [[[1.0], [0]], np.zeros((20, 12)), (1, 2, 3)], ids=["list", "array", "triple"])
def test_data_of_another_kind(trained: nn.Module, given: object) -> None:
    with pytest.raises(ValueError, match=r"^data must be a Dataset, the path of a file, the name of a data set or"):
        zeroskip.search(trained, given, settings=settings())  # type: ignore[arg-type]


def test_resume_needs_an_output(trained: nn.Module, data: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="resume needs an output: the journal is kept next to it"):
        zeroskip.search(trained, data, settings=settings(), resume=True)


@pytest.mark.parametrize("target", [{}, {"plan": "plan.json", "compression": 2.0}])
def test_finetune_needs_one_target(
    trained: nn.Module, data: tuple[np.ndarray, np.ndarray], target: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="either a plan or a compression ratio must be given, and not both"):
        zeroskip.finetune(trained, data, **target)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cost", "granularity", "names"),
    [
        ("eie-cycles", "weights", [ARRAY]),
        ("mma-cycles", "nm", [TILE]),
        ("bytes", "weights", [ARRAY]),
        ("bytes", "nm", [TILE]),
        ("bytes", "channels", [TILE]),
        ("macs", "weights", []),
        ("latency", "channels", []),
    ],
)
def test_a_search_loads_the_core_of_its_cost_alone(cost: str, granularity: str, names: list[str]) -> None:
    given = zeroskip.SearchSettings(cost=cost, granularity=granularity)  # type: ignore[arg-type]
    assert list(given.geometries()) == names
