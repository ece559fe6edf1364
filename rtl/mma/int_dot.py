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
from zeroskip.rtl.mma.timing import Timing, control_ports

SUM_BITS = 32


class IntDot(wiring.Component):
    """`sum <- sum + a[0] * b[0] + ... + a[k-1] * b[k-1]`: exact products, a sum of 32 bits that wraps, or that
    saturates after each step where `out` is int32_sat (PTX ISA 9.1, `.satfinite`).

        multiply   exact products
        add        their exact sum
        sum        take c, or the sum so far, add, write

    A new step enters every cycle, also for the same sum. `c` is taken with the operands. Everything stands still while
    `en` is low.
    """

    timing = Timing(stages=3, take=2)

    def __init__(self, geometry: TileGeometry) -> None:
        assert isinstance(geometry.operand, IntFormat)
        self.geometry = geometry
        operand = data.ArrayLayout(signed(geometry.operand.bits), geometry.k)
        super().__init__(
            {
                "a": In(operand),
                "b": In(operand),
                "c": In(SUM_BITS),
                **control_ports(self.timing),
                "d": Out(SUM_BITS),
            }
        )

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        m.submodules.sums = sums = Accumulators(slots=self.timing.slots, width=SUM_BITS)
        k, bits = self.geometry.k, self.a[0].shape().width
        c = [Signal(SUM_BITS, name=f"c{stage}") for stage in range(2)]
        m.d.sync += [c[0].eq(self.c), c[1].eq(c[0])]

        # multiply
        products = [Signal(signed(2 * bits), name=f"product{i}") for i in range(k)]
        m.d.sync += [product.eq(self.a[i] * self.b[i]) for i, product in enumerate(products)]

        # add
        block = Signal(signed(2 * bits + ceil_log2(k)))
        m.d.sync += block.eq(sum(products))

        # sum
        before, total = Signal(signed(SUM_BITS)), Signal(signed(SUM_BITS + 1))
        m.d.comb += [
            sums.r_slot.eq(self.take_slot),
            before.eq(Mux(self.first, c[1], sums.r_data)),
            total.eq(before + block),
            sums.w_en.eq(self.write),
            sums.w_slot.eq(self.write_slot),
            sums.w_data.eq(total),
        ]
        if self.geometry.out == "int32_sat":
            overflow = total[-1] != total[-2]
            extreme = Mux(total[-1], 1 << (SUM_BITS - 1), (1 << (SUM_BITS - 1)) - 1)
            m.d.comb += sums.w_data.eq(Mux(overflow, extreme, total))
        m.d.sync += self.d.eq(sums.w_data)
        return EnableInserter(self.en)(m)
