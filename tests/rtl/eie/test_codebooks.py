# amaranth: UnusedElaboratable=no
from random import Random
from typing import Any

import pytest
from support.bench import Bench, geometry, load

from zeroskip.model.eie.geometry import PUSH_CYCLES, EieGeometry
from zeroskip.rtl.eie.codebooks import CodebookStore
from zeroskip.rtl.eie.control import ControlUnit


def some_codebooks(geometry: EieGeometry, seed: int) -> list[list[int]]:
    random = Random(seed)
    return [[random.getrandbits(16) for _ in range(geometry.codebook_size)] for _ in range(geometry.layers)]


def rtl_codebooks(
    geometry: EieGeometry, codebooks: list[list[int]], layers: list[tuple[int, int]]
) -> list[tuple[int, list[int]]]:
    """What a decoder holds, and the cycle of the last write, at the end of each of `layers`: the number of a codebook,
    and the cycles from its `begin` to the next."""
    dut = CodebookStore(geometry)
    bench = Bench(dut)
    sent = bench.watch(dut.o.en, dut.o.addr, dut.o.data)
    begins: list[int] = []

    async def running(ctx: Any) -> None:
        cycle = 0
        for codebook, cycles in layers:
            begins.append(cycle)
            for age in range(cycles):
                ctx.set(dut.begin, age == 0)
                # The layer's row is there two cycles after the pulse.
                if age == 2:
                    ctx.set(dut.codebook, codebook)
                await ctx.tick()
                cycle += 1

    bench.first(lambda ctx: load(ctx, dut.load, [value for values in codebooks for value in values]))
    bench.add(running)
    bench.run()
    held: dict[int, int] = {}
    ends = []
    writes = list(zip(sent.cycles, sent.values, strict=True))
    for begin, (_, cycles) in zip(begins, layers, strict=True):
        last = 0
        for cycle, (addr, values) in writes:
            if begin <= cycle < begin + cycles:
                held |= {addr * len(values) + lane: value for lane, value in enumerate(values)}
                last = cycle - begin
        ends.append((last, [held.get(code, -1) for code in range(geometry.codebook_size)]))
    return ends


@pytest.mark.parametrize(("code_bits", "layers"), [(1, 1), (4, 3), (6, 2), (8, 2)])
def test_each_layer_gets_its_codebook(code_bits: int, layers: int) -> None:
    """Also behind layers that end before theirs was sent."""
    small = geometry(code_bits=code_bits, layers=layers)
    codebooks = some_codebooks(small, seed=code_bits)
    order = [0, layers - 1, 0, layers // 2]
    runs = rtl_codebooks(small, codebooks, [run for index in order for run in ((layers - 1 - index, 5), (index, 30))])
    last = CodebookStore(small).last
    assert runs[1::2] == [(last, codebooks[index]) for index in order]


@pytest.mark.parametrize("code_bits", range(1, 9))
@pytest.mark.parametrize("pes", [1, 64])
def test_the_last_value_comes_before_the_first_update(code_bits: int, pes: int) -> None:
    """An update is looked up four cycles after its column has reached the queue."""
    some = geometry(pes=pes, code_bits=code_bits)
    assert CodebookStore(some).last + some.hops < ControlUnit(some).first_broadcast + PUSH_CYCLES + 4
