"""Settings and arguments of wrong types: refused when they are given, by their names, and before any work.

The fields are read from the dataclasses, not listed, so that a new one without a check fails here.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import zeroskip
from zeroskip.api.eie import bench, bench_search, layer
from zeroskip.api.mma import bench as mma_bench
from zeroskip.api.mma import product
from zeroskip.model.progress import Step
from zeroskip.model.search.settings import AgentSettings, AmcSettings, NetAdaptSettings

SETTINGS = [
    *(getattr(zeroskip, name) for name in zeroskip.__all__ if name.endswith("Settings")),
    bench.EieBenchSettings,
    bench_search.SearchBenchSettings,
    layer.LayerSettings,
    mma_bench.MmaBenchSettings,
    product.ProductSettings,
    AgentSettings,
    AmcSettings,
    NetAdaptSettings,
]


def fields() -> list[Any]:
    """Every field of all settings but `own`, which each core has of another type."""
    return [
        pytest.param(kind, field, id=f"{kind.__name__}.{field.name}")
        for kind in SETTINGS
        for field in dataclasses.fields(kind)
        if field.type != "Any"
    ]


def wrong_values(kind: str) -> list[Any]:
    """Values that a field with this annotation does not take."""
    values: list[Any] = [object(), [1, 2], {1: "a"}, 3j]
    if "int" not in kind and "float" not in kind:
        values += [3, 0]
    if "float" not in kind:
        values.append(1.5)
    if "bool" not in kind:
        values.append(True)
    if "str" not in kind and "Path" not in kind and "Name" not in kind:
        values.append("3")
    if "None" not in kind:
        values.append(None)
    return values


@pytest.mark.parametrize(("kind", "field"), fields())
def test_every_field_of_the_settings(kind: Callable[..., object], field: dataclasses.Field[Any]) -> None:
    for value in wrong_values(str(field.type)):
        with pytest.raises((TypeError, ValueError)) as error:
            kind(**{field.name: value})
        assert str(error.value).startswith(f"{field.name} must be "), value
        assert repr(value) in str(error.value)


SIZES = {
    zeroskip.EieCompileSettings,
    zeroskip.EieDemoSettings,
    zeroskip.MmaCompileSettings,
    mma_bench.MmaBenchSettings,
    product.ProductSettings,
}
"""Their numbers are sizes that the geometries check."""

WITH_DISTIL = {"temperature", "alpha"}
"""Looked at with distillation alone."""


def numbers() -> list[Any]:
    return [
        one
        for one in fields()
        if one.values[0] not in SIZES
        and one.values[1].name not in WITH_DISTIL
        and str(one.values[1].type).split(" | ")[0] in ("int", "float")
    ]


@pytest.mark.parametrize(("kind", "field"), numbers())
def test_numbers_below_every_rule(kind: Callable[..., object], field: dataclasses.Field[Any]) -> None:
    for value in [-1.0, math.nan, math.inf] if "float" in str(field.type) else [-1]:
        with pytest.raises(ValueError, match=f"^{field.name} must be "):
            kind(**{field.name: value})


def test_numbers_of_numpy() -> None:
    """They become those of Python, which JSON and checkpoints take."""
    made = zeroskip.TrainSettings(epochs=np.int64(3), learning_rate=np.float32(0.5), weight_decay=0)  # type: ignore[arg-type]
    assert made == zeroskip.TrainSettings(epochs=3, learning_rate=0.5, weight_decay=0.0)
    assert [type(value) for value in dataclasses.astuple(made)] == [int, float, float, int, str]


FUNCTIONS = [
    *(getattr(zeroskip, name) for name in zeroskip.__all__ if inspect.isfunction(getattr(zeroskip, name))),
    bench_search.bench_search,
    layer.run_layer,
    product.run_product,
]


def arguments() -> list[Any]:
    return [
        pytest.param(function, name, parameter.annotation, id=f"{function.__name__} {name}")
        for function in FUNCTIONS
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("network", "data", "plan", "progress", "file")
    ]


@pytest.mark.parametrize(("function", "name", "annotation"), arguments())
def test_every_argument_of_the_functions(function: Callable[..., object], name: str, annotation: str) -> None:
    needed = {
        other: "missing"
        for other, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    for value in wrong_values(annotation):
        if value == {1: "a"} or name == "workers":
            continue
        steps: list[Step] = []
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be ") as error:
            function(**{**needed, "progress": steps.append, name: value})
        assert repr(value) in str(error.value)
        assert steps == []


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_settings_of_another_function(function: Callable[..., object]) -> None:
    parameters = inspect.signature(function).parameters
    needed = {name: "missing" for name, one in parameters.items() if one.default is inspect.Parameter.empty}
    own = parameters["settings"].annotation.removesuffix(" | None")
    with pytest.raises(TypeError, match=rf"^settings must be an? {own} or None, not {{'epochs': 3}}$"):
        function(**needed, settings={"epochs": 3})
    other = zeroskip.TrainSettings() if own != "TrainSettings" else zeroskip.CompileSettings()
    with pytest.raises(TypeError, match=rf"^settings must be an? {own} or None, not {type(other).__name__}\("):
        function(**needed, settings=other)


def test_a_negative_seed() -> None:
    with pytest.raises(ValueError, match=r"^seed must be at least 0, not -1$"):
        zeroskip.train("missing:net", "missing.npz", seed=-1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, "compression must be at least 1 and finite, not 0.5"),
        (math.nan, "compression must be at least 1 and finite, not nan"),
    ],
)
def test_compression(value: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        zeroskip.finetune("missing:net", "missing.npz", compression=value)


def test_a_path_is_a_text_or_a_path(tmp_path: Path) -> None:
    data = (np.zeros((20, 4), np.float32), np.zeros(20, int))
    run = zeroskip.TrainSettings(epochs=0)
    for output in (tmp_path / "a.safetensors", str(tmp_path / "b.safetensors")):
        zeroskip.train(nn.Linear(4, 2), data, settings=run, output=output)
        assert Path(output).exists()
