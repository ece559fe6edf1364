"""Samples of another shape or range than those that a network was made with: refused, or warned of, everywhere."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip
from zeroskip.model.cores import CORES, load_core
from zeroskip.model.network.container import read

IMAGES = np.random.default_rng(1).random((20, 3, 4, 5), np.float32)
LABELS = np.random.default_rng(2).integers(0, 3, 20)
LAST = IMAGES.transpose(0, 2, 3, 1)
"""The same images, channels last."""
NAMED = r"look like samples x height x width x channels: use inputs\.transpose\(0, 3, 1, 2\)"


def convolutions() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 2 * 3, 3)).eval()


def flattening() -> nn.Module:
    """Takes any images of 60 values, so that only the file says which they were."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(60, 3)).eval()


def settings(core: str) -> zeroskip.CompileSettings:
    return zeroskip.CompileSettings(core=core)


@pytest.mark.parametrize("make", [convolutions, flattening])
@pytest.mark.parametrize("core", CORES)
def test_the_file_keeps_shape_and_range(core: str, make: Callable[[], nn.Module], tmp_path: Path) -> None:
    path = tmp_path / "net.zs"
    zeroskip.compile(make(), (IMAGES, LABELS), settings=settings(core), output=path)
    samples = load_core(core).from_container(read(path)).samples

    assert samples is not None
    assert (samples.shape, samples.low, samples.high) == ((3, 4, 5), float(IMAGES.min()), float(IMAGES.max()))


@pytest.mark.parametrize("make", [convolutions, flattening])
@pytest.mark.parametrize("core", CORES)
def test_channels_last(core: str, make: Callable[[], nn.Module], tmp_path: Path) -> None:
    compiled = zeroskip.compile(make(), (IMAGES, LABELS), settings=settings(core), output=tmp_path / "net.zs")

    np.savez(tmp_path / "last.npz", inputs=LAST, labels=LABELS)
    for network in (compiled, compiled.network, tmp_path / "net.zs"):
        with pytest.raises(ValueError, match=rf"last\.npz: inputs must be samples x 3 x 4 x 5, .* {NAMED}"):
            zeroskip.simulate(network, tmp_path / "last.npz")
    with pytest.raises(ValueError, match=NAMED):
        load_core(core).outputs(compiled.network, LAST)


@pytest.mark.parametrize("core", CORES)
def test_flat_samples_of_images(core: str) -> None:
    compiled = zeroskip.compile(convolutions(), (IMAGES, LABELS), settings=settings(core))
    with pytest.raises(ValueError, match=r"use inputs\.reshape\(-1, 3, 4, 5\)"):
        zeroskip.simulate(compiled, (IMAGES.reshape(20, -1), LABELS))


@pytest.mark.parametrize("core", CORES)
def test_images_of_one_channel_for_flat_samples(core: str) -> None:
    """The named data sets have images, and networks for them that are trained on flat samples take these too."""
    flat = IMAGES.reshape(20, -1)
    compiled = zeroskip.compile(flattening(), (flat, LABELS), settings=settings(core))
    expected, found = (load_core(core).outputs(compiled.network, some) for some in (flat, flat.reshape(20, 1, 6, 10)))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("core", CORES)
def test_convolutions_are_not_compiled_for_channels_last(core: str) -> None:
    with pytest.raises(ValueError, match=f"inputs must be samples x 3 channels x height x width, .*{NAMED}"):
        zeroskip.compile(convolutions(), (LAST, LABELS), settings=settings(core))


@pytest.mark.parametrize("function", [zeroskip.train, zeroskip.search, zeroskip.finetune])
def test_convolutions_are_not_trained_on_channels_last(function: Callable[..., object]) -> None:
    target = {"compression": 2.0} if function is zeroskip.finetune else {}
    with pytest.raises(ValueError, match=rf"inputs of shape \(2, 4, 5, 3\) do not fit the network: .*{NAMED}"):
        function(convolutions(), (LAST, LABELS), **target)


Call = Callable[[Path, Any, Path], object]

CALLS: dict[str, Call] = {
    "train": lambda weights, data, folder: zeroskip.train(
        flattening(), data, weights=weights, settings=zeroskip.TrainSettings(epochs=1)
    ),
    "search": lambda weights, data, folder: zeroskip.search(
        flattening(), data, weights=weights, settings=zeroskip.SearchSettings(method="sensitivity", cost="macs")
    ),
    "compare": lambda weights, data, folder: zeroskip.compare(
        flattening(), data, weights=weights, output=folder / "compare.json"
    ),
    "finetune": lambda weights, data, folder: zeroskip.finetune(
        flattening(), data, weights=weights, compression=2, settings=zeroskip.FinetuneSettings(epochs=1)
    ),
    **{
        f"compile {core}": lambda weights, data, folder, core=core: zeroskip.compile(
            flattening(), data, weights=weights, settings=settings(core)
        )
        for core in CORES
    },
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that were trained on IMAGES."""
    path = tmp_path_factory.mktemp("weights") / "dense.safetensors"
    zeroskip.train(flattening(), (IMAGES, LABELS), settings=zeroskip.TrainSettings(epochs=1), output=path)
    return path


@pytest.mark.parametrize("name", CALLS)
def test_weights_know_the_shape(name: str, weights: Path, tmp_path: Path) -> None:
    """Channels last in, and only the weights' file can tell it: the network takes both."""
    with pytest.raises(ValueError, match=f"inputs must be samples x 3 x 4 x 5, .* {NAMED}"):
        CALLS[name](weights, (LAST, LABELS), tmp_path)


RANGES = r"inputs are from [\d.]+ to 25\d.*, but the network was made with values from [\d.e-]+ to 0\.\d+; scale"


@pytest.mark.parametrize("name", [name for name in CALLS if name != "compare"])
def test_weights_know_the_range(name: str, weights: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=RANGES):
        CALLS[name](weights, (IMAGES * 255, LABELS), tmp_path)


@pytest.mark.parametrize("core", CORES)
def test_the_result_says_so_where_python_shows_the_warning_once(core: str, weights: Path, tmp_path: Path) -> None:
    """A notebook that compiles again sees the warning no more, but each result has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CALLS[f"compile {core}"](weights, (IMAGES * 255, LABELS), tmp_path)
    told = result.summary()["warnings"]
    assert len([one for one in told if re.search(RANGES, one)]) == 1


def test_fine_tuned_weights_know_them_too(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "tuned.safetensors"
    fine = zeroskip.FinetuneSettings(epochs=1)
    zeroskip.finetune(flattening(), (IMAGES, LABELS), weights=weights, compression=2, settings=fine, output=path)
    with pytest.raises(ValueError, match=NAMED):
        zeroskip.compile(flattening(), (LAST, LABELS), weights=path)


@pytest.mark.parametrize("core", CORES)
def test_simulate_warns_of_another_range(core: str) -> None:
    compiled = zeroskip.compile(convolutions(), (IMAGES, LABELS), settings=settings(core))
    run = zeroskip.SimulateSettings(saturate=True, limit=2)
    with pytest.warns(UserWarning, match=RANGES) as told:
        result = zeroskip.simulate(compiled, (IMAGES * 255, LABELS), settings=run)
    assert result.summary()["warnings"] == [str(one.message) for one in told]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert zeroskip.simulate(compiled, (IMAGES, LABELS), settings=run).summary()["warnings"] == []
