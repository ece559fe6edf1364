"""Search for the non-zero activations of a layer's input."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import LNZD_GROUP, EieGeometry
from zeroskip.rtl.eie.layouts import found_layout
from zeroskip.rtl.eie.lnzd import Lnzd
from zeroskip.rtl.flags import at_least


def scan_latency(geometry: EieGeometry) -> int:
    """The first cycle in which an activation may be at `o` of NonzeroScanner; cycle 0 is the one behind `begin`.

    The window is known in cycle 1, its flags are in `seen` one cycle later, plus those of the hops.
    """
    return 4 + 2 * geometry.hops


class WindowKind(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What the next window of a layer holds."""

    FULL = 0
    """Inputs alone."""
    TAIL = 1
    """The last inputs, and flags that do not belong to the layer."""
    BIAS = 2
    """The bias column."""
    END = 3
    """There is no further window."""


class NonzeroScanner(wiring.Component):
    """Finds the non-zero activations in increasing order, and then the bias column.

    Windows of `geometry.window` flags pass through three stages, each with a register:

        seen      the flags of a window
        groups    those of the layer, in groups of LNZD_GROUP: a level of the quadtree selects the first that is not
                  empty
        group     the flags of that group: the levels below select the first one

    A window without a flag leaves `groups` in the next cycle. A group leaves in the cycle in which `group` is found to
    be empty, or to hold its last flag; a window leaves `seen` in the cycle in which the last group leaves. So all that
    remains is found one a cycle, and windows without flags are passed over, one a cycle, while others are busy.

    Latency: the first activation is at `o` in cycle `scan_latency(geometry)`, counted from the one behind `begin`, if
    it is in the first window. Throughput: one activation a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    begin : 1, in
        Starts over; allowed when everything found before has left.
    inputs : bits_for(activations + 1), in
        Inputs of the layer, from two cycles after `begin` on.
    bias : 1, in
        High if the layer has a bias column; likewise.
    window : bits_for(activation_rows // rows_per_window), out
        The window whose flags are wanted.
    advance : 1, out
        Registers on the way of `window` to the flags and back take the next value while it is high.
    flags : window, in
        The non-zero flags of that window, behind `2 * geometry.hops` such registers.
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
                "inputs": In(bits_for(geometry.activations + 1)),
                "bias": In(1),
                "window": Out(bits_for(self.windows)),
                "advance": Out(1),
                "flags": In(geometry.window),
                "o": Out(stream.Signature(found_layout(geometry))),
                "exhausted": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width, group_bits = self.geometry.window, LNZD_GROUP
        count = width // group_bits
        # The window that is examined next.
        at = Signal(bits_for(self.windows + 2))
        kind = Signal(WindowKind, init=WindowKind.END)
        examine = Signal()
        # High in the first cycle behind `begin`, and in the second, in which the layer's limits are known.
        fresh = Signal()
        limited = Signal()
        m.d.sync += [fresh.eq(self.begin), limited.eq(fresh)]
        mask = self._follow(m, at, kind, examine, limited)

        # seen
        seen = Signal(width, reset_less=True)
        wanted = Signal.like(at)
        # Whether the registers on the way, and in the highest bit `seen`, hold a window of this layer.
        valid = Signal(1 + 2 * self.geometry.hops)
        seen_valid = valid[-1]
        m.d.comb += [self.window.eq(wanted), self.advance.eq(~fresh & (~seen_valid | examine))]
        with m.If(self.advance):
            m.d.sync += [seen.eq(self.flags), valid.eq((valid << 1) | 1), wanted.eq(wanted + 1)]
        with m.If(self.begin):
            m.d.sync += [valid.eq(0), wanted.eq(0)]

        # groups
        place = data.StructLayout({"window": at.shape(), "bias": 1})
        groups = Signal(data.ArrayLayout(group_bits, count), reset_less=True)
        filled = Signal(count)
        groups_at = Signal(place, reset_less=True)
        group_leaves = Signal()
        m.submodules.upper = upper = Lnzd(count)
        m.d.comb += [
            upper.i.eq(filled),
            examine.eq(seen_valid & (kind != WindowKind.END) & (~upper.any | (group_leaves & ~upper.several))),
        ]
        is_bias = kind == WindowKind.BIAS
        flags = Signal(width)
        m.d.comb += flags.eq(Mux(is_bias, 1, seen & Mux(kind == WindowKind.TAIL, mask, ~0)))
        with m.If(group_leaves):
            m.d.sync += filled.eq(upper.rest)
        with m.If(examine):
            m.d.sync += [
                groups.eq(flags),
                groups_at.eq(Cat(at, is_bias)),
                filled.eq(Cat(flags.word_select(number, group_bits).any() for number in range(count))),
            ]

        # group
        group = Signal(group_bits)
        group_at = Signal(place, reset_less=True)
        number = Signal(range(count), reset_less=True)
        m.submodules.lower = lower = Lnzd(group_bits)
        # Whether a flag of the group is set, and more than one: what moves, up to the registers in the PEs, depends on
        # it.
        some, several = Signal(), Signal()
        following = groups[upper.index]
        found = some & self.o.ready
        m.d.comb += [
            lower.i.eq(group),
            group_leaves.eq(upper.any & Mux(self.o.ready, ~several, ~some)),
        ]
        with m.If(found):
            m.d.sync += [group.eq(lower.rest), some.eq(several), several.eq(at_least(group, 3))]
        with m.If(group_leaves):
            m.d.sync += [
                group.eq(following),
                # A group without a flag is not selected.
                some.eq(1),
                several.eq(at_least(following, 2)),
                number.eq(upper.index),
                group_at.eq(groups_at),
            ]

        m.d.comb += [
            self.o.valid.eq(some),
            self.o.payload.index.eq(Mux(group_at.bias, self.inputs, Cat(lower.index, number, group_at.window))),
            self.o.payload.bias.eq(group_at.bias),
            self.exhausted.eq((kind == WindowKind.END) & ~upper.any & ~some),
        ]
        return m

    def _follow(self, m: Module, at: Signal, kind: Any, examine: Signal, limited: Signal) -> Signal:
        """Says what window `at` holds, and gives the mask of the inputs in the last one."""
        width = self.geometry.window
        shift = width.bit_length() - 1
        full, tail = self.inputs[shift:], self.inputs[:shift]

        # The layer's limits: its last full window, what follows it, and what follows the last inputs.
        last_full = Signal.like(at, reset_less=True)
        behind_full = Signal(WindowKind, reset_less=True)
        behind_tail = Signal(WindowKind, reset_less=True)
        mask = Signal(width, reset_less=True)
        from_bias = Mux(self.bias, WindowKind.BIAS, WindowKind.END)
        from_tail = Mux(tail.any(), WindowKind.TAIL, from_bias)
        m.d.sync += [
            last_full.eq(full - 1),
            behind_full.eq(from_tail),
            behind_tail.eq(from_bias),
            mask.eq(Cat(tail > place for place in range(width))),
        ]

        with m.If(examine):
            m.d.sync += at.eq(at + 1)
            with m.Switch(kind):
                with m.Case(WindowKind.FULL):
                    with m.If(at == last_full):
                        m.d.sync += kind.eq(behind_full)
                with m.Case(WindowKind.TAIL):
                    m.d.sync += kind.eq(behind_tail)
                with m.Default():
                    m.d.sync += kind.eq(WindowKind.END)
        with m.If(limited):
            m.d.sync += kind.eq(Mux(full.any(), WindowKind.FULL, from_tail))
        with m.If(self.begin):
            # Not END, so that the scanner is not exhausted before it knows its limits.
            m.d.sync += [at.eq(0), kind.eq(WindowKind.FULL)]
        return mask
