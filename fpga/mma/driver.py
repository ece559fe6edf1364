"""The N:M tile on a board: the driver of its co-simulation, whose programs the board plays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mma.driver import MmaDriver
from zeroskip.fpga.host.host import Host
from zeroskip.fpga.identity import require_board
from zeroskip.fpga.mma.dense import dense_layers
from zeroskip.fpga.mma.linked import tile_layout_digest
from zeroskip.fpga.mma.session import GemmSession
from zeroskip.fpga.torch_rate import TorchRate, torch_rate
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.progress import Progress, silent


class MmaBoardDriver(MmaDriver):
    """Runs stages on a board: a GemmSession takes the place of the simulator's session."""

    def load(self, host: Host, network: MmaNetwork, progress: Progress = silent) -> bool:
        """Loads nothing: each product loads its operands. Raises BoardError where the board is another."""
        geometry = network.geometry
        layout = tile_layout_digest(geometry)
        require_board(host.pipe.name, host.facts, core="mma", geometry=geometry, layout=layout)
        return True

    def torch_rate(self, network: MmaNetwork, inputs: NDArray[np.float32]) -> TorchRate:
        """The rate of torch on this machine, for the inputs of the first stage."""
        return torch_rate(network.stages, dense_layers(network), inputs)

    def session(self, host: Host, network: MmaNetwork) -> Any:
        """What `run_stage` takes."""
        return GemmSession(host, network.geometry)


DRIVER = MmaBoardDriver()
