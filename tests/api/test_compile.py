"""`zeroskip.compile` as a notebook calls it: what it takes, and one form of result for every core."""

from __future__ import annotations

import dataclasses
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.multiplying import KINDS
from support.multiplying import dataset as sequences
from torch import nn

import zeroskip
from zeroskip.model.cores import CORES, load_core
from zeroskip.model.data.dataset import Dataset
from zeroskip.model.network.container import read
from zeroskip.model.progress import Step


def _module() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def _dataset() -> Dataset:
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(60, 12)).astype(np.float32)
    labels = np.abs(inputs[:, :3]).argmax(axis=1).astype(np.int64)
    return Dataset(
        name="made up",
        train_inputs=inputs[:40],
        train_labels=labels[:40],
        test_inputs=inputs[40:],
        test_labels=labels[40:],
    )


def _support(core: str) -> Any:
    """The settings of a core for these tests."""
    return import_module(f"support.{core}_settings")


def _pruning(core: str) -> zeroskip.CompileSettings:
    return zeroskip.CompileSettings(core=core, own=_support(core).PRUNING, epochs=1)


@pytest.mark.parametrize("core", CORES)
def test_the_summary_has_the_same_keys_for_every_core(core: str) -> None:
    summary = zeroskip.compile(_module(), _dataset(), settings=_pruning(core)).summary()

    kinds = {name: type(value) for name, value in summary.items()}
    assert kinds == {
        "output": type(None),
        "core": str,
        "geometry": dict,
        "layers": list,
        "accuracy": dict,
        "perplexity": type(None),
        "golden_images": int,
        "test_images": int,
        "saturated": dict,
        "warnings": list,
        "lost": list,
        "weights": dict,
        "bits": dict,
        "left_out": type(None),
        "seconds": float,
    }
    assert all({"inputs", "outputs", "relu"} <= set(layer) for layer in summary["layers"])
    assert list(summary["weights"]) == ["total", "kept", "ratio", "rounded_to_zero"]
    assert list(summary["bits"]) == ["dense", "image", "ratio"]
    assert json.loads(json.dumps(summary)) == summary


@pytest.mark.parametrize("core", CORES)
def test_weights_and_accuracies_are_those_of_the_pruned_network(core: str) -> None:
    compiled = zeroskip.compile(_module(), _dataset(), settings=_pruning(core))

    # 12 x 8 + 8 x 3 weights, half of them kept by either setting.
    assert (compiled.total, compiled.kept) == (120, 60)
    assert {"dense", "pruned", "golden"} < set(compiled.accuracy)
    assert all(0 <= value <= 1 for value in compiled.accuracy.values())
    assert dict(compiled.rows())["weights kept"] == "60 of 120"


@pytest.mark.parametrize("core", CORES)
def test_weights_of_recurrent_layers_are_pruned_and_counted(core: str) -> None:
    network, data = KINDS["LSTM"].network(), sequences()
    # Channels of a recurrent layer are not permuted.
    own = dataclasses.replace(_support(core).PRUNING, **({"permute": False} if core == "mma" else {}))
    dense = zeroskip.compile(network, data, settings=zeroskip.CompileSettings(core=core))
    pruned = zeroskip.compile(network, data, settings=zeroskip.CompileSettings(core=core, own=own))

    # Four gates of 4 values from 8 inputs and 4 states, and 3 classes.
    assert (dense.total, dense.kept) == (16 * (8 + 4) + 3 * 4, 204)
    assert (pruned.total, pruned.kept) == (204, 102)


@pytest.mark.parametrize("core", CORES)
def test_a_saved_network_is_the_one_that_output_writes(core: str, tmp_path: Path) -> None:
    settings = zeroskip.CompileSettings(core=core)
    compiled = zeroskip.compile(_module(), _dataset(), settings=settings, output=tmp_path / "written.zs")
    compiled.save(tmp_path / "saved.zs")

    assert (tmp_path / "saved.zs").read_bytes() == (tmp_path / "written.zs").read_bytes()
    network = load_core(core).from_container(read(tmp_path / "saved.zs"))
    assert network.layers == compiled.network.layers


