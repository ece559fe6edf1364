"""Finds the board's side of a core by its name in the registry."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from zeroskip.model.cores import core_entry


def load_board_driver(name: str) -> Any:
    """The driver of a core on boards, `zeroskip.fpga.<name>.driver.DRIVER`: that of its co-simulation
    (zeroskip.cosim.driver), and the methods `load`, `session`, `torch_rate`. Raises ValueError for an unknown name."""
    return import_module(f"zeroskip.fpga.{core_entry(name).name}.driver").DRIVER


def simulated_board(name: str) -> Any:
    """What makes a simulated board with a core, `zeroskip.fpga.simulation.<name>.simulated_board`. Raises ValueError
    for an unknown name."""
    return import_module(f"zeroskip.fpga.simulation.{core_entry(name).name}").simulated_board


def board_fitting(name: str) -> Any:
    """What lays a network out for a board, `zeroskip.fpga.bitstream.<name>.fit.fitting`. Raises ValueError for an
    unknown name."""
    return import_module(f"zeroskip.fpga.bitstream.{core_entry(name).name}.fit").fitting


def core_on_board(name: str) -> Any:
    """What makes the design of a board with a core, `zeroskip.fpga.bitstream.<name>.design.board_design`. Raises
    ValueError for an unknown name."""
    return import_module(f"zeroskip.fpga.bitstream.{core_entry(name).name}.design").board_design
