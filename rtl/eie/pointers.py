"""Pointer read unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import broadcast_layout, column_layout
from zeroskip.rtl.ports import write_port
from zeroskip.rtl.sram import Sram


class PointerRead(wiring.Component):
    """Looks up where the broadcast column begins and ends (EIE section IV, pointer read unit).

    Pointers p and p + 1 are read in one cycle, from two single-ported banks by parity. A column that has no entry in
    this PE is dropped here.

        even bank:  p0  p2  p4 ...        column j:  j even -> begin = even[j/2],     end = odd[j/2]
        odd bank:   p1  p3  p5 ...                   j odd  -> begin = odd[(j-1)/2],  end = even[(j+1)/2]

    Latency: two cycles (a register stands behind the banks). Throughput: one column a cycle. `o` has no back-pressure:
    a column may be broadcast only if there is room for it.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of broadcast_layout, always ready, in
        Broadcast activations, each with the address of its column pointer.
    o : stream of column_layout, always ready, out
        The columns that have entries in this PE.
    busy : 1, out
        High while a column is in the stages.
    load : write_port(pointers, pointer_bits), in
        Writes a pointer.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(broadcast_layout(geometry), always_ready=True)),
                "o": Out(stream.Signature(column_layout(geometry), always_ready=True)),
                "busy": Out(1),
                "load": In(write_port(geometry.pointers, geometry.pointer_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        half = -(-geometry.pointers // 2)
        m.submodules.even = even = Sram(depth=half, width=geometry.pointer_bits)
        m.submodules.odd = odd = Sram(depth=half, width=geometry.pointer_bits)

        pointer = self.i.payload.pointer
        m.d.comb += [
            even.read.en.eq(self.i.valid),
            even.read.addr.eq((pointer + 1)[1:]),
            odd.read.en.eq(self.i.valid),
            odd.read.addr.eq(pointer[1:]),
        ]
        for bank, parity in ((even, 0), (odd, 1)):
            m.d.comb += [
                bank.write.en.eq(self.load.en & (self.load.addr[0] == parity)),
                bank.write.addr.eq(self.load.addr[1:]),
                bank.write.data.eq(self.load.data),
            ]

        # The column whose pointers are at the banks' outputs.
        reading = Signal()
        begins_odd = Signal(reset_less=True)
        value = Signal(VALUE_BITS, reset_less=True)
        m.d.sync += reading.eq(self.i.valid)
        with m.If(self.i.valid):
            m.d.sync += [begins_odd.eq(pointer[0]), value.eq(self.i.payload.value)]

        # The column whose pointers have arrived.
        arrived = Signal()
        begin = Signal(geometry.pointer_bits, reset_less=True)
        end = Signal(geometry.pointer_bits, reset_less=True)
        m.d.sync += arrived.eq(reading)
        with m.If(reading):
            m.d.sync += [
                begin.eq(Mux(begins_odd, odd.read.data, even.read.data)),
                end.eq(Mux(begins_odd, even.read.data, odd.read.data)),
                self.o.payload.value.eq(value),
            ]
        m.d.comb += [
            self.o.payload.begin.eq(begin),
            self.o.payload.last.eq(end - 1),
            self.o.valid.eq(arrived & (begin != end)),
            self.busy.eq(reading | arrived),
        ]
        return m
