"""The device on which networks run: the CPU, or a GPU by torch's CUDA."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

CPU = "cpu"


def require_device(device: str) -> None:
    """Raises ValueError unless torch can use the device: "cpu", "cuda", or "cuda:N" for the GPU with the number N.

    It does not begin to use CUDA, so that processes can still be forked.
    """
    if device == CPU:
        return
    if re.fullmatch(r"cuda(:\d+)?", device) is None:
        raise ValueError(f"device must be cpu, cuda or cuda:N with the number of a GPU, not {device!r}")
    count = torch.cuda.device_count()
    if count == 0:
        why = "this torch was built without CUDA" if torch.version.cuda is None else "it sees no GPU"
        raise ValueError(f"device must be cpu where torch has no GPU, not {device}: {why} (torch {torch.__version__})")
    if int(device.partition(":")[2] or 0) >= count:
        names = ", ".join(f"cuda:{number}" for number in range(count))
        raise ValueError(f"device must be cpu or one of torch's GPUs ({names}), not {device}")


@contextmanager
def reproducible(device: str) -> Iterator[None]:
    """Within the block, what runs on the device gives the same bits every time, and float32 is not rounded to TF32. An
    operation for which CUDA has no such algorithm warns."""
    if device == CPU:
        yield
        return
    # cuBLAS reads it when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    rounded = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = rounded


def moved(network: nn.Module, device: str) -> nn.Module:
    """The network on the device: itself if it is there, or else a copy."""
    wanted = torch.device(device)
    if all(
        value.device.type == wanted.type and wanted.index in (None, value.device.index)
        for value in chain(network.parameters(), network.buffers())
    ):
        return network
    return copy.deepcopy(network).to(wanted)


def kind_of(device: str) -> str:
    """ "cpu" or "cuda": results do not depend on the number of a GPU."""
    return torch.device(device).type
