"""`zeroskip train`: weights that the other commands start from, the same however often it was cut short."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from zeroskip.api.train import TrainSettings, train
from zeroskip.model.progress import Step

Command = Callable[..., tuple[int, str, str]]

TRAIN = ("train", "mynet:Net", "--data", "data.npz", "--output", "dense.safetensors", "--json")


def test_learns_and_goes_on_where_it_stopped(zs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was cut after three epochs and resumed writes the same bytes, which `compile` then takes."""
    arguments = (*TRAIN, "--weights", "weights.safetensors", "--epochs", 6)
    code, out, err = zs(*arguments)
    assert code == 0, err
    result = json.loads(out)
    assert result["samples"] == {"train": 160, "test": 40}
    assert result["accuracy"]["trained"] > max(0.9, result["accuracy"]["start"])
    first = (tmp_path / "dense.safetensors").read_bytes()

    from zeroskip.model.pruning import training_run as stages

    def cut(*arguments: object) -> None:
        saved(*arguments)
        if arguments[1].epoch == 3:
            raise OSError("cut")

    saved = stages.save_checkpoint
    (tmp_path / "dense.safetensors.ckpt").unlink()
    monkeypatch.setattr(stages, "save_checkpoint", cut)
    assert zs(*arguments)[0] == 1
    monkeypatch.setattr(stages, "save_checkpoint", saved)
    code, _, err = zs(*arguments)
    assert code == 0, err
    assert err == "resumed from dense.safetensors.ckpt: 3 of 6 epochs are done\n"
    assert (tmp_path / "dense.safetensors").read_bytes() == first

    code, _, err = zs(*arguments)
    assert code == 0, err
    complete = (
        "dense.safetensors.ckpt holds this training, complete: nothing was trained again; delete it to train anew"
    )
    assert err == f"{complete}\n"
    assert (tmp_path / "dense.safetensors").read_bytes() == first

    compiled = ("compile", "mynet:Net", "--weights", "dense.safetensors", "--data", "data.npz", "--output", "net.zs")
    assert zs(*compiled)[0] == 0


def test_named_data_and_a_network_that_does_not_fold(zs: Command) -> None:
    network = "zeroskip.networks:resnet_20(width=0.125, inputs=1)"
    code, out, err = zs("train", network, "--data", "digits", "--output", "r.safetensors", "--epochs", 0, "--json")
    assert code == 0, err
    assert json.loads(out)["samples"] == {"train": 1437, "test": 360}


def test_removed_channels_stay_removed(zs: Command, tmp_path: Path) -> None:
    weights = load_file(tmp_path / "weights.safetensors")
    kept = [0, 3, 4, 5, 9, 11, 15]
    smaller = {
        name: value[:, kept]
        if name == "second.weight"
        else value[kept]
        if len(value.shape) and len(value) == 20
        else value
        for name, value in weights.items()
    }
    save_file(
        {name: value.contiguous() for name, value in smaller.items()},
        tmp_path / "smaller.safetensors",
        metadata={"zeroskip-channels": "removed"},
    )
    code, _, err = zs(*TRAIN, "--weights", "smaller.safetensors", "--epochs", 2)
    assert code == 0, err
    assert load_file(tmp_path / "dense.safetensors")["first.weight"].shape == torch.Size((7, 30))
    compiled = ("compile", "mynet:Net", "--weights", "dense.safetensors", "--data", "data.npz", "--output", "net.zs")
    code, out, err = zs(*compiled, "--json")
    assert code == 0, err
    assert [(layer["inputs"], layer["outputs"]) for layer in json.loads(out)["layers"]] == [(30, 7), (7, 4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--learning-rate", 0), "learning_rate must be above 0 and finite, not 0.0"),
        (("--data", "nothing"), "nothing does not exist or is not a file, and is not one of the data sets digits, "),
        (("--output", "data.npz"), "data.npz cannot be written: it is also an input"),
        (("--data", "digits"), "digits: inputs of shape (2, 1, 8, 8) do not fit the network"),
        (
            ("--data", "many.npz"),
            "many.npz: 'labels' must be class numbers below 4, the network's number of outputs, not ",
        ),
    ],
)
def test_what_is_wrong_is_told(zs: Command, tmp_path: Path, arguments: tuple[object, ...], message: str) -> None:
    np.savez(tmp_path / "many.npz", inputs=np.zeros((10, 30)), labels=np.arange(10))
    code, out, err = zs(*TRAIN, *arguments)
    assert (code, out) == (1, "")
    assert message in re.sub(r"\s+", " ", err)
    assert not (tmp_path / "dense.safetensors").exists()


