"""What every core offers on the software side: the protocol `Core`, and the types that its methods exchange.

The registry (zeroskip.model.cores) finds a core by its name. Everything outside of the core's own rooms uses the core
through this protocol alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.data.dataset import accuracy
from zeroskip.model.network.container import Container
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


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerLoad:
    """What a core computes for one layer of a pruned network, as searches count it.

    `kept` (bool, outputs x inputs) says which weights are kept, block-diagonal for a convolution with groups; `rows`
    (bool, starts x inputs) which inputs are not zero, position by position of `images` images. An image has `positions`
    starts. `channels` are the input channels of one of the `groups`. `pattern` is true where the kept weights follow
    the core's own N:M pattern along the channels.
    """

    kept: NDArray[np.bool_]
    rows: NDArray[np.bool_]
    bias: bool
    images: int
    positions: int
    channels: int
    groups: int
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
    """Where the table of a core's cycles is computed; in between it is interpolated.

    `channels` are how many numbers of input and of output channels; `outputs_at_once` how many outputs the hardware
    computes at the same time, where the cycles leap; `densities` the fractions of kept weights, for cores on which any
    single zero saves cycles.
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
    """The frozen dataclass of what its `compile` can be told; every field has a default."""

    def compile(self, network: Any, inputs: NDArray[np.float32], settings: S, progress: Progress = silent) -> N:
        """Compiles a torch network, or what the core's own preparation made of one.

        `inputs` (samples x values, or samples x channels x height x width) are samples of what the network will be
        given: they say how large images are and, for cores that calibrate, how large values get. Raises ValueError
        where the network cannot be folded or does not fit the inputs, the formats or the memories.
        """
        ...

    def save(self, network: N, path: Path) -> None:
        """Writes the compiled network's file; one that stood there is replaced whole or not at all."""
        ...

    def from_container(self, container: Container) -> N:
        """The network that a file holds, all of it checked. Raises BundleError naming field, rule and value."""
        ...

    def outputs(self, network: N, inputs: NDArray[np.float32]) -> NDArray[Any]:
        """What the golden model gives for any number of images (any shape of the network's inputs): float, images x
        outputs, in the user's order. Inputs that do not fit the core's format are clipped, or become infinite."""
        ...

    def rounded_to_zero(self, network: N, source: Any) -> int:
        """Weights that are not zero in `source`, what the network was compiled from, but in the core's formats."""
        ...

    def stored_bits(self, network: N) -> StoredBits:
        """What the network takes in the core's memories, against the dense network."""
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
        """Cycles of an image, from start to done, the mean over `inputs`, of a torch network as it is compiled. Raises
        ValueError where the network cannot be compiled."""
        ...

    def cost_points(self, geometry: Any) -> CostPoints:
        """Where searches compute `layer_cost`."""
        ...

    def weight_bytes(self, density: float, channels: int, geometry: Any) -> float:
        """Bytes that the core stores for each weight of a layer of which the fraction `density` is kept; `channels` are
        the input channels of one group."""
        ...


CHUNK = 250
"""Images that `golden_accuracy` runs between two reports of its progress."""


def golden_accuracy(
    core: Core[Any, Any],
    network: Any,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    progress: Progress = silent,
) -> float:
    """Fraction of the images that the golden model puts into their class; inputs that do not fit are clipped."""
    outputs = []
    for first in range(0, len(inputs), CHUNK):
        progress(Step(task="running the golden model", done=first, total=len(inputs), unit="images"))
        outputs.append(core.outputs(network, inputs[first : first + CHUNK]))
    return accuracy(np.concatenate(outputs), labels)
