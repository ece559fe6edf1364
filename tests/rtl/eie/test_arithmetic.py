from random import Random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal
from support.bench import Bench, Transfers, clamp, geometry

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.golden import requantise
from zeroskip.rtl.eie.arithmetic import ArithmeticUnit

Update = dict[str, int]
"""Fields of an operand_layout."""


def some_updates(rows: list[int], magnitude: int, seed: int) -> list[Update]:
    random = Random(seed)
    return [
        {
            "value": random.randint(-magnitude, magnitude - 1),
            "weight": random.randint(-magnitude, magnitude - 1),
            "row": r,
        }
        for r in rows
    ]


def some_rows(count: int, rows: int, seed: int) -> list[int]:
    random = Random(seed)
    return [random.randrange(rows) for _ in range(count)]


def rtl_arithmetic(
    geometry: EieGeometry,
    start: list[int],
    updates: list[Update],
    *,
    pause: float = 0.0,
    shift: int = 0,
    relu: bool = False,
) -> tuple[Transfers, Transfers, Transfers, list[int]]:
    """Updates as they are taken, sums as they are written, flags, and the cycles in which the unit was busy.

    The accumulators stand in a memory that holds `start`, and gives garbage unless an update was taken, and where
    its row was read while it was written; and zero while the unit hides it.
    """
    dut = ArithmeticUnit(geometry)
    write, flag = dut.destination.write, dut.destination.flag
    stored = Signal.like(dut.accumulator)
    m = Module()
    m.submodules.dut = dut
    m.d.comb += dut.accumulator.eq(Mux(dut.destination.hide, 0, stored))
    bench = Bench(m, seed=len(updates))
    accumulators = list(start)

    async def memory(ctx: Any) -> None:
        reads = ctx.tick().sample(dut.i.valid, dut.i.payload.row, write.en, write.addr, write.data)
        async for _, _, read_en, read_row, write_en, write_row, write_data in reads:
            known = read_en and not (write_en and read_row == write_row)
            garbage = bench.random.getrandbits(geometry.accumulator_bits - 1)
            ctx.set(stored, accumulators[read_row] if known else garbage)
            if write_en:
                accumulators[write_row] = write_data

    async def setting(ctx: Any) -> None:
        ctx.set(dut.rounding.half, (1 << shift) >> 1)
        ctx.set(dut.rounding.relu, relu)

    bench.first(setting)
    bench.simulator.add_process(memory)
    taken = bench.feed(dut.i, updates, pause)
    sums = bench.watch(write.en, write.addr, write.data)
    flags = bench.watch(flag.en, flag.addr, flag.data)
    busy = bench.trace(dut.busy)
    bench.run(settle=8)
    return taken, sums, flags, [cycle for cycle, (is_busy,) in enumerate(busy) if is_busy]


def expected(geometry: EieGeometry, start: list[int], updates: list[Update]) -> list[tuple[int, int]]:
    """Row and new sum of each update, one after the other."""
    sums, accumulators = [], list(start)
    for update in updates:
        row = update["row"]
        product = (update["weight"] * update["value"]) >> geometry.product_shift
        accumulators[row] = clamp(accumulators[row] + product, geometry.accumulator_bits)
        sums.append((row, accumulators[row]))
    return sums


@pytest.mark.parametrize("distance", range(1, 9))
@pytest.mark.parametrize("pause", [0.0, 0.4])
def test_no_sum_is_lost_at_any_distance(distance: int, pause: float) -> None:
    small = geometry()
    updates = some_updates([row % distance for row in range(60)], 100, seed=distance)
    _, sums, _, _ = rtl_arithmetic(small, [0] * 64, updates, pause=pause)
    assert sums.values == expected(small, [0] * 64, updates)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pause", [0.0, 0.4])
