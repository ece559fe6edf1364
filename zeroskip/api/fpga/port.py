"""The port of a board, real or simulated. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from zeroskip.model.progress import Progress, Step

SIMULATED = {"sim": "uart", "sim-usb": "usb", "sim-fast": "streams"}
"""The ports that are simulations, and what carries the bytes (zeroskip.fpga.simulation.carriers)."""

SIMULATED_MHZ = 30.0
"""The clock of a simulated board: that of a build for an ECP5 board, where the user asks for no other."""

CLOCKS_MHZ = (1.0, 1000.0)
"""The slowest and the fastest clock of a simulated board."""


def require_simulated_clock(mhz: float) -> None:
    """Raises ValueError for a clock that no board has."""
    low, high = CLOCKS_MHZ
    if not low <= mhz <= high:
        raise ValueError(f"clock must be from {low:g} to {high:g} MHz, not {mhz:g}")


def require_simulated_line(port: str, baud: int, mhz: float) -> None:
    """Raises ValueError where `port` is a simulated board with a serial line that its clock cannot carry. The bits of
    a simulated line take as many cycles as suit the simulation; the rate that the figures name must be one that a board
    with this clock has, too."""
    if SIMULATED.get(port) in ("uart", "streams"):
        from zeroskip.rtl.link.uart import phase_step

        phase_step(mhz * 1e6, baud)


def open_port(
    port: str, *, baud: int, simulated: Callable[..., AbstractContextManager[Any]], progress: Progress
) -> AbstractContextManager[Any]:
    """The pipe to a board, as a context: a serial port of `baud`, or what `simulated` makes of the arguments `carrier`
    and `announce` (zeroskip.fpga.simulation). Raises SimulatorError where the simulator is missing, and ToolError where
    the package for USB is."""
    if port not in SIMULATED:
        from zeroskip.fpga.host.serial_port import SerialPipe

        return SerialPipe(port, baud=baud)
    from zeroskip.cosim.simulator import Simulator, require_tools

    require_tools(Simulator.VERILATOR)
    carrier = SIMULATED[port]
    if carrier == "usb":
        from zeroskip.fpga.bitstream.flow import require_package

        require_package("luna-usb")
    return simulated(carrier=carrier, announce=lambda task: progress(Step(task=task)))
