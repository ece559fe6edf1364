"""Networks as users bring them: trained, searched, fine-tuned, compiled and simulated on both cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.users_networks import NETWORKS, Brought, OfficialMnist, images
from torch import Tensor, nn
from torch.nn import functional as F

import zeroskip
from zeroskip.model.eie.shared import to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold

CORES = {
    # (granularity, sizes of the cost, settings, largest difference of outputs from those of the float network with the
    # core's weights, as a fraction of the largest output).
    "eie": ("weights", {"pes": 2}, zeroskip.EieCompileSettings(pes=2), 0.03),
    "mma": ("nm", {}, None, 0.005),
}

SLOW = {("eie", "official mnist"), ("eie", "depthwise"), ("eie", "wrapped"), ("mma", "official mnist")}
CASES = [
    pytest.param(name, core, name, marks=[pytest.mark.slow] if (core, name) in SLOW else [], id=f"{core}-{name}")
    for name in NETWORKS
    for core in CORES
]


def float_outputs(core: str, module: nn.Module, softmax: str | None, inputs: Tensor) -> Tensor:
    """What torch gives, without its softmax at the end; on the EIE array every weight is one of 15 values."""
    if core == "eie":
        module = to_module(share_layers(fold(module, inputs)))
        inputs = inputs.flatten(1) if isinstance(module[0], nn.Linear) else inputs
        softmax = None
    with torch.no_grad():
        outputs = module(inputs).flatten(1)
    return outputs.log() if softmax == "softmax" else outputs


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest) -> zeroskip.Trained:
    brought: Brought = NETWORKS[request.param]
    torch.manual_seed(0)
    return zeroskip.train(brought.make(), brought.data(), settings=zeroskip.TrainSettings(epochs=8))


@pytest.mark.parametrize(("trained", "core", "name"), CASES, indirect=["trained"])
def test_from_training_to_the_rtl(trained: zeroskip.Trained, core: str, name: str) -> None:
    """Each step on the result of the one before it: training, search, fine-tuning, compiling, and then the RTL."""
    brought = NETWORKS[name]
    granularity, sizes, own, bound = CORES[core]
    inputs, labels = (values[:900] for values in brought.data())
    assert trained.accuracy["trained"] >= 0.8

    settings = zeroskip.SearchSettings(
        method="sensitivity", granularity=granularity, cost=f"{core}-cycles", sizes=sizes, budget=brought.budget[core]
    )
    found = zeroskip.search(trained.module, (inputs, labels), settings=settings)
    assert found.cost["exact"] is not None
    assert found.cost["exact"] < found.cost["exact_dense"]
    tuned = zeroskip.finetune(
        trained.module, (inputs, labels), plan=found, settings=zeroskip.FinetuneSettings(epochs=2)
    )
    assert tuned.accuracy["finetuned"] >= trained.accuracy["trained"] - 0.1

    compiled = zeroskip.compile(tuned.module, (inputs, labels), settings=zeroskip.CompileSettings(core=core, own=own))
    assert (compiled.left_out or "None").split(" ")[0] == str(brought.softmax)
    # Like with like: the golden model has the weights of the step before it, in its own number format.
    before = compiled.accuracy.get("shared", tuned.accuracy["finetuned"])
    assert abs(compiled.accuracy["golden"] - before) <= (0.02 if "shared" in compiled.accuracy else 0.1)

    run = zeroskip.simulate(compiled, (inputs, labels), settings=zeroskip.SimulateSettings(limit=3))
    assert run.equal
    wanted = float_outputs(core, tuned.module, brought.softmax, torch.from_numpy(inputs[:3]))
    outputs = torch.from_numpy(np.asarray(run.outputs, np.float32))
    if core == "mma" and brought.softmax is not None:
        # Like with like: torch's outputs are log-probabilities.
        outputs = F.log_softmax(outputs, 1)
    assert (outputs - wanted).abs().max() <= bound * wanted.abs().max()
    assert torch.equal(outputs.argmax(1), wanted.argmax(1))


def test_weights_of_a_wrapped_network_are_those_of_the_network(tmp_path: Path) -> None:
    """Saved without the wrappers' names; loaded with or without them, into a network with or without them."""
    brought = NETWORKS["wrapped"]
    features = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2))
    plain = nn.Sequential(features, nn.Flatten(), nn.Linear(54, 10))
    first = zeroskip.train(
        brought.make(), brought.data(), settings=zeroskip.TrainSettings(epochs=1), output=tmp_path / "w.safetensors"
    )
    state = load_file(tmp_path / "w.safetensors")
    assert list(sorted(state)) == sorted(plain.state_dict())
    settings = zeroskip.TrainSettings(epochs=0)
    for network in (plain, nn.DataParallel(plain), brought.make()):
        again = zeroskip.train(network, brought.data(), weights=tmp_path / "w.safetensors", settings=settings)
        assert all(torch.equal(value, state[name]) for name, value in again.module.state_dict().items())
        assert again.accuracy["start"] == first.accuracy["trained"]


def test_a_softmax_trains_like_log_softmax_and_logits() -> None:
    """All three have the same loss, so that training differs by rounding alone."""
    data = NETWORKS["jets, norm before ReLU"].data()
    ends: list[Any] = [nn.Identity(), nn.LogSoftmax(dim=1), nn.Softmax(dim=1)]
    states = []
    for end in ends:
        torch.manual_seed(3)
        network = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5), end)
        states.append(zeroskip.train(network, data, settings=zeroskip.TrainSettings(epochs=3)).module.state_dict())
    for other in states[1:]:
        for name, value in states[0].items():
            torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("core", CORES)
def test_a_guard_tells_samples_of_another_shape(core: str) -> None:
    inputs, labels = images(16)
    settings = zeroskip.CompileSettings(core=core)
    with pytest.raises(ValueError, match=r"ValueError: images must be 8 x 8, not \(16, 16\); give it samples of "):
        zeroskip.compile(NETWORKS["guarded"].make(), (inputs, labels), settings=settings)


def test_outputs_of_more_than_one_value_a_class_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 10, 3))
    with pytest.raises(ValueError, match=r"not the shape \(2, 10, 6, 6\); average over height and width"):
        zeroskip.train(network, images(8), settings=zeroskip.TrainSettings(epochs=1))


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
def test_the_official_network_in_its_own_size(core: str) -> None:
    inputs, labels = images(28)
    torch.manual_seed(0)
    settings = zeroskip.TrainSettings(epochs=2, learning_rate=0.02)
    trained = zeroskip.train(OfficialMnist(), (inputs, labels), settings=settings)
    assert trained.accuracy["trained"] >= 0.85
    tuned = zeroskip.finetune(
        trained.module, (inputs, labels), compression=4, settings=zeroskip.FinetuneSettings(epochs=1)
    )
    compiled = zeroskip.compile(
        tuned.module, (inputs[:200], labels[:200]), settings=zeroskip.CompileSettings(core=core)
    )
    assert compiled.left_out is not None
    run = zeroskip.simulate(compiled, (inputs, labels), settings=zeroskip.SimulateSettings(limit=1))
    assert run.equal