def test_outputs_that_are_no_classes(zs: Command, tmp_path: Path) -> None:
    (tmp_path / "images.py").write_text("from torch import nn\ndef net():\n    return nn.Conv2d(1, 2, 3)\n")
    code, _, err = zs("train", "images:net", "--data", "digits", "--output", "x.safetensors")
    assert code == 1
    assert "digits: the network must give outputs of shape (samples, classes), not the shape (2, 2, 6, 6)" in re.sub(
        r"\s+", " ", err
    )


def test_json_is_alone_on_standard_output_where_the_users_code_prints(zs: Command, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "from torch import nn\nprint('imported')\n\nclass Net(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(30, 4))\n\n    def forward(self, x):\n"
        "        print('called')\n        return super().forward(x)\n"
    )
    code, out, err = zs("train", "loud:Net", *TRAIN[2:], "--epochs", 1)
    assert code == 0, err
    assert json.loads(out)["epochs"] == 1
    assert "imported" in err
    assert "called" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--output", "mynet.py"),
            "mynet.py cannot be written: files of this kind must not end in .py; name it *.safetensors",
        ),
        (
            ("--output", "other.zs"),
            "other.zs cannot be written: files of this kind must not end in .zs; name it *.safetensors",
        ),
        (
            ("--output", "other.pt"),
            "other.pt cannot be written: files of this kind must not end in .pt; name it *.safetensors",
        ),
        (
            ("--output", "pipe"),
            "pipe cannot be written: it is a device or a pipe; name a file",
        ),
        (
            ("--output", "w.ckpt", "--checkpoint", "w.ckpt"),
            "w.ckpt cannot be written: it is also an input; choose another output",
        ),
    ],
)
def test_outputs_that_would_destroy_something(
    zs: Command, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    before = (tmp_path / "mynet.py").read_text()
    os.mkfifo(tmp_path / "pipe")
    code, out, err = zs("train", "mynet:Net", "--data", "data.npz", *options)
    assert (code, out, err) == (1, "", f"error: {message}\n")
    assert (tmp_path / "mynet.py").read_text() == before


def test_what_cannot_be_saved_is_found_before_training(zs: Command, tmp_path: Path) -> None:
    code = """
from torch import nn
class WithState(nn.Linear):
    def get_extra_state(self):
        return {"steps": 3}
    def set_extra_state(self, state):
        pass
def net():
    return WithState(30, 4)
"""
    (tmp_path / "stateful.py").write_text(code)
    code, _, err = zs("train", "stateful.py:net", *TRAIN[2:])
    assert code == 1
    assert "_extra_state of the network's state_dict must be a dense tensor, not dict" in err
    assert not [*tmp_path.glob("dense.safetensors*")]


def test_progress_begins_where_the_run_resumes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2
    module = torch.nn.Linear(3, 2)
    arguments = {"settings": TrainSettings(epochs=4), "checkpoint": tmp_path / "c"}
    epochs: list[int] = []

    def stop(step: Step) -> None:
        if step.unit == "epochs" and step.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(module, data, progress=stop, **arguments)
    train(module, data, progress=lambda step: epochs.append(step.done) if step.unit == "epochs" else None, **arguments)
    assert epochs[-2:] == [3, 4]
    assert 1 not in epochs
