"""The number types of weights files and networks: four are taken, all others refused by name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.ao.nn import quantized

import zeroskip
from zeroskip.model.cores import CORES
from zeroskip.model.loading import load_weights

INPUTS = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, 3, 20)


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).eval()


def written(folder: Path, **changes: Tensor) -> Path:
    """A file of the network's weights, some of them changed."""
    path = folder / "weights.safetensors"
    save_file({**network().state_dict(), **{name.replace("__", "."): value for name, value in changes.items()}}, path)
    return path


CONVERTED = [torch.float16, torch.bfloat16, torch.float64]
REFUSED = [
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
    torch.complex64,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
]


@pytest.mark.parametrize("kind", CONVERTED, ids=str)
def test_types_of_a_file_that_are_converted(kind: torch.dtype, tmp_path: Path) -> None:
    values = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(6, 4).to(kind)
    name = str(kind).removeprefix("torch.")
    path = written(tmp_path, **{"0__weight": values, "3__bias": torch.tensor([0.5, 1, 2], dtype=kind)})

    message = f"{path}: {name} is converted to float32 (0.weight and 1 more)"
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        loaded = load_weights(network(), path)
    assert len(caught) == 1
    weight = loaded.get_parameter("0.weight")
    assert weight.dtype == torch.float32
    # numpy rounds here; it does not know bfloat16, whose values float32 holds exactly.
    expected = values.float().numpy() if kind == torch.bfloat16 else values.numpy().astype(np.float32)
    assert np.array_equal(weight.detach().numpy(), expected)


