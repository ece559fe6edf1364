"""Other libraries beside, each in a process of its own (`peer_process`), where they are installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from zeroskip.model.sparseconv.bench.scenes import Scene

MODULES = {"spconv": "spconv", "open3d": "open3d", "dense": "torch"}
THREADS = {"spconv": 1}
"""spconv is right with one thread only: with two, threads of its CPU code share a buffer, and sums are wrong."""
LARGEST_BOX = 8_000_000
"""Places of the box of a scene up to which it is also convolved as a dense one."""


def installed(scene: Scene) -> list[str]:
    """The peers that can run on the scene here: on a CPU, and in one process beside ours."""
    if scene.coords.device.type != "cpu":
        return []
    box = int((scene.coords[:, 1:].max(dim=0).values + 1).long().prod())
    found = [name for name, module in MODULES.items() if importlib.util.find_spec(module) is not None]
    return [name for name in found if name != "dense" or box <= LARGEST_BOX]


def not_installed() -> list[str]:
    """The peers that are not there."""
    return [name for name, module in MODULES.items() if importlib.util.find_spec(module) is None]


class Peer:
    """One library on one scene. Raises RuntimeError, with its last words, where it fails."""

    def __init__(self, name: str, scene: Scene, feats: Tensor, weight: Tensor) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name) / "scene.npz"
        np.savez(file, coords=scene.coords.numpy(), feats=feats.numpy(), weight=weight.numpy())
        threads = str(THREADS.get(name, torch.get_num_threads()))
        self._errors = (Path(self._folder.name) / "errors").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "zeroskip.model.sparseconv.bench.peer_process", name, str(file), threads],
            env={**os.environ, "OMP_NUM_THREADS": threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.steps = self._answer("steps").split()

    def _answer(self, start: str = "") -> str:
        """The next line that begins so, without the beginning: libraries print lines of their own before it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(start):
                return line[len(start) :].strip()
        self._errors.seek(0)
        last = (self._errors.read().strip() or "no reason given").splitlines()[-1]
        raise RuntimeError(f"{self.name} failed beside the benchmark: {last}")

    def _ask(self, request: str) -> str:
        assert self._process.stdin is not None
        print(request, file=self._process.stdin, flush=True)
        return self._answer("> ")

    def step(self, name: str) -> Callable[[], float]:
        """A run of one step, which returns its seconds."""
        return lambda: float(self._ask(name))

    def result(self) -> Tensor:
        """The layer's output (voxels, out)."""
        file = Path(self._folder.name) / "result.npy"
        self._ask(f"result {file}")
        return torch.from_numpy(np.load(file))

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            stream.close()
        self._folder.cleanup()
