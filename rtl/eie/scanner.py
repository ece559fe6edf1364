"""Search for the non-zero activations of a layer's input."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.lnzd import Lnzd


def found_layout(geometry: EieGeometry) -> data.StructLayout:
    """Column `index` is to be broadcast; the `bias` column has no activation to fetch."""
    return data.StructLayout({"index": bits_for(geometry.activations + 1), "bias": 1})


class NonzeroScanner(wiring.Component):
    """Finds the non-zero activations in increasing order, and the bias column behind them.

    `begin` starts over, once what was found before has gone; `inputs` and `bias` are the layer's. The flags of
    `geometry.window` activations are looked at in one cycle: in the next, the first of them is at `o`, and the others
    follow one a cycle. Windows without a non-zero are passed over, one a cycle, while those found before are still
    going out. `exhausted` is high once everything has gone.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        self.windows = geometry.activation_rows // geometry.rows_per_window
        super().__init__(
            {
                "begin": In(1),
                "enable": In(1),
                "inputs": In(bits_for(geometry.activations + 1)),
                "bias": In(1),
                "window": Out(bits_for(self.windows)),
                "flags": In(geometry.window),
                "o": Out(stream.Signature(found_layout(geometry))),
                "exhausted": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width = self.geometry.window
        shift = width.bit_length() - 1

        # The window being looked at; the bias column stands in one of its own behind the last.
        ahead = Signal(bits_for(self.windows + 2))
        inputs_before = Signal(len(self.inputs) + 1)
        at_bias, looking = Signal(), Signal()
        candidates = Signal(width)
        m.d.comb += [
            self.window.eq(ahead),
            inputs_before.eq(ahead << shift),
            at_bias.eq(self.bias & (inputs_before >= self.inputs)),
            looking.eq(
                self.enable & ((inputs_before < self.inputs) | (at_bias & (inputs_before < self.inputs + width)))
            ),
        ]
        remaining = (self.inputs - inputs_before)[: len(self.inputs)]
        with m.If(at_bias):
            m.d.comb += candidates.eq(1)
        with m.Elif(remaining >= width):
            m.d.comb += candidates.eq(self.flags)
        with m.Else():
            m.d.comb += candidates.eq(self.flags & ((1 << remaining[:shift]) - 1))

        # The window going out.
        pending = Signal(width)
        base = Signal.like(ahead)
        is_bias = Signal()
        m.submodules.lnzd = lnzd = Lnzd(width)
        rest = pending & (pending - 1)
        found = self.o.valid & self.o.ready
        m.d.comb += [
            lnzd.i.eq(pending),
            self.o.valid.eq(lnzd.any),
            self.o.payload.index.eq(Mux(is_bias, self.inputs, (base << shift) | lnzd.index)),
            self.o.payload.bias.eq(is_bias),
            self.exhausted.eq(~looking & ~lnzd.any),
        ]
        free = ~lnzd.any | (found & (rest == 0))
        with m.If(found):
            m.d.sync += pending.eq(rest)
        with m.If(looking & free & candidates.any()):
            m.d.sync += [pending.eq(candidates), base.eq(ahead), is_bias.eq(at_bias)]
        with m.If(looking & (free | ~candidates.any())):
            m.d.sync += ahead.eq(ahead + 1)
        with m.If(self.begin):
            m.d.sync += ahead.eq(0)
        return m