@pytest.mark.parametrize("kind", REFUSED, ids=str)
def test_types_of_a_file_that_are_refused(kind: torch.dtype, tmp_path: Path) -> None:
    path = written(tmp_path, **{"3__weight": torch.ones(3, 6).to(kind)})
    message = (
        f"{path}: 3.weight must be float32 (or float16, bfloat16, float64, which are converted), "
        f"not {str(kind).removeprefix('torch.')}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        load_weights(network(), path)


def test_codes_are_to_be_multiplied_by_their_scales(tmp_path: Path) -> None:
    path = written(tmp_path, **{"0__weight": torch.ones(6, 4, dtype=torch.int8)})
    with pytest.raises(ValueError, match=r"not int8; these are quantised codes: multiply them by their scales first"):
        load_weights(network(), path)


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8], ids=str)
def test_whole_numbers_of_buffers(kind: torch.dtype, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_weights(network(), written(tmp_path, **{"1__num_batches_tracked": torch.tensor(7, dtype=kind)}))
    assert loaded.get_buffer("1.num_batches_tracked").item() == 7


def test_a_buffer_of_whole_numbers_takes_no_others(tmp_path: Path) -> None:
    path = written(tmp_path, **{"1__num_batches_tracked": torch.tensor(7.5)})
    with pytest.raises(ValueError, match=re.escape(f"{path}: 1.num_batches_tracked must be torch.int64, not")):
        load_weights(network(), path)


def test_float64_beyond_float32(tmp_path: Path) -> None:
    path = written(tmp_path, **{"0__bias": torch.full((6,), 1e39, dtype=torch.float64)})
    with (
        pytest.warns(UserWarning, match="float64 is converted"),
        pytest.raises(ValueError, match=re.escape(f"{path}: 0.bias must be finite in float32")),
    ):
        load_weights(network(), path)


CALLS: dict[str, Callable[[nn.Module], object]] = {
    "train": lambda module: zeroskip.train(module, (INPUTS, LABELS), settings=zeroskip.TrainSettings(epochs=1)).module,
    "finetune": lambda module: (
        zeroskip.finetune(module, (INPUTS, LABELS), compression=2, settings=zeroskip.FinetuneSettings(epochs=1)).module
    ),
    "search": lambda module: zeroskip.search(
        module, (INPUTS, LABELS), settings=zeroskip.SearchSettings(method="sensitivity", cost="macs")
    ),
    **{
        f"compile {core}": lambda module, core=core: zeroskip.compile(
            module, (INPUTS, LABELS), settings=zeroskip.CompileSettings(core=core)
        )
        for core in CORES
    },
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", CONVERTED, ids=str)
def test_networks_that_are_converted(name: str, kind: torch.dtype) -> None:
    module = network().to(kind)
    message = f"the network: {str(kind).removeprefix('torch.')} is converted to float32 (0.weight and 7 more)"
    with pytest.warns(UserWarning, match=re.escape(message)):
        CALLS[name](module)
    assert module.get_parameter("0.weight").dtype == kind


def test_a_converted_network_is_trained_in_float32(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="float16 is converted"):
        zeroskip.train(
            network().half(),
            (INPUTS, LABELS),
            settings=zeroskip.TrainSettings(epochs=1),
            output=tmp_path / "trained.safetensors",
        )
    kinds = {name: value.dtype for name, value in load_file(tmp_path / "trained.safetensors").items()}
    assert kinds.pop("1.num_batches_tracked") == torch.int64
    assert set(kinds.values()) == {torch.float32}


def with_parameter(value: Tensor) -> nn.Module:
    module = network()
    module[0].weight = nn.Parameter(value, requires_grad=False)
    return module


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return network()


def with_value(name: str, value: float) -> nn.Module:
    module = network()
    module.state_dict()[name].view(-1)[-1] = value
    return module


def with_quantised_layer() -> nn.Module:
    module = network()
    module[3] = quantized.Linear(6, 3)
    return module


class WithBuffer(nn.Module):
    def __init__(self, buffer: Tensor) -> None:
        super().__init__()
        self.layers = network()
        self.register_buffer("mine", buffer)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


BAD: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "int8": (
        lambda: with_parameter(torch.ones(6, 4, dtype=torch.int8)),
        "parameter '0.weight' must be float32 (or float16, bfloat16, float64, which are converted), not int8",
    ),
    "complex": (
        lambda: with_parameter(torch.ones(6, 4, dtype=torch.complex64)),
        "parameter '0.weight' must be float32 (or float16, bfloat16, float64, which are converted), not complex64",
    ),
    "float8": (
        lambda: with_parameter(torch.ones(6, 4).to(torch.float8_e5m2)),
        "parameter '0.weight' must be float32 (or float16, bfloat16, float64, which are converted), not float8_e5m2",
    ),
    "complex buffer": (
        lambda: WithBuffer(torch.ones(2, dtype=torch.complex64)),
        "buffer 'mine' must be float32 (or float16, bfloat16, float64, which are converted), not complex64",
    ),
    "sparse": (lambda: with_parameter(torch.eye(6, 4).to_sparse()), "'0.weight' must be a dense tensor, not torch.sp"),
    "meta": (on_meta, "parameter '0.weight' must have values, but is on the device 'meta'"),
    "lazy": (
        lambda: nn.Sequential(nn.LazyLinear(3)),
        "parameter '0.weight' must have values, but its layer is lazy: run the network once on a sample first",
    ),
    "quantised": (
        with_quantised_layer,
        "layer '3' must be a layer of floating-point numbers, not torch.ao.nn.quantized.modules.linear.Linear",
    ),
    "NaN": (
        lambda: with_value("3.bias", float("nan")),
        "'3.bias' of the network must be finite in float32, but",
    ),
    "infinity": (
        lambda: with_value("0.weight", float("-inf")),
        "'0.weight' of the network must be finite in float32",
    ),
    "variance": (lambda: with_value("1.running_var", float("inf")), "'1.running_var' of the network must be finite"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("bad", BAD)
def test_networks_that_are_refused(name: str, bad: str) -> None:
    make, message = BAD[bad]
    with pytest.raises(ValueError, match=re.escape(message)):
        CALLS[name](make())


def test_a_buffer_of_whole_numbers_is_no_weight() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zeroskip.train(WithBuffer(torch.arange(3)), (INPUTS, LABELS), settings=zeroskip.TrainSettings(epochs=1))
