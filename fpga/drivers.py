"""Finds the board's side of a core by its name in the registry."""

from __future__ import annotations

from typing import Any


def load_board_driver(name: str) -> Any:
    """The driver of a core on boards. Raises ValueError for a core that has none."""
    if name != "eie":
        raise ValueError(f"a network for a board must be for the EIE array (core eie), not for the core {name}")
    from zeroskip.fpga.eie.driver import EieBoardDriver

    return EieBoardDriver()
