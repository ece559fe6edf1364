"""The compiled kernels as a shared library: built once for each source, compiler and processor, and kept.

They are plain C++ with OpenMP, called through ctypes: they compile in seconds, where a torch extension takes a minute.
OpenMP is the one that torch has loaded, so both share one pool of threads.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import warnings
from pathlib import Path

import filelock
import torch
from torch import Tensor

from zeroskip.model.cache import cache_folder
from zeroskip.model.sparseconv.choice import is_plain

SOURCES = ("products.cpp", "search.cpp")
FLAGS = ("-O3", "-std=c++17", "-ffp-contract=fast", "-shared", "-fPIC")
_TARGETS = (("-march=native", "-fopenmp"), ("-fopenmp",), ("-march=native",))
"""Flags that may fail to compile somewhere; the first that work are taken."""

_SECONDS = 300
_LEAST_WORK = 1 << 17

_RETURNS = {
    "zeroskip_convolve": ctypes.c_int,
    "zeroskip_weight_gradient": ctypes.c_int,
    "zeroskip_bounds": None,
    "zeroskip_pack": ctypes.c_int,
    "zeroskip_sort": None,
    "zeroskip_unique": ctypes.c_int64,
    "zeroskip_unpack": None,
    "zeroskip_reached": ctypes.c_int64,
    "zeroskip_search": ctypes.c_void_p,
    "zeroskip_take": None,
}


def library(*tensors: Tensor) -> ctypes.CDLL | None:
    """`compiled`, where these tensors are on the CPU; None where the plain execution is chosen."""
    if is_plain() or any(tensor.device.type != "cpu" for tensor in tensors):
        return None
    return compiled()


def pointer(tensor: Tensor | None) -> ctypes.c_void_p | None:
    """The address of a contiguous tensor's data."""
    if tensor is None:
        return None
    assert tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr())


def integer(value: int) -> ctypes.c_int64:
    """A 64-bit argument."""
    return ctypes.c_int64(value)


def threads(work: int) -> ctypes.c_int:
    """As many threads as torch uses; one where the work, in multiplications or the like, is over sooner than others
    could start."""
    return ctypes.c_int(1 if work < _LEAST_WORK else torch.get_num_threads())


@functools.cache
def compiled() -> ctypes.CDLL | None:
    """The compiled kernels; None where nothing here compiles C++, and a warning says so."""
    try:
        found = ctypes.CDLL(str(_built()))
    except (OSError, subprocess.SubprocessError, filelock.Timeout) as error:
        warnings.warn(
            f"sparse convolutions run on plain torch, several times slower: their kernels were not compiled ({error}). "
            "Install a C++ compiler (on Debian: apt-get install g++) and start again",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    for name, kind in _RETURNS.items():
        getattr(found, name).restype = kind
    return found


def _built() -> Path:
    """The library's file in the cache folder, compiled where it is missing. Raises OSError or SubprocessError."""
    compiler = _compiler()
    sources = [Path(__file__).parent / name for name in SOURCES]
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    parts = [*(source.read_text() for source in sources), *FLAGS, str(_TARGETS), version, _processor()]
    folder = cache_folder() / "sparseconv"
    path = folder / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.so"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock", timeout=_SECONDS):
        if not path.exists():
            _compile(compiler, sources, path)
    return path


def _compile(compiler: str, sources: list[Path], path: Path) -> None:
    unfinished = path.with_suffix(f".{os.getpid()}.so")
    for target in _TARGETS:
        command = [compiler, *FLAGS, *target, *map(str, sources), "-o", str(unfinished)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
            if done.returncode == 0:
                os.replace(unfinished, path)
                return
        finally:
            unfinished.unlink(missing_ok=True)
    raise OSError(f"{compiler} failed: {done.stderr.strip()[:500]}")


def _compiler() -> str:
    for name in (os.environ.get("CXX"), "g++", "clang++"):
        if name and shutil.which(name):
            return name
    raise OSError("no C++ compiler: none of $CXX, g++ and clang++ is on PATH")


def _processor() -> str:
    """What the machine code depends on: builds in a shared cache folder must not meet another processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    features = {line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))}
    return platform.machine() + "".join(sorted(features))
