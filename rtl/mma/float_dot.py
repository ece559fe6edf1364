"""The dot-product unit for floating-point numbers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import EnableInserter, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat, block_rule
from zeroskip.rtl.mma.accumulators import Accumulators
from zeroskip.rtl.mma.block_sum import BlockSum
from zeroskip.rtl.mma.floats import pack, positive_zero, unpack, unpacked_bits
from zeroskip.rtl.mma.timing import Timing, dot_control


class FloatDot(wiring.Component):
    """`sum <- sum + a[0] * b[0] + ... + a[k-1] * b[k-1]` by the block rule of the geometry's generation
    (zeroskip.model.mma.golden), in the stages of zeroskip.rtl.mma.block_sum. Stage compare takes c, or the sum so far;
    stage round writes the sum.

    Latency: eight cycles from the operands to `d` with four products, nine with eight or 16, ten with 32. Throughput:
    one block a cycle; a sum can be continued every fifth cycle. Nothing moves while `control.en` is low.

    Parameters
    ----------
    geometry : TileGeometry
        With a floating-point format, in a mode in which c is a term of the block.

    Ports
    -----
    a : array of k unpacked operands, in
        A block of a row of A.
    b : array of k unpacked operands, in
        The same block of a column of B.
    c : result bits, in
        What the sum begins with, if the block is its first.
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
        assert not self.rule.addend_last
        self.block = BlockSum(geometry.operand, geometry.result, self.rule)
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
        take = BlockSum.take(block_rule(geometry.generation, geometry.dtype, geometry.out))
        return Timing(stages=take + BlockSum.LOOP, take=take)

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        form = self.block.result
        m.submodules.sums = sums = Accumulators(slots=self.timing.slots, width=unpacked_bits(form))
        k = range(self.geometry.k)
        ranked = self.block.rank(m, [self.a[i] for i in k], [self.b[i] for i in k], self.c)
        m.d.comb += [
            sums.first.eq(self.control.first),
            sums.begin.eq(unpack(ranked.c, form)),
            sums.slot.eq(self.control.take_slot),
            sums.write.en.eq(self.control.write),
            sums.write.addr.eq(self.control.write_slot),
            sums.write.data.eq(self.block.add(m, ranked, sums.before)),
        ]
        # A zero has no sign as a term: it is enough to mend that of the result.
        result = sums.written if self.rule.underflow_keeps_sign else positive_zero(sums.written, form)
        m.d.comb += self.d.eq(pack(result, form))
        return EnableInserter(self.control.en)(m)
