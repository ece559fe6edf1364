"""The dot-product unit for integers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import EnableInserter, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import IntFormat
from zeroskip.rtl.mma.accumulators import Accumulators
from zeroskip.rtl.mma.pipeline import delay, registers
from zeroskip.rtl.mma.timing import Timing, dot_control

SUM_BITS = 32


class IntDot(wiring.Component):
    """`sum <- sum + a[0] * b[0] + ... + a[k-1] * b[k-1]`: exact products, a sum of 32 bits that wraps, or that
    saturates after each step where `out` is int32_sat (PTX ISA 9.1, `.satfinite`).

        bring      nothing: on an FPGA, multipliers lie in rows of their own, some way from the selectors
        multiply   exact products
        carry      nothing: they also lie some way from the adders
        add        the exact sums of both halves of them
        sum        take c, or the sum so far, add both, write

    Latency: five cycles from the operands to `d`. Throughput: one step a cycle, also for the same sum. Nothing moves
    while `control.en` is low.

    Parameters
    ----------
    geometry : TileGeometry
        With an integer format.

    Ports
    -----
    a : array of k operands, in
        A step of a row of A.
    b : array of k operands, in
        The same step of a column of B.
    c : SUM_BITS, in
        What the sum begins with, if the step is its first.
    control : dot_control, in
        The tile's signals to all units.
    d : SUM_BITS, out
        The sum as it was written last.
    """

    def __init__(self, geometry: TileGeometry) -> None:
        assert isinstance(geometry.operand, IntFormat)
        self.geometry, self.timing = geometry, self.timing_of(geometry)
        operand = data.ArrayLayout(signed(geometry.operand.bits), geometry.k)
        super().__init__(
            {
                "a": In(operand),
                "b": In(operand),
                "c": In(SUM_BITS),
                "control": In(dot_control(self.timing)),
                "d": Out(SUM_BITS),
            }
        )

    @staticmethod
    def timing_of(geometry: TileGeometry) -> Timing:
        """The timing for a geometry with an integer format."""
        return Timing(stages=5, take=4)

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        m.submodules.sums = sums = Accumulators(slots=self.timing.slots, width=SUM_BITS)
        k, bits = self.geometry.k, self.a[0].shape().width
        m.d.comb += sums.begin.eq(delay(m, self.c, "c", 3))

        # bring
        a, b = registers(m, self.a, "a"), registers(m, self.b, "b")

        # multiply
        products = [Signal(signed(2 * bits), name=f"product{i}") for i in range(k)]
        m.d.sync += [product.eq(a[i] * b[i]) for i, product in enumerate(products)]

        # carry
        carried = registers(m, products, "carried")

        # add
        halves = [Signal(signed(2 * bits + ceil_log2(k)), name=f"half{i}") for i in range(2)]
        m.d.sync += [half.eq(sum(carried[i::2])) for i, half in enumerate(halves)]

        # sum
        total = Signal(signed(SUM_BITS + 1))
        m.d.comb += [
            sums.first.eq(self.control.first),
            sums.slot.eq(self.control.take_slot),
            total.eq(sums.before.as_signed() + (halves[0] + halves[1])),
            sums.write.en.eq(self.control.write),
            sums.write.addr.eq(self.control.write_slot),
            sums.write.data.eq(total),
        ]
        if self.geometry.out == "int32_sat":
            overflow = total[-1] != total[-2]
            extreme = Mux(total[-1], 1 << (SUM_BITS - 1), (1 << (SUM_BITS - 1)) - 1)
            m.d.comb += sums.write.data.eq(Mux(overflow, extreme, total))
        m.d.comb += self.d.eq(sums.written)
        return EnableInserter(self.control.en)(m)
