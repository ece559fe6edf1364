import os
from pathlib import Path

import pytest
import torch
from torch import nn

from zeroskip.model.pruning.checkpoint import (
    Checkpoint,
    OtherConfiguration,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)

STATE = Checkpoint(
    configuration="abc",
    stage=2,
    epoch=5,
    groups={
        "module": {"0.weight": torch.randn(3, 2), "1.num_batches_tracked": torch.tensor(7)},
        "masks": {"0.weight": torch.tensor([[True, False]] * 3)},
        "optimizer": {"0.momentum_buffer": torch.randn(2, 3).T},
    },
)


def test_round_trip(tmp_path: Path) -> None:
    """Every field and tensor is read as it was written; without a file there is None."""
    path = tmp_path / "new folder" / "run.safetensors"
    assert load_checkpoint(path, "abc") is None
    save_checkpoint(path, STATE)
    again = load_checkpoint(path, "abc")
    assert again is not None
    assert (again.configuration, again.stage, again.epoch) == ("abc", 2, 5)
    assert {name: set(group) for name, group in again.groups.items()} == {
        name: set(group) for name, group in STATE.groups.items()
    }
    for name, group in STATE.groups.items():
        for key, tensor in group.items():
            assert torch.equal(again.groups[name][key], tensor)
            assert again.groups[name][key].dtype == tensor.dtype


def test_other_configuration(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, STATE)
    with pytest.raises(
        OtherConfiguration, match=f"^{path}: belongs to a training run with other settings, data or initial weights$"
    ):
        load_checkpoint(path, "abd")


def test_every_cut_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"^{path}: must be a complete checkpoint, but: .*; name another"):
            load_checkpoint(path, "abc")


def test_every_flipped_tensor_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    data = sum(t.nbytes for group in STATE.groups.values() for t in group.values())
    for place in range(len(whole) - data, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"^{path}: crc32 must be \d+, that of the tensors, not \d+; delete"):
            load_checkpoint(path, "abc")


def test_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, STATE)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, STATE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("optimizer_class", [torch.optim.SGD, torch.optim.Adam])
def test_restored_optimizer_goes_on_alike(optimizer_class: type[torch.optim.Optimizer]) -> None:
    kwargs = {"momentum": 0.9} if optimizer_class is torch.optim.SGD else {}
    left, right = nn.Linear(3, 2), nn.Linear(3, 2)

    def step(module: nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        module(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()

    one = optimizer_class(left.parameters(), lr=0.1, **kwargs)
    for _ in range(3):
        step(left, one)
    right.load_state_dict(left.state_dict())
    other = optimizer_class(right.parameters(), lr=0.1, **kwargs)
    restore_optimizer(other, {name: tensor.clone() for name, tensor in optimizer_tensors(one).items()})
    for _ in range(3):
        step(left, one)
        step(right, other)
        assert torch.equal(left.weight, right.weight)
