"""The mapping unit on each of the buses: AXI, APB, Wishbone, with its triples over AXI4-Stream."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.bus.apb import Apb
from zeroskip.rtl.bus.axi import AxiLite, axi_stream
from zeroskip.rtl.bus.flat import flat_members
from zeroskip.rtl.bus.mapping_shell import MapperShell
from zeroskip.rtl.bus.on_bus import OnBus
from zeroskip.rtl.bus.triples import TRIPLE_BITS
from zeroskip.rtl.bus.wishbone import Wishbone


def stream_bits(geometry: MapperGeometry) -> int:
    """Bits of TDATA: as many triples as the unit finds in a cycle."""
    return geometry.pairs * TRIPLE_BITS


class _BusMapper(OnBus):
    """A unit, with a stream of triples."""

    def __init__(self, geometry: MapperGeometry) -> None:
        super().__init__(MapperShell(geometry), flat_members("m_axis", axi_stream(stream_bits(geometry))))

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        triples = self.shell.triples
        m.d.comb += [
            self.m_axis_tvalid.eq(triples.valid),
            self.m_axis_tdata.eq(triples.payload.data),
            self.m_axis_tkeep.eq(triples.payload.keep),
            self.m_axis_tlast.eq(triples.payload.last),
            triples.ready.eq(self.m_axis_tready),
        ]
        return m


class AxiMapper(_BusMapper):
    """A mapping unit with an AXI4-Lite port for registers and memories, and an AXI4-Stream of triples.

    Latency: an access to a register is answered `access_latency` cycles after its address was taken.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    s_axi : axi_lite, in
        Registers and windows.
    m_axis : axi_stream, out
        Triples. A packet is a map; each triple is four numbers of 32 bits: offset, input, output and zero.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_axi"
    adapter = AxiLite
    access_latency = 3


class ApbMapper(_BusMapper):
    """A mapping unit with an APB4 port for registers and memories, and an AXI4-Stream of triples.

    Latency: an access to a register is answered `access_latency` cycles after `s_apb_penable` rose.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    s_apb : apb, in
        Registers and windows.
    m_axis : axi_stream, out
        Triples. A packet is a map; each triple is four numbers of 32 bits: offset, input, output and zero.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_apb"
    adapter = Apb
    access_latency = 1


class WishboneMapper(_BusMapper):
    """A mapping unit with a Wishbone B4 port for registers and memories, and an AXI4-Stream of triples.

    Latency: an access to a register is answered `access_latency` cycles after `s_wb_stb` rose.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    s_wb : wishbone, in
        Registers and windows.
    m_axis : axi_stream, out
        Triples. A packet is a map; each triple is four numbers of 32 bits: offset, input, output and zero.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_wb"
    adapter = Wishbone
    access_latency = 3


BUSES: dict[str, type[_BusMapper]] = {"axi": AxiMapper, "apb": ApbMapper, "wishbone": WishboneMapper}
"""The units on buses, by the names of the buses."""
