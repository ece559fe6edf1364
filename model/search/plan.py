"""Pruning plans: a density for each layer, the result of every search."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from zeroskip.model.files import save_json
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.masks import prunable_layers

VERSION = 1
WEIGHTS, CHANNELS = "weights", "channels"
"""The granularities that prune single weights and output channels. Any other granularity is an N:M pattern, as
zeroskip.model.network.pattern writes it ("2:4")."""


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """The `density` of a layer: the fraction of its weights, or of its output channels, that is kept. `shape` is the
    shape of the dense weight."""

    name: str
    shape: tuple[int, ...]
    density: float

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"name must be text, not {self.name!r}")
        sizes = isinstance(self.shape, tuple) and all(type(size) is int and size > 0 for size in self.shape)
        if not sizes or len(self.shape) not in (2, 4):
            raise ValueError(f"shape must be the 2 or 4 sizes of a weight, not {self.shape!r}")
        if isinstance(self.density, bool) or not isinstance(self.density, int | float) or not 0 < self.density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, not {self.density!r}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A density for every Linear and Conv2d layer of a network, in the order of the network.

    `granularity` is "weights", "channels" or an N:M pattern ("2:4"); with a pattern, layers of density 1 stay dense.
    `method` is the search that found the plan, `cost` the cost that it limited to `budget`, a fraction of the dense
    cost. `reached` is the plan's fraction of the dense cost by the cost table of that search.
    """

    granularity: str
    layers: tuple[LayerPlan, ...]
    method: str
    cost: str
    budget: float
    reached: float

    def __post_init__(self) -> None:
        for name in ("granularity", "method", "cost"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text, not {getattr(self, name)!r}")
        for name in ("budget", "reached"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, a fraction of the dense cost, not {value!r}")
        if not self.layers:
            raise ValueError("layers must hold at least one layer")
        for layer in self.layers:
            pattern = self.pattern
            if pattern is not None and layer.density not in (1, pattern.keep / pattern.group):
                raise ValueError(
                    f"density of '{layer.name}' must be {pattern.keep / pattern.group} or 1 with "
                    f"{self.granularity}, not {layer.density}"
                )

    @property
    def pattern(self) -> Pattern | None:
        """The N:M pattern, or None if single weights or channels are pruned."""
        return None if self.granularity in (WEIGHTS, CHANNELS) else Pattern.parse(self.granularity)

    @property
    def densities(self) -> dict[str, float]:
        return {layer.name: layer.density for layer in self.layers}

    def check(self, module: nn.Module) -> None:
        """Raises ValueError unless the network has the layers of the plan, with the same shapes."""
        expected = weight_shapes(module)
        given = {layer.name: layer.shape for layer in self.layers}
        for name in given:
            if name not in expected:
                raise ValueError(f"the plan has a layer '{name}', but the network's are {', '.join(expected)}")
        for name, shape in expected.items():
            if name not in given:
                raise ValueError(
                    f"the plan has no layer '{name}', which the network has: it belongs to another network"
                )
            if given[name] != shape:
                raise ValueError(
                    f"layer '{name}' has weights of {shape} in the network, but {given[name]} in the plan: "
                    "it belongs to another network"
                )


def weight_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shape of the weight of every layer that a plan has a density for, by name."""
    return {name: tuple(layer.weight.shape) for name, layer in prunable_layers(module).items()}


def save_plan(plan: Plan, path: Path) -> None:
    """Writes the plan as JSON. An existing file is replaced completely or not at all."""
    save_json(path, {"version": VERSION, **dataclasses.asdict(plan)})


def load_plan(path: Path) -> Plan:
    """Reads a plan. Raises ValueError with the file, the field, the rule and the value."""
    try:
        value = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: must be JSON, but: {error}") from error
    try:
        return _from_json(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _from_json(value: Any) -> Plan:
    names = {field.name for field in dataclasses.fields(Plan)} | {"version"}
    if not isinstance(value, dict) or set(value) != names:
        given = sorted(value) if isinstance(value, dict) else value
        raise ValueError(f"a plan must have the fields {sorted(names)}, not {given!r}")
    if value["version"] != VERSION:
        raise ValueError(f"version must be {VERSION}, not {value['version']!r}")
    if not isinstance(value["layers"], list):
        raise ValueError(f"layers must be a list, not {value['layers']!r}")
    layers = tuple(_layer_from_json(index, layer) for index, layer in enumerate(value["layers"]))
    for index, layer in enumerate(layers):
        if layer.name in [before.name for before in layers[:index]]:
            raise ValueError(f"layers[{index}].name must be one that no other layer has, not {layer.name!r}")
    rest = {name: field for name, field in value.items() if name not in ("version", "layers")}
    return Plan(layers=layers, **rest)


def _layer_from_json(index: int, value: Any) -> LayerPlan:
    names = {field.name for field in dataclasses.fields(LayerPlan)}
    if not isinstance(value, dict) or set(value) != names:
        given = sorted(value) if isinstance(value, dict) else value
        raise ValueError(f"layers[{index}] must have the fields {sorted(names)}, not {given!r}")
    shape = value["shape"]
    try:
        return LayerPlan(**{**value, "shape": tuple(shape) if isinstance(shape, list) else shape})
    except ValueError as error:
        raise ValueError(f"layers[{index}].{error}") from error
