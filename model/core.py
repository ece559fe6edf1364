"""The software side of every core: the protocol `Core`, and the types that its methods exchange.

The registry (zeroskip.model.cores) finds a core by its name. Everything outside of the core's own rooms uses the core
only through this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.container import Container
from zeroskip.model.network.losses import Loss, joined
from zeroskip.model.network.staged import StagedNetwork
from zeroskip.model.progress import Progress, Step, silent


@dataclass(frozen=True, kw_only=True, eq=False)
class Cycles:
    """Cycles of a run. The core works on `batches` of one or more images.

    `by_layer` (int64, batches x layers) are the cycles of each layer, `totals` (int64, batches) those from the first
    start to the last done, `images` (int64, batches) how many images each batch has.
    """

    by_layer: NDArray[np.int64]
    totals: NDArray[np.int64]
    images: NDArray[np.int64]

    @property
    def per_image(self) -> NDArray[np.float64]:
        """Cycles of each image (images,): its share of its batch."""
        return np.repeat(self.totals / self.images, self.images)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The windows of a convolution, down and across: how many positions they have (`size`), and which values they
    see."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerLoad:
    """What a core computes for one layer of a pruned network, as searches count it.

    `kept` (bool, outputs x inputs) says which weights are kept, block-diagonal for a convolution with groups; `rows`
    (bool, starts x inputs) which inputs are not zero, position by position of `images` images. An image has `positions`
    starts. `channels` are the input channels of one of the `groups`. `windows` are those of a convolution without
    dilation, otherwise None. `pattern` is true where the kept weights follow the core's own N:M pattern along the
    channels.
    """

    kept: NDArray[np.bool_]
    rows: NDArray[np.bool_]
    bias: bool
    images: int
    positions: int
    channels: int
    groups: int
    windows: Windows | None
    pattern: bool


@dataclass(frozen=True, kw_only=True)
class StoredBits:
    """`dense` bits are each weight and bias of the unpruned network as a 32-bit float, `image` those in the core."""

    dense: int
    image: int

    @property
    def ratio(self) -> float:
        """The compression ratio."""
        return self.dense / self.image

    def summary(self) -> dict[str, float]:
        """As in the commands' JSON."""
        return {"dense": self.dense, "image": self.image, "ratio": self.ratio}


@dataclass(frozen=True, kw_only=True)
class CostPoints:
    """The points at which the table of a core's cycles is computed; between them it is interpolated.

    `channels` is how many different numbers of input and of output channels the table has; `outputs_at_once` the
    number of outputs computed in parallel: cycles jump at its multiples; `densities` the fractions of kept weights, for
    cores on which any single zero saves cycles.
    """

    channels: int
    outputs_at_once: int
    densities: tuple[float, ...] | None


N = TypeVar("N", bound=StagedNetwork)
S = TypeVar("S")


class Core(Protocol[N, S]):
    """The software side of a core, for its compiled networks `N` and its compile settings `S`."""

    name: str
    """As in the registry, in files and in commands."""
    title: str
    """As people read it."""
    settings_type: type[S]
    """The frozen dataclass of the settings of `compile`; every field has a default."""

    def compile(self, network: Any, inputs: NDArray[np.float32], settings: S, progress: Progress = silent) -> N:
        """Compiles a torch network, or the result of the core's own preparation.

        `inputs` (samples x values, or samples x channels x height x width) are samples of the later
        inputs. They give the image size and, for cores that calibrate, the value range; shape and range are kept in
        `samples` of the result. Raises ValueError if the
        network cannot be folded or does not fit the inputs, the formats or the memories.
        """
        ...

    def save(self, network: N, path: Path) -> None:
        """Writes the compiled network's file; an existing file is replaced completely or not at all."""
        ...

    def from_container(self, container: Container) -> N:
        """The network in a file, after all checks. Raises BundleError naming field, rule and value."""
        ...

    def outputs(self, network: N, inputs: NDArray[np.float32]) -> NDArray[Any]:
        """The golden model's outputs for any number of images (any shape of the network's inputs): float, images x
        outputs, in the user's order. Inputs that do not fit the core's format are clipped, or become infinite."""
        ...

    def rounded_to_zero(self, network: N, source: Any) -> int:
        """Weights of `source`, from which the network was compiled, that are not zero but round to zero in the core's
        formats."""
        ...

    def stored_bits(self, network: N) -> StoredBits:
        """The network's size in the core's memories, compared with the dense network."""
        ...

    def layer_facts(self, network: N) -> list[tuple[str, str]]:
        """How the core runs each layer, and its sizes, as (label, value) for people."""
        ...


