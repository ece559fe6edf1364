"""The co-simulation side of every core: the protocol `Driver`, and the types that its methods exchange.

zeroskip.cosim.drivers finds a driver by the core's name. Everything outside of the core's own rooms uses a driver
only through this protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.build import Design
from zeroskip.cosim.session import Session, Setup
from zeroskip.cosim.simulator import LoadName
from zeroskip.cosim.viewer.viewer import Viewer
from zeroskip.cosim.waves.decoder import Decoder
from zeroskip.cosim.waves.shown import Group
from zeroskip.model.core import Cycles
from zeroskip.model.network.losses import Loss
from zeroskip.model.network.stages import Stage

if TYPE_CHECKING:
    from zeroskip.cosim.verify import Verification


@dataclass(frozen=True, kw_only=True, eq=False)
class StageRun:
    """One stage of a batch on the RTL, compared with the golden model and the cycle model.

    `outputs` (rows x outputs) are the RTL's outputs, in the form in which the host passes them to the next stage.
    `by_layer` (int64, batches x layers of the stage) and `totals` (int64, batches) are cycles as in
    zeroskip.model.core.Cycles. `values` results were compared, of which `mismatches` differ. `saturated` counts, by
    kind, values that did not fit the core's formats, and `losses` by layer what these lost. A core's own driver adds
    what its report needs. Of a recurrent stage, each step is a run by itself.
    """

    layers: range
    """Those of the stage."""
    outputs: NDArray[Any]
    by_layer: NDArray[np.int64]
    totals: NDArray[np.int64]
    values: int
    mismatches: int
    cycle_model_equal: bool
    saturated: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, eq=False)
class RtlRun:
    """A batch on the RTL. `values` (images x values) are the outputs of the last stage, in the core's own order and
    form. A core's own driver adds what its report needs."""

    values: NDArray[Any]
    cycles: Cycles

    @property
    def utilisation(self) -> float:
        """The fraction of the core's multiplications that were useful, of all that were possible in these cycles."""
        raise NotImplementedError


N = TypeVar("N", contravariant=True)
S = TypeVar("S", bound=StageRun)
R = TypeVar("R", bound=RtlRun, covariant=True)


class Driver(Protocol[N, S, R]):
    """The co-simulation side of a core, for its compiled networks `N`, and its records `S` of stages and `R` of
    runs."""

    files: tuple[str, ...]
    """Plusargs of the player, each with the name of a file that it writes in addition to its record."""

    def design(self, geometry: Any) -> Design:
        """The player with a core of `geometry`."""
        ...

    def shown(self, geometry: Any) -> list[Group]:
        """What a viewer shows of the player's waveform."""
        ...

    def decoder(self, geometry: Any) -> Decoder:
        """What makes a trace of the player's waveform."""
        ...

    def viewer(self, network: N, inputs: NDArray[Any]) -> Viewer:
        """What makes a page of the player's waveform that shows the cycles of a batch."""
        ...

    def setup(self, network: N, load: LoadName) -> Setup:
        """What the core's memories hold before all stages. Empty if every stage loads what it needs."""
        ...

    def images_together(self, network: N, images: int) -> int:
        """How many images of a run of `images` go through the stages together."""
        ...

    def run_stage(
        self, session: Session, network: N, stage: Stage, rows: NDArray[Any], on_rows: Callable[[int], None]
    ) -> S:
        """Runs a stage on its rows, on the RTL and on both models. `on_rows` is called with the number of finished
        rows.

        Calls `session.fail` if the RTL differs from a model.
        """
        ...

    def finish(self, network: N, values: NDArray[Any], cycles: Cycles, batches: Sequence[Sequence[S]]) -> R:
        """Makes the whole run from the stages of each batch."""
        ...

    def encode(self, network: N, inputs: NDArray[np.float32], *, saturate: bool) -> tuple[NDArray[Any], int]:
        """Inputs (images x any shape) in the form that the first stage takes, and how many were clipped.
        Raises ValueError if one does not fit and `saturate` is not set."""
        ...

    def decode(self, network: N, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The outputs of the network in the user's order (images x outputs): as floats, and as the core's own bits."""
        ...

    def rows(self, verification: Verification) -> list[tuple[str, str]]:
        """The core's own sizes and events for people, as (label, value)."""
        ...

    def sections(self, verification: Verification) -> Any:
        """The core's part of the report (zeroskip.cosim.report)."""
        ...
