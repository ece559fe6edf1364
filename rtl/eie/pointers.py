"""Pointer read unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import broadcast_layout, column_layout
from zeroskip.rtl.sram import Sram


class PointerRead(wiring.Component):
    """Looks up where the broadcast column begins and ends (EIE section IV, pointer read unit).

    Pointers p and p + 1 are read in one cycle, from two single-ported banks by parity. A column that holds no entry
    in this PE goes no further.

        even bank:  p0  p2  p4 ...        column j:  j even -> begin = even[j/2],     end = odd[j/2]
        odd bank:   p1  p3  p5 ...                   j odd  -> begin = odd[(j-1)/2],  end = even[(j+1)/2]

    Latency: `o` is valid in the cycle after `i.valid`. `o` has no back-pressure: who raises `i.valid` has made sure
    that there is room (`busy` is high while a column may come out). Throughput: one column a cycle.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(broadcast_layout(geometry), always_ready=True)),
                "o": Out(stream.Signature(column_layout(geometry), always_ready=True)),
                "busy": Out(1),
                "load_en": In(1),
                "load_addr": In(bits_for(geometry.pointers)),
                "load_data": In(geometry.pointer_bits),
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
            even.r_en.eq(self.i.valid),
            even.r_addr.eq((pointer + 1)[1:]),
            odd.r_en.eq(self.i.valid),
            odd.r_addr.eq(pointer[1:]),
        ]
        for bank, parity in ((even, 0), (odd, 1)):
            m.d.comb += [
                bank.w_en.eq(self.load_en & (self.load_addr[0] == parity)),
                bank.w_addr.eq(self.load_addr[1:]),
                bank.w_data.eq(self.load_data),
            ]

        # The column whose pointers stand at the banks' outputs.
        begins_odd = Signal()
        value = Signal(VALUE_BITS)
        m.d.sync += self.busy.eq(self.i.valid)
        with m.If(self.i.valid):
            m.d.sync += [begins_odd.eq(pointer[0]), value.eq(self.i.payload.value)]
        m.d.comb += [
            self.o.payload.value.eq(value),
            self.o.payload.begin.eq(Mux(begins_odd, odd.r_data, even.r_data)),
            self.o.payload.end.eq(Mux(begins_odd, even.r_data, odd.r_data)),
            self.o.valid.eq(self.busy & (even.r_data != odd.r_data)),
        ]
        return m
