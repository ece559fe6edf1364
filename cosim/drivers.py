"""Finds the co-simulation side of a core by its name in the registry."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zeroskip.model.cores import core_entry

if TYPE_CHECKING:
    from zeroskip.cosim.driver import Driver


def load_driver(name: str) -> Driver[Any, Any, Any]:
    """The driver of a core, `zeroskip.cosim.<name>.driver.DRIVER`. Raises ValueError for an unknown name."""
    driver: Driver[Any, Any, Any] = import_module(f"zeroskip.cosim.{core_entry(name).name}.driver").DRIVER
    return driver
