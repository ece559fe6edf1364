"""The common part of the compiled networks of all cores: a layer table, and the stages that use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.cells import State, advance
from zeroskip.model.network.host_stages import HostStage
from zeroskip.model.network.losses import Loss
from zeroskip.model.network.samples import SampleForm, require_shape
from zeroskip.model.network.stages import ConvStage, RecurrentStage, Stage, TableRow, input_image_shape, value_counts


@dataclass(frozen=True, kw_only=True, eq=False)
class StagedNetwork:
    """A network compiled for a core of `geometry`: the rows of its layer table, `layers`, and the `stages` in which
    images go through them. The weights are the core's own fields. `samples` are those with which it was compiled; None
    where that is not known, as in files of version 2."""

    core: ClassVar[str]
    """The core's name in the registry."""
    geometry: Any
    layers: Sequence[TableRow]
    stages: tuple[Stage, ...]
    samples: SampleForm | None = None

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """The shape of a sample: that with which it was compiled, or of the images that the first stage takes. None
        where only the number of values is known."""
        if self.samples is not None:
            return self.samples.shape
        return input_image_shape(self.stages)

    def flat(self, inputs: NDArray[Any], field: str = "inputs") -> NDArray[Any]:
        """Samples (samples x ...), which errors call `field`, as rows of values (samples x inputs). Raises ValueError,
        with a remedy, where their shape is another than the network takes."""
        rows = inputs.reshape(len(inputs), -1)
        if self.samples is None and inputs.ndim == 3 and self.sample_shape == (inputs.shape[1], 1, inputs.shape[2]):
            # Sequences are images of height 1.
            return rows
        if self.sample_shape is None:
            require_shape((self.inputs,), rows, field)
        else:
            require_shape(self.sample_shape, inputs, field, flat=input_image_shape(self.stages) is None)
        return rows

    def run_host(self, index: int, given: list[NDArray[Any]]) -> tuple[NDArray[Any], list[Loss]]:
        """What stage `index`, one of the host's, gives for the values that it reads (each images x values), and what
        the core's number format lost there: floats, and nothing, where a core defines nothing else."""
        stage = self.stages[index]
        assert isinstance(stage, HostStage)
        return stage.compute(*given), []

    def run_cell(
        self, index: int, inputs: NDArray[Any], recurrent: NDArray[Any], left: State | None
    ) -> tuple[NDArray[Any], State]:
        """A step of stage `index`, a recurrent one, from the sums of its inputs and of the state (RunCell): in floats,
        where a core defines nothing else."""
        stage = self.stages[index]
        assert isinstance(stage, RecurrentStage)
        before = stage.first(len(inputs)) if left is None else left
        after = advance(stage.cell, inputs, recurrent, before)
        held = after.hidden.astype(inputs.dtype)
        return held, State(held.astype(np.float64), after.memory)

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
        """How many rows each layer computes for an image: one, or one for each tile of a convolution's positions."""
        return [stage.starts for stage in self.stages for _ in stage.layers]

    @property
    def groups(self) -> list[int]:
        """Groups of each layer's convolution, 1 where it has none."""
        return [stage.groups if isinstance(stage, ConvStage) else 1 for stage in self.stages for _ in stage.layers]

    @property
    def together(self) -> list[int]:
        """How many positions of a convolution each layer computes in one start, 1 where it has none."""
        return [stage.together if isinstance(stage, ConvStage) else 1 for stage in self.stages for _ in stage.layers]

    @property
    def sparse_layers(self) -> list[bool]:
        """Whether each layer runs sparse: all do, but on cores that run a layer dense where that is faster."""
        return [True] * len(self.layers)

    @property
    def weight_counts(self) -> list[int]:
        """Weights of each layer before pruning; the zeros between the groups of a convolution do not count."""
        counts = []
        for stage in self.stages:
            for index in stage.layers:
                layer = self.layers[index]
                if isinstance(stage, ConvStage):
                    counts.append(layer.outputs // stage.together * stage.patch // stage.groups)
                else:
                    counts.append(layer.outputs * layer.inputs)
        return counts
