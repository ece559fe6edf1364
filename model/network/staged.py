"""The common part of the compiled networks of all cores: a layer table, and the stages that use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from zeroskip.model.network.stages import ConvStage, Stage, TableRow, value_counts


@dataclass(frozen=True, kw_only=True, eq=False)
class StagedNetwork:
    """A network compiled for a core of `geometry`: the rows of its layer table, `layers`, and the `stages` in which
    images go through them. The weights are the core's own fields."""

    core: ClassVar[str]
    """The core's name in the registry."""
    geometry: Any
    layers: Sequence[TableRow]
    stages: tuple[Stage, ...]

    @property
    def inputs(self) -> int:
        """Values of an input image."""
        return value_counts(self.stages, self.layers)[0]

    @property
    def outputs(self) -> int:
        """Output values for an image."""
        return value_counts(self.stages, self.layers)[-1]

    @property
    def starts(self) -> list[int]:
        """How many rows each layer computes for an image: one, or one for each position of a convolution."""
        return [stage.starts for stage in self.stages for _ in stage.layers]

    @property
    def groups(self) -> list[int]:
        """Groups of each layer's convolution, 1 where it has none."""
        return [stage.groups if isinstance(stage, ConvStage) else 1 for stage in self.stages for _ in stage.layers]

    @property
    def sparse_layers(self) -> list[bool]:
        """Whether each layer runs sparse: all do, but on cores that run a layer dense where that is faster."""
        return [True] * len(self.layers)

    @property
    def weight_counts(self) -> list[int]:
        """Weights of each layer before pruning; the zeros between the groups of a convolution do not count."""
        return [layer.outputs * layer.inputs // groups for layer, groups in zip(self.layers, self.groups, strict=True)]
