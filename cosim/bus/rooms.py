"""The packages of cores on buses, by the names of the cores."""

from __future__ import annotations

from zeroskip.cosim.bus.eie_package import ArrayOnBus
from zeroskip.cosim.bus.list_package import BUS, ArrayOnMemory
from zeroskip.cosim.bus.mapping_package import MapperOnBus
from zeroskip.cosim.bus.mma_package import GemmOnBus
from zeroskip.cosim.package.description import CorePackage


def on_bus(core: str, bus: str, stream_bits: int | None, *, system: bool = False) -> CorePackage:
    """What makes the package of a core on a bus. `stream_bits` is for the EIE array, whose streams have a width to
    choose, and so is `system`, a processor beside it."""
    if bus == BUS:
        return ArrayOnMemory()
    if core == "eie":
        return ArrayOnBus(bus, stream_bits, system=system)
    return GemmOnBus(bus) if core == "mma" else MapperOnBus(bus)
