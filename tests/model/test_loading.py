"""Weights of a network whose channels were removed: loaded into the factory's network, and compiled."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.eie import golden
from zeroskip.model.eie.compiler import compile_network, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.shared import to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.loading import adapted_from, load_weights, require_savable, save_weights, trained_with
from zeroskip.model.network.fold import fold
from zeroskip.model.network.samples import SampleForm


class Tutorial(nn.Module):
    """The network of PyTorch's "Training a Classifier", for 3x32x32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, 16 * 5 * 5)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def sliced(state: dict[str, Tensor], first: list[int], second: list[int], hidden: list[int]) -> dict[str, Tensor]:
    """The weights with these channels of the convolutions, and these outputs of the first Linear, alone."""
    columns = torch.arange(400).reshape(16, 25)[second].flatten()
    return {
        **state,
        "conv1.weight": state["conv1.weight"][first],
        "conv1.bias": state["conv1.bias"][first],
        "conv2.weight": state["conv2.weight"][second][:, first],
        "conv2.bias": state["conv2.bias"][second],
        "fc1.weight": state["fc1.weight"][hidden][:, columns],
        "fc1.bias": state["fc1.bias"][hidden],
        "fc2.weight": state["fc2.weight"][:, hidden],
    }


KEPT = [0, 2, 5], [1, 2, 3, 7, 11, 13, 15], list(range(0, 120, 3))


def masked() -> tuple[Tutorial, dict[str, Tensor]]:
    """The network, its channels outside KEPT zero, and the weights without them: both compute the same."""
    torch.manual_seed(2)
    module = Tutorial()
    with torch.no_grad():
        for layer, kept in zip((module.conv1, module.conv2, module.fc1), KEPT, strict=True):
            gone = [channel for channel in range(len(layer.weight)) if channel not in kept]
            layer.weight[gone] = 0
            layer.bias[gone] = 0
    return module, sliced(module.state_dict(), *KEPT)


def save(state: dict[str, Tensor], path: Path, channels: str | None = "removed") -> Path:
    contiguous = {name: value.contiguous() for name, value in state.items()}
    save_file(contiguous, path, metadata=None if channels is None else {"zeroskip-channels": channels})
    return path


def test_a_network_without_channels_runs_and_compiles(tmp_path: Path) -> None:
    module, state = masked()
    smaller = load_weights(Tutorial(), save(state, tmp_path / "smaller.safetensors"))
    images = torch.randn(20, 3, 32, 32)
    expected = module(images).detach()
    torch.testing.assert_close(smaller(images).detach(), expected, rtol=1e-4, atol=1e-5)
    assert [tuple(value.shape) for value in smaller.state_dict().values()] == [tuple(v.shape) for v in state.values()]

    parts = share_layers(fold(smaller))
    network = compile_network(parts, images.numpy(), EieGeometry(pes=4), fit=MEMORIES)
    outputs = [layer.outputs // positions for layer, positions in zip(network.layers, network.together, strict=True)]
    assert outputs == [3, 7, 40, 84, 10]
    found = float_outputs(network, golden.outputs(network, quantise_inputs(network, images.numpy())[0]))
    with torch.no_grad():
        shared = to_module(parts)(images).numpy()
    assert np.abs(found - shared).max() <= 0.01 * np.abs(shared).max()


def test_saved_weights_say_that_channels_were_removed(tmp_path: Path) -> None:
    _, state = masked()
    smaller = load_weights(Tutorial(), save(state, tmp_path / "a.safetensors"))
    save_weights(smaller, tmp_path / "b.safetensors", removed=True)
    again = load_weights(Tutorial(), tmp_path / "b.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())

    save_weights(smaller, tmp_path / "c.safetensors", removed=False)
    assert load_file(tmp_path / "c.safetensors").keys() == state.keys()
    message = "c.safetensors: conv1.weight must have the shape (6, 3, 5, 5), not (3, 3, 5, 5)"
    with pytest.raises(ValueError, match=re.escape(message)):
        load_weights(Tutorial(), tmp_path / "c.safetensors")


def test_whole_weights_leave_the_network_what_it_is(tmp_path: Path) -> None:
    module = Tutorial()
    save_weights(module, tmp_path / "whole.safetensors", removed=False)
    other = Tutorial()
    assert load_weights(other, tmp_path / "whole.safetensors") is other
    assert torch.equal(other.fc1.weight, module.fc1.weight)


@pytest.mark.parametrize(
    ("change", "channels", "message"),
    [
        (
            {"conv1.weight": torch.zeros(3, 3, 5, 4)},
            "removed",
            "layer 'conv1' (Conv2d): weight must be (6, 3, 5, 5) or",
        ),
        (
            {"fc1.weight": torch.zeros(40, 500)},
            "removed",
            "layer 'fc1' (Linear): weight must be (120, 400) or have few",
        ),
        ({"fc3.bias": torch.full((10,), torch.inf)}, "removed", "fc3.bias must be finite in float32, but holds NaN"),
        ({"more": torch.zeros(1)}, "removed", "has more, which the network does not have"),
        ({}, "some", "zeroskip-channels in its metadata must be 'removed' or not there, not 'some'"),
        ({}, None, "conv1.weight must have the shape (6, 3, 5, 5), not (3, 3, 5, 5)"),
    ],
)
def test_what_does_not_fit_is_told(
    tmp_path: Path, change: dict[str, Tensor], channels: str | None, message: str
) -> None:
    _, state = masked()
    path = save({**state, **change}, tmp_path / "wrong.safetensors", channels)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}"):
        load_weights(Tutorial(), path)


def test_channels_that_the_next_layer_misses_are_told(tmp_path: Path) -> None:
    _, state = masked()
    state["fc2.weight"] = state["fc2.weight"][:, 1:]
    smaller = load_weights(Tutorial(), save(state, tmp_path / "odd.safetensors"))
    with pytest.raises(ValueError, match=r"^layer 'fc2' takes 39 values, but the step before it gives 40$"):
        fold(smaller)


def tied() -> nn.Module:
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    network[2].weight = network[0].weight
    return network


def test_tied_weights_come_back(tmp_path: Path) -> None:
    """Both names are in the file, as other tools expect, and the network keeps its tie."""
    network = tied()
    save_weights(network, tmp_path / "w.safetensors", removed=False)
    state = load_file(tmp_path / "w.safetensors")
    assert sorted(state) == sorted(network.state_dict())
    loaded = load_weights(tied(), tmp_path / "w.safetensors")
    assert loaded[2].weight is loaded[0].weight
    x = torch.randn(5, 6)
    assert torch.equal(loaded(x), network(x))


def test_tied_weights_of_two_values(tmp_path: Path) -> None:
    state = {name: value.clone() for name, value in tied().state_dict().items()}
    state["2.weight"][1, 2] += 1
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"2.weight and 0.weight must be equal: they are one parameter"):
        load_weights(tied(), tmp_path / "w.safetensors")