def test_rows_at_random(seed: int, pause: float) -> None:
    small, random = geometry(), Random(seed)
    start = [random.randint(-(10**6), 10**6) for _ in range(64)]
    updates = some_updates(some_rows(150, random.choice([2, 4, 64]), seed), 1 << 15, seed)
    _, sums, _, _ = rtl_arithmetic(small, start, updates, pause=pause)
    assert sums.values == expected(small, start, updates)


def test_the_sum_register_serves_the_next_cycle_alone() -> None:
    """Behind a reset, it names row 0."""
    update = {"value": 2, "weight": 3, "row": 0}
    _, sums, _, _ = rtl_arithmetic(geometry(), [1000] * 64, [update])
    assert sums.values == [(0, 1006)]


@pytest.mark.parametrize("bits", [16, 20, 32, 48])
@pytest.mark.parametrize("product_shift", [0, 1, 15, 31])
def test_saturates_both_ways(bits: int, product_shift: int) -> None:
    small = geometry(accumulator_bits=bits, product_shift=product_shift)
    highest, lowest = (1 << (bits - 1)) - 1, -(1 << (bits - 1))
    start = [highest, lowest, highest - 1, lowest + 1] * 16
    updates = some_updates(some_rows(100, 8, seed=bits), 1 << 15, seed=product_shift)
    # The products of greatest magnitude, both signs, on every row.
    greatest = [(-(1 << 15), -(1 << 15)), (-(1 << 15), (1 << 15) - 1)] * 2
    updates += [{"value": v, "weight": w, "row": row} for row in range(8) for v, w in greatest]
    _, sums, _, _ = rtl_arithmetic(small, start, updates)
    wanted = expected(small, start, updates)
    assert sums.values == wanted
    assert {highest, lowest} <= {total for _, total in wanted} or product_shift == 31


@pytest.mark.parametrize(("bits", "shift"), [(16, 15), (32, 31), (48, 47), (32, 0), (32, 1), (32, 8), (48, 30)])
@pytest.mark.parametrize("relu", [False, True])
def test_flags_are_those_of_requantisation(bits: int, shift: int, relu: bool) -> None:
    small, half = geometry(accumulator_bits=bits), (1 << shift) >> 1
    # Half a unit to both sides, and what stands around it; the update adds to it.
    near = [clamp(sign * half + step, bits) for sign in (-1, 1) for step in range(-2, 3)]
    wanted = [*near, 0, (1 << (bits - 1)) - 1, -(1 << (bits - 1)), *(clamp(2 * total, bits) for total in near)]
    updates = some_updates(list(range(len(wanted))), 4, seed=shift)
    start = [clamp(w - u["weight"] * u["value"], bits) for w, u in zip(wanted, updates, strict=True)]
    _, sums, flags, _ = rtl_arithmetic(small, start + [0] * 64, updates, shift=shift, relu=relu)
    totals = np.array([total for _, total in sums.values], np.int64)
    assert {half, -half, half + 1, -half - 1} & {clamp(w, bits) for w in wanted} <= set(totals.tolist())
    nonzero = requantise(totals, shift, relu=relu) != 0
    assert flags.values == [(row, is_nonzero) for (row, _), is_nonzero in zip(sums.values, nonzero, strict=True)]


@pytest.mark.parametrize("pause", [0.0, 0.8])
@pytest.mark.parametrize("pes", [1, 16])
def test_one_update_a_cycle_in_five_stages(pause: float, pes: int) -> None:
    """The unit is busy until all that is left to do is done `settle_cycles` later."""
    some = geometry(pes=pes)
    updates = some_updates(some_rows(40, 4, seed=7), 1 << 15, seed=8)
    taken, sums, flags, busy = rtl_arithmetic(some, [0] * 64, updates, pause=pause)
    assert sums.cycles == [cycle + 3 for cycle in taken.cycles]
    assert flags.cycles == [cycle + 4 for cycle in taken.cycles]
    assert busy == sorted({cycle + stage for cycle in taken.cycles for stage in range(4 - some.settle_cycles)})
