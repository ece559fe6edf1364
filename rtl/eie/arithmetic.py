"""Arithmetic unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.decoder import operand_layout
from zeroskip.rtl.eie.ports import accumulators_port, rounding_control


class Augend(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]
    """What a product is added to. With this choice in two bits, choosing takes one look-up table of four inputs for
    each bit of the accumulator."""

    ACCUMULATOR = 0
    TOTAL = 1
    """The total of the previous update, which is in the `saturate` stage and did not clip."""
    LOWEST = 2
    HIGHEST = 3


class ArithmeticUnit(wiring.Component):
    """`destination[row] += (weight * value) >> product_shift`, saturating (EIE section IV, arithmetic unit).

    Stages:

        multiply   product <- weight * value; the accumulator is read
        arrive     accumulator <- what was read
        add        total <- accumulator + product
        saturate   sum <- saturate(total); write it; see whether the row's activation is now non-zero
        flag       record that

    An update whose row is that of one of the three updates before it would read a sum that has not been written yet.
    It takes the sum from the stage where it is instead; from the `saturate` stage, saturation and sum meet in front of
    the adder, so that a row may be updated in every cycle. The unit never stalls.

    The flag is set where requantisation will give a non-zero value: `|sum| > half`, or `sum > half` where `relu`.

    Latency: a sum is written three cycles after its update was taken, and flagged in the next.
    Throughput: one multiply-accumulate a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of operand_layout, always ready, in
        Updates.
    rounding : rounding_control, in
        How the layer's sums are rounded.
    accumulator : signed(accumulator_bits), in
        The accumulator that stood in the destination file, in the row of an update, in the cycle in which that was
        taken; valid in the next.
    destination : accumulators_port, out
        The destination file.
    busy : 1, out
        High while an update is in the stages that is not flagged within `geometry.settle_cycles` cycles.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(operand_layout(geometry), always_ready=True)),
                "rounding": In(rounding_control(geometry)),
                "accumulator": In(signed(geometry.accumulator_bits)),
                "destination": Out(accumulators_port(geometry)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bits = self.geometry.accumulator_bits
        operand = self.i.payload
        hide, write, flag = self.destination.hide, self.destination.write, self.destination.flag

        # multiply
        product = Signal(signed(2 * VALUE_BITS), reset_less=True)
        arriving = Signal()
        arriving_row = Signal.like(operand.row, reset_less=True)
        # Where the update finds the sum of its row, if that has not been written when it reads: in the stage of the
        # previous update, or of that before it, or of the one before that.
        adding = Signal()
        adding_row = Signal.like(operand.row, reset_less=True)
        follows_add = Signal(reset_less=True)
        follows_total = Signal(reset_less=True)
        follows_sum = Signal(reset_less=True)
        m.d.sync += [
            arriving.eq(self.i.valid),
            follows_add.eq(arriving & (arriving_row == operand.row)),
            follows_total.eq(adding & (adding_row == operand.row)),
            follows_sum.eq(write.en & (write.addr == operand.row)),
        ]
        with m.If(self.i.valid):
            m.d.sync += [product.eq(operand.weight * operand.value), arriving_row.eq(operand.row)]

        # arrive
        addend = Signal(signed(2 * VALUE_BITS - self.geometry.product_shift), reset_less=True)
        accumulator = Signal(signed(bits), reset_less=True)
        recent = Signal(signed(bits), reset_less=True)
        forwarded = Signal(signed(bits), attrs={"keep": 1})
        m.d.sync += adding.eq(arriving)
        with m.If(arriving):
            m.d.sync += [
                addend.eq(product >> self.geometry.product_shift),
                adding_row.eq(arriving_row),
                accumulator.eq(self.accumulator | forwarded),
            ]
        # The file hides what it read where a stage has the sum: so only one look-up table stands behind the memory.
        m.d.comb += [
            hide.eq(follows_total | follows_sum),
            forwarded.eq(Mux(follows_total, write.data, Mux(follows_sum, recent, 0))),
        ]

        # add
        highest, lowest = (1 << (bits - 1)) - 1, -(1 << (bits - 1))
        total = Signal(signed(max(bits, 2 * VALUE_BITS) + 1))
        augend = Signal(signed(bits))
        source = Signal(Augend, reset_less=True)
        unclipped = Signal(bits, reset_less=True)
        clips = Signal()
        with m.Switch(source):
            with m.Case(Augend.ACCUMULATOR):
                m.d.comb += augend.eq(accumulator)
            with m.Case(Augend.TOTAL):
                m.d.comb += augend.eq(unclipped)
            with m.Case(Augend.LOWEST):
                m.d.comb += augend.eq(lowest)
            with m.Case(Augend.HIGHEST):
                m.d.comb += augend.eq(highest)
        m.d.comb += [
            total.eq(augend + addend),
            clips.eq((total[bits - 1 :] != 0) & ~total[bits - 1 :].all()),
        ]
        m.d.sync += [
            write.en.eq(adding),
            source.eq(
                Mux(
                    follows_add,
                    Mux(clips, Mux(total < 0, Augend.LOWEST, Augend.HIGHEST), Augend.TOTAL),
                    Augend.ACCUMULATOR,
                )
            ),
        ]
        clipped = Signal(reset_less=True)
        negative = Signal(reset_less=True)
        with m.If(adding):
            m.d.sync += [unclipped.eq(total), clipped.eq(clips), negative.eq(total < 0), write.addr.eq(adding_row)]

        # saturate
        m.d.comb += write.data.eq(Mux(clipped, Mux(negative, lowest, highest), unclipped.as_signed()))
        half, relu = self.rounding.half, self.rounding.relu
        m.d.sync += flag.en.eq(write.en)
        with m.If(write.en):
            m.d.sync += [
                recent.eq(write.data),
                flag.addr.eq(write.addr),
                flag.data.eq((write.data > half) | (~relu & (write.data + half < 0))),
            ]

        stages = Cat(self.i.valid, arriving, adding, write.en, flag.en)
        m.d.comb += self.busy.eq(stages[: max(0, len(stages) - 1 - self.geometry.settle_cycles)].any())
        return m
