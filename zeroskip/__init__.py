"""From a PyTorch network to sparse silicon, bit for bit.

The functions here do what the commands do: `zeroskip.train`, `zeroskip.compile`, ... Importing the package is cheap;
torch is imported by the first call.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if os.path.isfile(os.path.join(os.path.dirname(__file__), "model")):
    raise ImportError(
        "this checkout of zeroskip has text files where symbolic links should be (zeroskip/model, ...). On Windows, "
        "turn on Developer Mode and clone with `git clone -c core.symlinks=true`, work in WSL, or install a wheel"
    )

if TYPE_CHECKING:
    from zeroskip.api.compare import CompareResult, CompareSettings, compare
    from zeroskip.api.compile import Compiled, CompileSettings, compile
    from zeroskip.api.demo import Demonstration, DemoSettings, demo
    from zeroskip.api.eie.compile import EieCompileSettings
    from zeroskip.api.eie.demo import EieDemoSettings
    from zeroskip.api.finetune import Finetuned, FinetuneSettings, finetune
    from zeroskip.api.generate import Generated, GenerateSettings, generate
    from zeroskip.api.mma.compile import MmaCompileSettings
    from zeroskip.api.search import SearchResult, SearchSettings, search
    from zeroskip.api.simulate import SimulateSettings, Simulation, simulate
    from zeroskip.api.train import Trained, TrainSettings, train

_EXPORTS = {
    "compile": ("compile", "CompileSettings", "Compiled"),
    "compare": ("compare", "CompareSettings", "CompareResult"),
    "demo": ("demo", "DemoSettings", "Demonstration"),
    "eie.compile": ("EieCompileSettings",),
    "eie.demo": ("EieDemoSettings",),
    "finetune": ("finetune", "FinetuneSettings", "Finetuned"),
    "generate": ("generate", "GenerateSettings", "Generated"),
    "mma.compile": ("MmaCompileSettings",),
    "search": ("search", "SearchSettings", "SearchResult"),
    "simulate": ("simulate", "SimulateSettings", "Simulation"),
    "train": ("train", "TrainSettings", "Trained"),
}
"""The exported names, by the module of zeroskip.api that defines them."""

_MODULES = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = [
    "CompareResult",
    "CompareSettings",
    "CompileSettings",
    "Compiled",
    "DemoSettings",
    "Demonstration",
    "EieCompileSettings",
    "EieDemoSettings",
    "FinetuneSettings",
    "Finetuned",
    "GenerateSettings",
    "Generated",
    "MmaCompileSettings",
    "SearchResult",
    "SearchSettings",
    "SimulateSettings",
    "Simulation",
    "TrainSettings",
    "Trained",
    "compare",
    "compile",
    "demo",
    "finetune",
    "generate",
    "search",
    "simulate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'zeroskip' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"zeroskip.api.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
