"""The state of a training run in one safetensors file, from which it can be resumed; never a pickle."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from zeroskip.model.files import replacing

VERSION = 1
Tensors = dict[str, Tensor]


class OtherConfiguration(Exception):
    """The checkpoint is not damaged, but belongs to a training run with other settings, data or initial weights."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after `epoch` epochs of stage number `stage`. `groups` are named sets of tensors."""

    configuration: str
    stage: int
    epoch: int
    groups: dict[str, Tensors]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes the file as a whole: whenever the machine stops, the file is the old one or the new one."""
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for group, members in checkpoint.groups.items()
        for name, tensor in members.items()
    }
    header = {
        "version": VERSION,
        "configuration": checkpoint.configuration,
        "stage": checkpoint.stage,
        "epoch": checkpoint.epoch,
        "crc32": _checksum(tensors),
    }
    with replacing(path) as new:
        new.write_bytes(safetensors.torch.save(tensors, {"zeroskip": json.dumps(header)}))


def load_checkpoint(path: Path, configuration: str) -> Checkpoint | None:
    """Reads what `save_checkpoint` wrote; None if there is no file.

    Raises OtherConfiguration, or ValueError with the path and the reason where the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})["zeroskip"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        header = json.loads(text)
        version, other, stage, epoch, checksum = (
            header[field] for field in ("version", "configuration", "stage", "epoch", "crc32")
        )
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path}: must be a complete checkpoint, but: {error}; name another, or delete it to start over"
        ) from error
    if version != VERSION:
        raise ValueError(f"{path}: version must be {VERSION}, not {version}; delete it to start over")
    if checksum != _checksum(tensors):
        raise ValueError(
            f"{path}: crc32 must be {_checksum(tensors)}, that of the tensors, not {checksum}; delete it to start over"
        )
    if other != configuration:
        raise OtherConfiguration(f"{path}: belongs to a training run with other settings, data or initial weights")
    groups: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        group, _, member = name.partition("/")
        groups.setdefault(group, {})[member] = tensor
    return Checkpoint(configuration=other, stage=stage, epoch=epoch, groups=groups)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """The tensors of an optimizer's state, as "<parameter number>.<name>"."""
    return {
        f"{number}.{name}": tensor
        for number, entry in optimizer.state_dict()["state"].items()
        for name, tensor in entry.items()
        if tensor is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Restores the state that `optimizer_tensors` returned for an optimizer of the same parameters and settings."""
    state: dict[int, Tensors] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _checksum(tensors: Tensors) -> int:
    checksum = 0
    for name in sorted(tensors):
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(tensors[name].numpy().tobytes(), checksum)
    return checksum
