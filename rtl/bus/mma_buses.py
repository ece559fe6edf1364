"""The N:M tile, with its memories, on each of the buses: AXI, APB, Wishbone."""

from __future__ import annotations

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus.apb import Apb
from zeroskip.rtl.bus.axi import AxiLite
from zeroskip.rtl.bus.mma_shell import GemmShell
from zeroskip.rtl.bus.on_bus import OnBus
from zeroskip.rtl.bus.wishbone import Wishbone


class _BusGemm(OnBus):
    """A tile."""

    def __init__(self, geometry: TileGeometry) -> None:
        super().__init__(GemmShell(geometry), {})


class AxiGemm(_BusGemm):
    """An N:M tile with its memories, and an AXI4-Lite port for registers and memories.

    Latency: an access to a register is answered `access_latency` cycles after its address was taken.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    s_axi : axi_lite, in
        Registers and windows.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_axi"
    adapter = AxiLite
    access_latency = 3


class ApbGemm(_BusGemm):
    """An N:M tile with its memories, and an APB4 port for registers and memories.

    Latency: an access to a register is answered `access_latency` cycles after `s_apb_penable` rose.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    s_apb : apb, in
        Registers and windows.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_apb"
    adapter = Apb
    access_latency = 1


class WishboneGemm(_BusGemm):
    """An N:M tile with its memories, and a Wishbone B4 port for registers and memories.

    Latency: an access to a register is answered `access_latency` cycles after `s_wb_stb` rose.

    Parameters
    ----------
    geometry : TileGeometry

    Ports
    -----
    s_wb : wishbone, in
        Registers and windows.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_wb"
    adapter = Wishbone
    access_latency = 3


BUSES: dict[str, type[_BusGemm]] = {"axi": AxiGemm, "apb": ApbGemm, "wishbone": WishboneGemm}
"""The tiles on buses, by the names of the buses."""