def test_files_have_the_users_permissions(tmp_path: Path) -> None:
    """Other users may read them where the umask lets them."""
    before = os.umask(0o022)
    try:
        save_weights(nn.Linear(2, 2), tmp_path / "w.safetensors", removed=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "w.safetensors").stat().st_mode) == 0o644


class WithState(nn.Linear):
    """Keeps something in its state_dict that is not a tensor."""

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": 3}

    def set_extra_state(self, state: dict[str, int]) -> None:
        pass


def with_buffer(buffer: Tensor) -> nn.Module:
    module = nn.Linear(2, 2)
    module.register_buffer("table", buffer)
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (WithState(2, 2), "_extra_state of the network's state_dict must be a dense tensor, not dict"),
        (with_buffer(torch.eye(3).to_sparse()), "table .* must be a dense tensor, not torch.sparse_coo, cpu"),
        (with_buffer(torch.empty(3, device="meta")), "table .* must be a dense tensor, not torch.strided, meta"),
    ],
)
def test_what_cannot_be_saved(module: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_savable(module)


def test_what_can_be_saved(tmp_path: Path) -> None:
    """Views that safetensors itself refuses."""
    module = with_buffer(torch.arange(3.0).expand(4, 3).t())
    require_savable(module)
    save_weights(module, tmp_path / "w.safetensors", removed=False)
    assert torch.equal(load_file(tmp_path / "w.safetensors")["table"], torch.arange(3.0)[:, None].repeat(1, 4))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_weights_saved_from_a_wrapped_network(tmp_path: Path, prefix: str) -> None:
    """DataParallel and torch.compile put their own attribute before every name; here also before some alone."""
    module = Tutorial()
    names = list(module.state_dict())
    for changed in (names, names[::2]):
        state = {(prefix + name if name in changed else name): value for name, value in module.state_dict().items()}
        other = Tutorial()
        load_weights(other, save(state, tmp_path / "wrapped.safetensors", None))
        assert all(torch.equal(value, module.state_dict()[name]) for name, value in other.state_dict().items())


def test_weights_that_a_file_has_twice_are_refused(tmp_path: Path) -> None:
    state = dict(Tutorial().state_dict())
    state["module.fc3.bias"] = state["fc3.bias"] + 1
    path = save(state, tmp_path / "twice.safetensors", None)
    message = f"{path}: has fc3.bias and module.fc3.bias, which are both fc3.bias of the network"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_weights(Tutorial(), path)


def test_the_same_weights_give_the_same_file(tmp_path: Path) -> None:
    """safetensors writes metadata in a random order, another one each time."""
    torch.manual_seed(0)
    module = nn.Linear(3, 4)
    samples = SampleForm(shape=(3,), low=0.0, high=1.0)
    files = [tmp_path / f"{number}.safetensors" for number in range(20)]
    for file in files:
        save_weights(module, file, removed=True, samples=samples, adapted_from="abc")
    assert len({file.read_bytes() for file in files}) == 1
    with safe_open(files[0], framework="pt") as opened:
        assert set(opened.metadata()) == {"zeroskip-channels", "zeroskip-samples", "zeroskip-adapted-from"}
        assert torch.equal(opened.get_tensor("weight"), module.weight)
    assert trained_with(files[0]) == samples
    assert adapted_from(files[0]) == "abc"
