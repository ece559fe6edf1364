"""The dot-product unit for floating-point modes that add c last."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, EnableInserter, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat, block_rule
from zeroskip.rtl.mma.accumulators import Accumulators
from zeroskip.rtl.mma.block_sum import BlockSum
from zeroskip.rtl.mma.floats import pack, positive_zero, unpack, unpacked_bits
from zeroskip.rtl.mma.pipeline import delay, register
from zeroskip.rtl.mma.plus import Plus
from zeroskip.rtl.mma.timing import Timing, dot_control


class StepDot(wiring.Component):
    """`sum <- sum + (a[0] * b[0] + ... + a[k-1] * b[k-1])`: the products are added from zero, in one block or in two
    that follow each other (BlockRule.places), and their sum is added to the sum so far, to nearest even
    (zeroskip.model.mma.golden, where c is added last).

        block      zeroskip.rtl.mma.block_sum: nine stages, or ten with 32 products; five more for a second block
        plus       zeroskip.rtl.mma.plus: four stages. The first takes c, or the sum so far; the last writes the sum

    Latency: 14 cycles from the operands to `d` with one block of 32 products, 18 with two of 16. Throughput: one step a
    cycle; a sum can be continued every fourth cycle. Nothing moves while `control.en` is low.

    Parameters
    ----------
    geometry : TileGeometry
        With a floating-point format, in a mode in which c is added last.

    Ports
    -----
    a : array of k unpacked operands, in
        A step of a row of A.
    b : array of k unpacked operands, in
        The same step of a column of B.
    c : result bits, in
        What the sum begins with, if the step is its first.
    control : dot_control, in
        The tile's signals to all units.
    d : result bits, out
        The sum as it was written last.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        assert isinstance(geometry.operand, FloatFormat)
        assert isinstance(geometry.result, FloatFormat)
        self.geometry = geometry
        self.rule = block_rule(geometry.generation, geometry.dtype, geometry.out)
        assert self.rule.addend_last
        self.block, self.plus = BlockSum(geometry.operand, geometry.result, self.rule), Plus(geometry.result)
        self.timing = self.timing_of(geometry)
        operand = data.ArrayLayout(unpacked_bits(geometry.operand), geometry.k)
        super().__init__(
            {
                "a": In(operand),
                "b": In(operand),
                "c": In(geometry.result.bits),
                "control": In(dot_control(self.timing)),
                "d": Out(geometry.result.bits),
            }
        )

    @staticmethod
    def timing_of(geometry: TileGeometry) -> Timing:
        """The timing for a geometry of such a mode."""
        rule = block_rule(geometry.generation, geometry.dtype, geometry.out)
        take = BlockSum.take(rule) + BlockSum.LOOP * (rule.step // rule.products)
        return Timing(stages=take + Plus.STAGES, take=take)

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        form = self.plus.form
        m.submodules.sums = sums = Accumulators(slots=self.timing.slots, width=unpacked_bits(form))

        total: Value = unpack(Const(0, form.bits), form)
        for index, first in enumerate(range(0, self.rule.step, self.rule.products)):
            places = self.rule.places[first : first + self.rule.products]
            # The operands wait for the sum of the blocks before.
            a, b = (
                [delay(m, values[place], f"{name}{place}", BlockSum.LOOP * index) for place in places]
                for name, values in (("a", self.a), ("b", self.b))
            )
            ranked = self.block.rank(m, a, b, Const(0))
            total = register(m, self.block.add(m, ranked, total), f"block{index}")
        if not self.rule.underflow_keeps_sign:
            total = positive_zero(total, form)

        m.d.comb += [
            sums.first.eq(self.control.first),
            sums.begin.eq(unpack(delay(m, self.c, "c", self.timing.take - 1), form)),
            sums.slot.eq(self.control.take_slot),
            sums.write.en.eq(self.control.write),
            sums.write.addr.eq(self.control.write_slot),
            sums.write.data.eq(self.plus.add(m, total, sums.before)),
            self.d.eq(pack(sums.written, form)),
        ]
        return EnableInserter(self.control.en)(m)
