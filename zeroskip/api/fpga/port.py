"""The port of a board, real or simulated. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from zeroskip.model.progress import Progress, Step

SIMULATED = {"sim": True, "sim-fast": False}
"""The ports that are simulations: whether bytes go over the serial pins."""


def open_port(
    port: str, *, baud: int, simulated: Callable[..., AbstractContextManager[Any]], progress: Progress
) -> AbstractContextManager[Any]:
    """The pipe to a board, as a context: a serial port of `baud`, or what `simulated` makes of the arguments `pins` and
    `announce` (zeroskip.fpga.simulation). Raises SimulatorError where the simulator is missing."""
    if port not in SIMULATED:
        from zeroskip.fpga.host.serial_port import SerialPipe

        return SerialPipe(port, baud=baud)
    from zeroskip.cosim.simulator import Simulator, require_tools

    require_tools(Simulator.VERILATOR)
    return simulated(pins=SIMULATED[port], announce=lambda task: progress(Step(task=task)))
