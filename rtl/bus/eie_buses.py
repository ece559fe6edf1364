"""The EIE array on each of the buses: AXI, APB, Wishbone, with images and results over AXI4-Stream; or on AXI, with
images and results in a memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.apb import Apb
from zeroskip.rtl.bus.axi import AxiLite, axi_memory, axi_stream
from zeroskip.rtl.bus.eie_shell import ArrayShell, ListShell
from zeroskip.rtl.bus.flat import connect_flat, flat_members
from zeroskip.rtl.bus.on_bus import OnBus
from zeroskip.rtl.bus.wishbone import Wishbone


class _BusArray(OnBus):
    """An array, with streams of images and results."""

    def __init__(self, geometry: EieGeometry, *, stream_bits: int) -> None:
        super().__init__(
            ArrayShell(geometry, stream_bits=stream_bits),
            {
                **flat_members("s_axis", axi_stream(stream_bits).flip()),
                **flat_members("m_axis", axi_stream(stream_bits)),
            },
        )

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        images, results = self.shell.images, self.shell.results
        m.d.comb += [
            images.valid.eq(self.s_axis_tvalid),
            images.payload.data.eq(self.s_axis_tdata),
            images.payload.keep.eq(self.s_axis_tkeep),
            images.payload.last.eq(self.s_axis_tlast),
            self.s_axis_tready.eq(images.ready),
            self.m_axis_tvalid.eq(results.valid),
            self.m_axis_tdata.eq(results.payload.data),
            self.m_axis_tkeep.eq(results.payload.keep),
            self.m_axis_tlast.eq(results.payload.last),
            results.ready.eq(self.m_axis_tready),
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


class AxiMasterArray(OnBus):
    """An EIE array with an AXI4-Lite port for registers and memories, and an AXI4 port to a memory, from which it takes
    lists of descriptors, networks and images, and to which it writes results.

    Latency: an access to a register is answered `access_latency` cycles after its address was taken, or up to three
    cycles later where the list makes one.

    Parameters
    ----------
    geometry : EieGeometry
        Of two PEs at least, or ValueError.

    Ports
    -----
    s_axi : axi_lite, in
        Registers and windows.
    m_axi : axi_memory, out
        The memory: words of 32 bits, two values each, the first in the low half.
    irq : 1, out
        Interrupt, high while an event is set that is enabled.
    """

    port = "s_axi"
    adapter = AxiLite
    access_latency = 3

    def __init__(self, geometry: EieGeometry) -> None:
        super().__init__(ListShell(geometry), flat_members("m_axi", axi_memory()))

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        connect_flat(m, self, "m_axi", self.shell.memory)
        return m


BUSES: dict[str, type[_BusArray]] = {"axi": AxiArray, "apb": ApbArray, "wishbone": WishboneArray}
"""The arrays on buses with streams, by the names of the buses."""
