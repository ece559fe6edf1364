"""One component of zeroskip in your own Amaranth design: a 2:4 sparse dot product with zeroskip's selector.

The design multiplies 4 kept int8 values of a sparse row with the 4 values of a dense column that the row's metadata
selects, and adds the products to a running sum. It is simulated, compared with NumPy, and written as Verilog.

Run it with: python examples/component_in_your_design.py
"""

from pathlib import Path

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from zeroskip.model.mma.format import codes, compress
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern
from zeroskip.rtl.mma.selector import Selector

GEOMETRY = TileGeometry(dtype="int8", out="int32", k=4, keep=2, group=4)


class SparseDot(wiring.Component):
    """Adds the products of 4 kept values of a row and 8 values of a column to `sum`, one step per cycle.

    `values` are the row's kept values, `codes` its two metadata codes, `column` the 8 values of the column. In the
    cycle after `en`, `sum` includes the products of this step; with `first`, it starts from zero.
    """

    en: In(1)
    first: In(1)
    values: In(data.ArrayLayout(signed(8), 4))
    codes: In(data.ArrayLayout(4, 2))
    column: In(data.ArrayLayout(8, 8))
    sum: Out(signed(32))

    def elaborate(self, platform):
        m = Module()
        m.submodules.selector = selector = Selector(GEOMETRY)
        m.d.comb += [selector.codes.eq(self.codes), selector.window.eq(self.column)]
        products = [self.values[i] * selector.chosen[i].as_signed() for i in range(4)]
        with m.If(self.en):
            with m.If(self.first):
                m.d.sync += self.sum.eq(sum(products))
            with m.Else():
                m.d.sync += self.sum.eq(self.sum + sum(products))
        return m


def simulate(row: np.ndarray, column: np.ndarray) -> int:
    """The dot product of a 2:4 sparse row (K,) and a dense column (K,) of int8, computed by the design."""
    sparse = compress(row.view(np.uint8)[None], Pattern.parse("2:4"), dtype="int8")
    kept, meta = sparse.values.view(np.int8).reshape(-1, 4), codes(sparse).reshape(-1, 2)
    design = SparseDot()

    async def steps(ctx):
        for step in range(len(kept)):
            ctx.set(design.en, 1)
            ctx.set(design.first, step == 0)
            ctx.set(design.values, kept[step].tolist())
            ctx.set(design.codes, meta[step].tolist())
            ctx.set(design.column, column.view(np.uint8)[8 * step : 8 * step + 8].tolist())
            await ctx.tick()
        results.append(ctx.get(design.sum))

    results: list[int] = []
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(steps)
    simulator.run()
    return results[0]


def main() -> None:
    random = np.random.default_rng(0)
    row = random.integers(-128, 128, 64, dtype=np.int8)
    row.reshape(-1, 4)[:, [1, 2]] = 0  # two of every four values are zero
    column = random.integers(-128, 128, 64, dtype=np.int8)

    from_rtl, expected = simulate(row, column), int(row.astype(int) @ column)
    print(f"sum from the design: {from_rtl}, from NumPy: {expected}")
    assert from_rtl == expected

    Path("sparse_dot.v").write_text(verilog.convert(SparseDot(), name="sparse_dot"))
    print("written: sparse_dot.v")


if __name__ == "__main__":
    main()