class SearchCosts(Protocol):
    """What searches ask about a core: the module `zeroskip.model.<name>.costs` has these functions. Cores without a
    cost in the registry need none of them."""

    def search_geometry(self, pattern: str, sizes: Mapping[str, int]) -> Any:
        """The geometry on which searches for networks with the N:M `pattern` ("2:4") count cycles; `sizes` are fields
        of it that differ from their defaults."""
        ...

    def layer_cost(self, load: LayerLoad, geometry: Any) -> float:
        """Cycles of an image in one layer."""
        ...

    def network_cost(self, module: Any, inputs: NDArray[np.float32], geometry: Any) -> float:
        """Compiles a torch network and returns its cycles for an image, from start to done, the mean over `inputs`.
        Raises ValueError if the network cannot be compiled."""
        ...

    def cost_points(self, geometry: Any) -> CostPoints:
        """The points at which searches compute `layer_cost`."""
        ...

    def weight_bytes(self, density: float, channels: int, geometry: Any) -> float:
        """Bytes that the core stores for each weight of a layer that keeps the fraction `density`; `channels` are the
        input channels of one group."""
        ...


@runtime_checkable
class CountsLosses(Protocol):
    """A core whose golden model counts what the number formats lose."""

    def outputs_and_losses(self, network: Any, inputs: NDArray[np.float32]) -> tuple[NDArray[Any], list[Loss]]:
        """As `Core.outputs`, and the losses of each layer."""
        ...

    def weight_losses(self, network: Any, source: Any) -> list[Loss]:
        """The losses of each layer's weights, which `Core.rounded_to_zero` counts together."""
        ...


def weight_losses(core: Core[Any, Any], network: Any, source: Any) -> list[Loss]:
    """The losses of each layer's weights, in a network that was compiled from `source`; none for a core that does not
    count them."""
    return core.weight_losses(network, source) if isinstance(core, CountsLosses) else []


_CHUNK, _MULTIPLICATIONS = 250, 1 << 31
"""The golden model runs at most so many images, and multiplications, between two progress reports."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldenRun:
    """`outputs` of the golden model (float, images x outputs), and the `losses` of cores that count them."""

    outputs: NDArray[Any]
    losses: tuple[Loss, ...]


def golden_run(
    core: Core[Any, Any], network: Any, inputs: NDArray[np.float32], progress: Progress = silent
) -> GoldenRun:
    """Runs images (images x ...) through the golden model; inputs that do not fit are clipped."""
    layers = zip(network.layers, network.starts, strict=True)
    work = sum(layer.inputs * layer.outputs * starts for layer, starts in layers)
    together = max(1, min(_CHUNK, _MULTIPLICATIONS // max(work, 1)))
    outputs: list[NDArray[Any]] = []
    losses: list[Loss] = []
    for first in range(0, len(inputs), together):
        progress(Step(task="running the golden model", done=first, total=len(inputs), unit="images"))
        images = inputs[first : first + together]
        if isinstance(core, CountsLosses):
            values, lost = core.outputs_and_losses(network, images)
            losses += lost
        else:
            values = core.outputs(network, images)
        outputs.append(values)
    return GoldenRun(outputs=np.concatenate(outputs), losses=tuple(joined(losses)))