@pytest.mark.parametrize("core", CORES)
def test_arrays_without_labels_give_no_accuracy(core: str) -> None:
    inputs = _dataset().train_inputs
    compiled = zeroskip.compile(_module(), (inputs, None), settings=zeroskip.CompileSettings(core=core))

    assert compiled.accuracy == {}
    assert compiled.summary()["accuracy"] is None


@pytest.mark.parametrize("core", CORES)
def test_the_module_is_not_changed(core: str) -> None:
    module = _module()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    zeroskip.compile(module, _dataset(), settings=_pruning(core))

    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("core", CORES)
def test_the_number_of_threads_is_left_as_it_was(core: str) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        zeroskip.compile(_module(), _dataset(), settings=_pruning(core))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("core", CORES)
def test_training_needs_labels(core: str) -> None:
    with pytest.raises(ValueError, match="data must have labels where a network is trained"):
        zeroskip.compile(_module(), (_dataset().train_inputs, None), settings=_pruning(core))


@pytest.mark.parametrize("core", CORES)
def test_progress_names_what_takes_long(core: str) -> None:
    steps: list[Step] = []
    zeroskip.compile(_module(), _dataset(), settings=_pruning(core), progress=steps.append)

    assert {step.task for step in steps} >= _support(core).TASKS
    assert [step for step in steps if step.unit == "epochs"]


@pytest.mark.parametrize("core", CORES)
def test_a_run_that_was_cut_short_continues(core: str, tmp_path: Path) -> None:
    """Interrupted after an epoch and started again, it ends with the bytes of the run that was not."""
    arguments: dict[str, Any] = {"settings": _pruning(core)}
    whole = zeroskip.compile(_module(), _dataset(), output=tmp_path / "whole.zs", **arguments)

    def interrupt(step: Step) -> None:
        if step.unit == "epochs" and step.done == 1:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "net.ckpt"
    with pytest.raises(KeyboardInterrupt):
        zeroskip.compile(_module(), _dataset(), checkpoint=checkpoint, progress=interrupt, **arguments)
    assert checkpoint.exists()
    again = zeroskip.compile(_module(), _dataset(), checkpoint=checkpoint, output=tmp_path / "again.zs", **arguments)

    assert (tmp_path / "again.zs").read_bytes() == (tmp_path / "whole.zs").read_bytes()
    assert again.accuracy == whole.accuracy


@pytest.mark.parametrize(
    ("core", "own", "epochs", "message"),
    [(core, *contradiction) for core in CORES for contradiction in _support(core).CONTRADICTIONS],
)
def test_settings_that_contradict_one_another(core: str, own: Any, epochs: int, message: str) -> None:
    settings = zeroskip.CompileSettings(core=core, own=own, epochs=epochs)
    with pytest.raises(ValueError, match=message):
        zeroskip.compile("no_such_module:net", "no_such_file.npz", settings=settings)


def test_settings_of_another_core() -> None:
    first, second = list(CORES)[:2]
    settings = zeroskip.CompileSettings(core=first, own=_support(second).PRUNING)
    with pytest.raises(ValueError, match=rf"own must be \w+ for core {first}, not \w+"):
        zeroskip.compile("no_such_module:net", "no_such_file.npz", settings=settings)


def test_a_core_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match=f"core must be one of {', '.join(CORES)}, not 'tpu'"):
        zeroskip.compile("no_such_module:net", "no_such_file.npz", settings=zeroskip.CompileSettings(core="tpu"))


@pytest.mark.parametrize("core", list(CORES))
@pytest.mark.parametrize("ending", [nn.Identity(), nn.LogSoftmax(1)])
def test_images_for_a_network_of_flat_values(core: str, ending: nn.Module) -> None:
    """Cores see them as flat, whether or not the network flattens them itself."""
    network = nn.Sequential(nn.Linear(16, 3), ending)
    rng = np.random.default_rng(0)
    images = rng.random((40, 1, 4, 4)).astype(np.float32)
    compiled, flat = (
        zeroskip.compile(network, (inputs, None), settings=zeroskip.CompileSettings(core=core))
        for inputs in (images, images.reshape(40, 16))
    )
    np.testing.assert_array_equal(
        load_core(core).outputs(compiled.network, images), load_core(core).outputs(flat.network, images.reshape(40, 16))
    )
    assert compiled.summary()["left_out"] == flat.summary()["left_out"]
