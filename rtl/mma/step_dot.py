"""The dot-product unit for floating-point modes that add c last."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat, block_rule
from zeroskip.rtl.mma.accumulators import Accumulators
from zeroskip.rtl.mma.block_sum import BlockSum
from zeroskip.rtl.mma.pipeline import delay, register
from zeroskip.rtl.mma.plus import Plus
from zeroskip.rtl.mma.timing import Timing, dot_control

_BLOCK = BlockSum.STAGES - BlockSum.TAKE
"""Cycles from one block of a step to the next, whose sum begins with its result."""


class StepDot(wiring.Component):
    """`sum <- sum + (a[0] * b[0] + ... + a[k-1] * b[k-1])`: the products are added from zero, in one block or in two
    that follow each other (BlockRule.places), and their sum is added to the sum so far, to nearest even
    (zeroskip.model.mma.golden, where c is added last).

        block      zeroskip.rtl.mma.block_sum: seven stages; five more for a second block
        plus       zeroskip.rtl.mma.plus: four stages. The first takes c, or the sum so far; the last writes the sum

    Latency: 11 cycles from the operands to `d` with one block, 16 with two. Throughput: one step a cycle; a sum can be
    continued every fourth cycle. Nothing moves while `control.en` is low.

    Parameters
    ----------
    geometry : TileGeometry
        With a floating-point format, in a mode in which c is added last.

    Ports
    -----
    a : array of k operands, in
        A step of a row of A.
    b : array of k operands, in
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
        operand = data.ArrayLayout(geometry.operand.operand_bits, geometry.k)
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
        take = BlockSum.TAKE + _BLOCK * (rule.step // rule.products)
        return Timing(stages=take + Plus.STAGES, take=take)

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        width = self.geometry.result.bits
        m.submodules.sums = sums = Accumulators(slots=self.timing.slots, width=width)

        total: Value = Const(0, width)
        for index, first in enumerate(range(0, self.rule.step, self.rule.products)):
            places = self.rule.places[first : first + self.rule.products]
            # The operands wait for the sum of the blocks before.
            a, b = (
                [delay(m, values[place], f"{name}{place}", _BLOCK * index) for place in places]
                for name, values in (("a", self.a), ("b", self.b))
            )
            ranked = self.block.rank(m, a, b, Const(0))
            total = register(m, self.block.add(m, ranked, total), f"block{index}")

        c = delay(m, self.c, "c", self.timing.take)
        addend = Signal(width)
        m.d.comb += [
            sums.read.addr.eq(self.control.take_slot),
            addend.eq(Mux(self.control.first, c, sums.read.data)),
            sums.write.en.eq(self.control.write),
            sums.write.addr.eq(self.control.write_slot),
            sums.write.data.eq(self.plus.add(m, total, addend)),
        ]
        m.d.sync += self.d.eq(sums.write.data)
        return EnableInserter(self.control.en)(m)
