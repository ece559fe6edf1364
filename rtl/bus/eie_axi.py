"""The EIE array on AXI."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.axi import AxiLite, axi_lite, axi_stream
from zeroskip.rtl.bus.eie_shell import ArrayShell
from zeroskip.rtl.bus.flat import connect_flat, flat_members


class AxiArray(wiring.Component):
    """An EIE array with an AXI4-Lite port for registers and memories, and AXI4-Streams of images and results.

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

    def __init__(self, geometry: EieGeometry, *, stream_bits: int) -> None:
        self.shell = ArrayShell(geometry, stream_bits=stream_bits)
        self.described = self.shell.described
        super().__init__(
            {
                **flat_members("s_axi", axi_lite(self.described.address_bits).flip()),
                **flat_members("s_axis", axi_stream(stream_bits).flip()),
                **flat_members("m_axis", axi_stream(stream_bits)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.shell = shell = self.shell
        m.submodules.axi_lite = lite = AxiLite(self.described.address_bits)
        wiring.connect(m, lite.access, shell.access)
        connect_flat(m, self, "s_axi", lite.bus)
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
