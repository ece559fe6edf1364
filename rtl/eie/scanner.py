"""Search for the non-zero activations of a layer's input."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.layouts import found_layout
from zeroskip.rtl.eie.lnzd import Lnzd


class NonzeroScanner(wiring.Component):
    """Finds the non-zero activations in increasing order, and then the bias column.

    Latency: the flags of `geometry.window` activations are examined in one cycle; the first of them is at `o` in the
    next. Throughput: one activation a cycle. Windows without a non-zero activation are skipped, one a cycle, while
    activations that were found earlier leave.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    begin : 1, in
        Starts over; allowed when everything found before has left.
    enable : 1, in
        Search while high.
    inputs : bits_for(activations + 1), in
        Inputs of the layer.
    bias : 1, in
        High if the layer has a bias column.
    window : bits_for(activation_rows // rows_per_window), out
        The window whose flags are examined.
    flags : window, in
        The non-zero flags of that window.
    o : stream of found_layout, out
        The columns to broadcast.
    exhausted : 1, out
        High when every column has left.
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

        # The window under examination; the bias column has its own window after the last.
        ahead = Signal(bits_for(self.windows + 2))
        looking, at_bias, candidates = self._examine(m, ahead)

        # The window whose columns are leaving; `pending` columns have not left yet.
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

    def _examine(self, m: Module, ahead: Signal) -> tuple[Value, Value, Value]:
        """For window `ahead`: whether the layer has it, whether it is the bias column's, and its columns."""
        width = self.geometry.window
        shift = width.bit_length() - 1
        inputs_before = Signal(len(self.inputs) + 1)
        at_bias = Signal()
        looking = Signal()
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
        return looking, at_bias, candidates
