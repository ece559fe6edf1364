"""The fastest execution of each layer on this device, found by trying, and kept on disk.

    with tuning():
        network(input)

tries every execution for each kind of layer that runs in the block. Later, and in later processes, `execution("auto")`
takes what was fastest. Kinds of layers differ in device, threads, type, channels, kernel, stride, dilation, and in the
number of pairs, by powers of two.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import filelock
import torch
from torch import Tensor, nn

from zeroskip.model.cache import cache_folder
from zeroskip.model.sparseconv.choice import AUTO, chosen
from zeroskip.model.sparseconv.execution import (
    EXECUTIONS,
    Execution,
    can_run,
    default_execution,
    named_execution,
    require_runs,
)
from zeroskip.model.sparseconv.maps import KernelMap

FORMAT = 1

EPSILONS = (0.1, 0.3, 0.5)
MM_THRESHOLDS = (2500, 10000)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How executions are timed: `samples` runs of each, in turn, and whether the gradients count, too."""

    samples: int = 5
    training: bool = False

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, not {self.samples}")


_tuning: ContextVar[Tuning | None] = ContextVar("sparseconv_tuning", default=None)


def candidates(feats: Tensor) -> list[Execution]:
    """The executions that are tried for these features."""
    fixed = [one for one in EXECUTIONS.values() if can_run(one, feats)]
    adaptive = [f"adaptive:{epsilon}:{thresh}" for epsilon in EPSILONS for thresh in MM_THRESHOLDS]
    return [*(one for one in fixed if not one.NAME.startswith("adaptive")), *map(named_execution, adaptive)]


@contextmanager
def tuning(samples: int = 5, training: bool = False) -> Iterator[None]:
    """Layers of "auto" within the block are tuned, unless they are already, and the choices are kept on disk."""
    token = _tuning.set(Tuning(samples=samples, training=training))
    try:
        yield
    finally:
        _tuning.reset(token)


def tune(
    model: nn.Module,
    data_loader: Iterable[Any],
    n_samples: int = 100,
    collect_fn: Callable[[Any], Any] = lambda data: data,
    enable_fp16: bool = False,
    save_dir: str | None = None,
    tune_tag: str | None = None,
    force_retune: bool = False,
    dataflow_range: Any = None,
    dataflow_prune: bool = False,
    tune_with_bwd: bool = False,
    verbose: bool = True,
    skip_warning: bool = False,
) -> None:
    """Runs a network on the first `n_samples` of `data_loader` with tuning, with the arguments of torchsparse's `tune`.

    `collect_fn` makes the network's input of a sample; of a dictionary the network takes the entry "input".
    `enable_fp16` runs it under autocast to float16, and `tune_with_bwd` times gradients, too. The network is in
    evaluation mode meanwhile. The other arguments have no effect: choices are kept in the cache folder, for all
    networks.
    """
    kind = next((parameter.device.type for parameter in model.parameters()), "cpu")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with (
            tuning(training=tune_with_bwd),
            torch.no_grad(),
            torch.autocast(kind, dtype=torch.float16, enabled=enable_fp16),
        ):
            for sample in itertools.islice(data_loader, n_samples):
                data = collect_fn(sample)
                model(data["input"] if isinstance(data, dict) else data)
    finally:
        for module, training in modes:
            module.training = training


def chosen_execution(feats: Tensor, weight: Tensor, kmap: KernelMap) -> Execution:
    """The execution of a layer. Raises `ValueError` where the chosen one cannot run here."""
    name = chosen.get()
    if name != AUTO:
        execution = named_execution(name)
        require_runs(execution, feats)
        return execution
    settings = _tuning.get()
    if settings is None and not _known(feats.device):
        return default_execution(feats)
    kind = layer_kind(feats, weight, kmap)
    found = _known(feats.device).get(kind)
    if found is None and settings is not None:
        found = min(measured(feats, weight, kmap, settings).items(), key=lambda entry: entry[1])[0]
        _keep(feats.device, kind, found)
    if found is None:
        return default_execution(feats)
    execution = named_execution(found)
    return execution if can_run(execution, feats) else default_execution(feats)


def layer_kind(feats: Tensor, weight: Tensor, kmap: KernelMap) -> str:
    """What layers have in common that one choice serves."""
    pairs = len(kmap.inputs).bit_length()
    shape = kmap.geometry
    return (
        f"{feats.dtype} {tuple(weight.shape[1:])} size {shape.size} stride {shape.stride} dilation {shape.dilation} "
        f"pairs 2^{pairs}{' transposed' if kmap.origin is not None else ''} threads {torch.get_num_threads()}"
    )


def measured(feats: Tensor, weight: Tensor, kmap: KernelMap, settings: Tuning) -> dict[str, float]:
    """Seconds of each execution, the median of interleaved runs; with `training` the gradients are included."""
    feats, weight = feats.detach(), weight.detach()
    times: dict[str, list[float]] = {}
    gradient = None
    for _ in range(settings.samples + 1):
        for execution in candidates(feats):
            _wait(feats.device)
            start = time.perf_counter()
            result = execution.convolve(feats, weight, kmap)
            if settings.training and feats.is_floating_point():
                gradient = result if gradient is None else gradient
                execution.convolve(gradient, weight.transpose(1, 2), kmap.transposed)
                execution.weight_gradient(feats, gradient, kmap)
            _wait(feats.device)
            times.setdefault(execution.NAME, []).append(time.perf_counter() - start)
    # The first run compiles kernels and derives tables from the map.
    return {name: median(runs[1:]) for name, runs in times.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def choices_file(device: torch.device) -> Path:
    """The file of the choices for a device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    plain = "".join(letter if letter.isalnum() else "-" for letter in f"{device.type}-{name}")
    return cache_folder() / "sparseconv" / f"choices-{plain}.json"


_read: dict[Path, dict[str, str]] = {}
"""The choices that this process has read or made, by file."""


def _known(device: torch.device) -> dict[str, str]:
    path = choices_file(device)
    if path not in _read:
        _read[path] = _load(path)
    return _read[path]


def _load(path: Path) -> dict[str, str]:
    """The choices in a file; none where it is missing, damaged or of another format: they are only made anew."""
    try:
        content = json.loads(path.read_text())
        if content["format"] != FORMAT:
            return {}
        found = {}
        for kind, name in content["choices"].items():
            named_execution(name)
            found[kind] = name
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(device: torch.device, kind: str, name: str) -> None:
    """Adds a choice to the file, beside those that other processes have added meanwhile."""
    path = choices_file(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock", timeout=60):
        choices = {**_load(path), kind: name}
        unfinished = path.with_suffix(f".{os.getpid()}.json")
        unfinished.write_text(json.dumps({"format": FORMAT, "choices": choices}, indent=1))
        os.replace(unfinished, path)
    _read[path] = {**_read.get(path, {}), **choices}
