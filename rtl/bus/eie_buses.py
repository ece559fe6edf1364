"""The EIE array on each of the buses: AXI, APB, Wishbone. Images and results go over AXI4-Stream with all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.apb import Apb
from zeroskip.rtl.bus.axi import AxiLite, axi_stream
from zeroskip.rtl.bus.eie_shell import ArrayShell
from zeroskip.rtl.bus.flat import connect_flat, flat_members
from zeroskip.rtl.bus.wishbone import Wishbone


class _BusArray(wiring.Component):
    """What the arrays on the buses have in common: `port` is the name of the bus' port, and `adapter` makes its
    accesses."""

    port: str
    adapter: Callable[[int], Any]

    def __init__(self, geometry: EieGeometry, *, stream_bits: int) -> None:
        self._shell = ArrayShell(geometry, stream_bits=stream_bits)
        self.described = self._shell.described
        self._adapter = type(self).adapter(self.described.address_bits)
        super().__init__(
            {
                **flat_members(self.port, self._adapter.bus.signature),
                **flat_members("s_axis", axi_stream(stream_bits).flip()),
                **flat_members("m_axis", axi_stream(stream_bits)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.shell = shell = self._shell
        m.submodules.adapter = adapter = self._adapter
        wiring.connect(m, adapter.access, shell.access)
        connect_flat(m, self, self.port, adapter.bus)
        m.d.comb += [
            shell.images.valid.eq(self.s_axis_tvalid),
            shell.images.payload.data.eq(self.s_axis_tdata),
            shell.images.payload.keep.eq(self.s_axis_tkeep),
            shell.images.payload.last.eq(self.s_axis_tlast),
            self.s_axis_tready.eq(shell.images.ready),
            self.m_axis_tvalid.eq(shell.results.valid),
            self.m_axis_tdata.eq(shell.results.payload.data),
            self.m_axis_tkeep.eq(shell.results.payload.keep),
            self.m_axis_tlast.eq(shell.results.payload.last),
            shell.results.ready.eq(self.m_axis_tready),
            self.irq.eq(shell.irq),
        ]
        return m


class AxiArray(_BusArray):
    """An EIE array with an AXI4-Lite port for registers and memories, and AXI4-Streams of images and results.

    Latency: an access to a register is answered `access_latency` cycles after its address was taken.

    Parameters
    ----------
    geometry : EieGeometry
    stream_bits
        Bits of TDATA of both streams: 16, 32 or 64, and at most 16 for each PE. ValueError otherwise.

    Ports
    -----
    s_axi : axi_lite, in
        Registers and windows.
    s_axis : axi_stream, in
        Images. A packet is an image; each value has 16 bits, the first one the lowest.
    m_axis : axi_stream, out
        Results. A packet is the result of an image.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_axi"
    adapter = AxiLite
    access_latency = 3


class ApbArray(_BusArray):
    """An EIE array with an APB4 port for registers and memories, and AXI4-Streams of images and results.

    Latency: an access to a register is answered `access_latency` cycles after `s_apb_penable` rose.

    Parameters
    ----------
    geometry : EieGeometry
    stream_bits
        Bits of TDATA of both streams: 16, 32 or 64, and at most 16 for each PE. ValueError otherwise.

    Ports
    -----
    s_apb : apb, in
        Registers and windows.
    s_axis : axi_stream, in
        Images. A packet is an image; each value has 16 bits, the first one the lowest.
    m_axis : axi_stream, out
        Results. A packet is the result of an image.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_apb"
    adapter = Apb
    access_latency = 1


class WishboneArray(_BusArray):
    """An EIE array with a Wishbone B4 port for registers and memories, and AXI4-Streams of images and results.

    Latency: an access to a register is answered `access_latency` cycles after `s_wb_stb` rose.

    Parameters
    ----------
    geometry : EieGeometry
    stream_bits
        Bits of TDATA of both streams: 16, 32 or 64, and at most 16 for each PE. ValueError otherwise.

    Ports
    -----
    s_wb : wishbone, in
        Registers and windows.
    s_axis : axi_stream, in
        Images. A packet is an image; each value has 16 bits, the first one the lowest.
    m_axis : axi_stream, out
        Results. A packet is the result of an image.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_wb"
    adapter = Wishbone
    access_latency = 3


BUSES: dict[str, type[_BusArray]] = {"axi": AxiArray, "apb": ApbArray, "wishbone": WishboneArray}
"""The arrays on buses, by the names of the buses."""
