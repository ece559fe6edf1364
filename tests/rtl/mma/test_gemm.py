"""The ports of the GEMM: loading, running and reading side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
import pytest
from support.bench import Bench, Transfers
from support.operands import block_numbers

from zeroskip.model.mma import format as nm
from zeroskip.model.mma import golden
from zeroskip.model.mma.cycles import job_cycles
from zeroskip.model.mma.gemm import Images, Operand, dense_operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.gemm import Gemm
from zeroskip.rtl.mma.layouts import MatrixTarget, a_row_layout, results_layout, window_layout

SMALL: dict[str, Any] = {"a_words": 40, "b_words": 24, "d_words": 24}
GEOMETRIES = {
    "int8": TileGeometry(dtype="int8", out="int32", m=2, n=2, k=2, **SMALL),
    "dense": TileGeometry(dtype="int8", out="int32_sat", m=2, n=1, k=3, keep=1, group=1, **SMALL),
    "tf32": TileGeometry(dtype="tf32", m=1, n=2, k=4, keep=1, group=2, **SMALL),
}


@dataclass
class Product:
    """A product in one half of the memories."""

    operand: Operand
    b: Any
    c: Any
    start: dict[str, int]
    loads: list[dict[str, Any]]
    words: dict[tuple[int, int], list[int]]
    """What D must hold at each address of each bank."""
    cycles: int
    illegal: bool


def some_product(geometry: TileGeometry, half: int, seed: int, *, largest: int = 3) -> Product:
    """Of three products one has an illegal code, the next has none, and the third is dense. They have up to `largest`
    tiles and windows; a single tile of one window always stands at the same place."""
    rng, random = np.random.default_rng(seed), Random(seed)
    rows, columns, windows = (random.randint(1, largest) for _ in range(3))
    m, n = rows * geometry.m - random.randrange(geometry.m), columns * geometry.n - random.randrange(geometry.n)
    k = windows * geometry.window - random.randrange(geometry.window)
    dense = geometry.pattern.dense or seed % 3 == 2
    a, b, c = block_numbers(rng, geometry.dtype, geometry.out, max(m, n), k, random.choice(["any", "close", "zeros"]))
    b, c = np.ascontiguousarray(b[:n].T), np.stack([np.roll(c, shift)[:m] for shift in range(n)], axis=1)
    if dense:
        operand = dense_operand(a[:m], geometry.pattern)
    else:
        pattern = geometry.pattern
        codes = rng.choice([0b0100, 0b1110], (m, -(-k // pattern.group))).astype(np.uint16)
        if seed % 3 == 0:
            codes[-1, -1] = 0b0101
        values = np.resize(a[:m], (m, codes.shape[1] * pattern.keep))
        operand = Operand(values=values, codes=codes, columns=k, pattern=pattern)
    images = Images(operand, b, c, geometry)
    steps = images.values.shape[2]
    used = {"a": (geometry.a_words, rows * steps), "b": (geometry.b_words, columns * windows)}
    used["d"] = geometry.d_words, rows * columns
    bases = {
        name: words // 2 * half + (random.randint(0, words // 2 - count) if largest > 1 else 0)
        for name, (words, count) in used.items()
    }
    loads = []

    def load(target: Any, bank: int, address: int, word: Any) -> None:
        loads.append({"target": target, "bank": bank, "address": address, "data": word.as_bits()})

    row_of_d = results_layout(geometry).elem_shape
    for tile, bank, step in np.ndindex(*images.values.shape[:3]):
        fields = {"values": images.values[tile, bank, step].tolist()}
        if images.codes is not None:
            fields["codes"] = images.codes[tile, bank, step].tolist()
        address = bases["a"] + tile * steps + step
        load(MatrixTarget.A, bank, address, a_row_layout(geometry).const(fields))
    for tile, bank, window in np.ndindex(*images.b.shape[:3]):
        word = window_layout(geometry).elem_shape.const(images.b[tile, bank, window].tolist())
        load(MatrixTarget.B, bank, bases["b"] + tile * windows + window, word)
    d = np.zeros((rows * geometry.m, columns * geometry.n), images.c.dtype)
    d[:m, :n] = golden.gemm(operand, b, c, geometry)
    words = {}
    for tile, bank, across in np.ndindex(*images.c.shape[:3]):
        address = bases["d"] + across * rows + tile
        load(MatrixTarget.C, bank, address, row_of_d.const(images.c[tile, bank, across].tolist()))
        first = across * geometry.n
        words[bank, address] = d[tile * geometry.m + bank, first : first + geometry.n].tolist()
        # What stands in the padding is of no interest.
        words[bank, address] = words[bank, address][: max(0, n - first)] if tile * geometry.m + bank < m else []
    random.shuffle(loads)
    start = {f"{name}_base": base for name, base in bases.items()}
    start |= {"rows": rows, "sums": rows * columns, "windows": windows, "steps": steps}
    if not geometry.pattern.dense:
        start["dense"] = int(dense)
    illegal = operand.codes is not None and bool(nm.illegal(operand.codes, geometry.pattern, "strict").any())
    cycles = job_cycles(geometry, sums=rows * columns, steps=steps)
    return Product(operand, b, c, start, loads, words, cycles, illegal)


@dataclass
class Run:
    words: list[dict[tuple[int, int], list[int]]] = field(default_factory=list)
    """D of each product, as far as it was read."""
    cycles: list[int] = field(default_factory=list)
    illegal: list[bool] = field(default_factory=list)
    loads_of_c_waited: int = 0
    other_loads_waited: int = 0
    beside: int = 0
    """Transfers that were loaded, and words that were read, while a job ran."""


def rtl_gemm(geometry: TileGeometry, products: list[Product], *, seed: int, pause: float, ahead: int = 1) -> Run:
    """Loads each product while the one before runs, and reads its D while the next one does; with `ahead` 0, one after
    the other."""
    dut = Gemm(geometry)
    bench = Bench(dut, seed)
    requests: list[tuple[int, int, int]] = []
    loaded = 0
    done = bench.watch(dut.done, dut.illegal)
    started = bench.watch(dut.start.valid & dut.start.ready, dut.start.valid)
    count = sum(len(product.words) for product in products)
    results: Transfers = bench.drain(dut.result, count, pause)
    trace = bench.trace(dut.load.valid, dut.load.ready, dut.load.payload.target, dut.read.valid & dut.read.ready)

    async def send(ctx: Any, port: Any, value: Any) -> None:
        while bench.random.random() < pause:
            await ctx.tick()
        ctx.set(port.payload, value)
        ctx.set(port.valid, 1)
        taken = False
        while not taken:
            _, _, taken = await ctx.tick().sample(port.ready)
        ctx.set(port.valid, 0)

    def read_of(index: int) -> int:
        return sum(1 for i, _, _ in requests[: len(results.values)] if i == index)

    async def loading(ctx: Any) -> None:
        nonlocal loaded
        for index, product in enumerate(products):
            # Its part of the memories is free.
            before = index - 1 - ahead
            while before >= 0 and read_of(before) < len(products[before].words):
                await ctx.tick()
            for transfer in product.loads:
                await send(ctx, dut.load, transfer)
            loaded += 1

    async def starting(ctx: Any) -> None:
        for index, product in enumerate(products):
            while loaded <= index:
                await ctx.tick()
            await send(ctx, dut.start, product.start)

    async def reading(ctx: Any) -> None:
        for index, product in enumerate(products):
            while len(done.values) <= index:
                await ctx.tick()
            for bank, address in bench.random.sample(sorted(product.words), len(product.words)):
                requests.append((index, bank, address))
                await send(ctx, dut.read, {"bank": bank, "address": address})

    for testbench in (loading, starting, reading):
        bench.add(testbench)
    bench.run(settle=5)
    run = Run(words=[{} for _ in products])
    for (index, bank, address), word in zip(requests, results.values, strict=True):
        run.words[index][bank, address] = word[: len(products[index].words[bank, address])]
    run.cycles = [end - start for start, end in zip(started.cycles, done.cycles, strict=True)]
    run.illegal = [bool(flag) for flag in done.values]
    running = {cycle for start, end in zip(started.cycles, done.cycles, strict=True) for cycle in range(start, end + 1)}
    for cycle, (valid, ready, target, read) in enumerate(trace):
        waits = valid and not ready
        is_c = MatrixTarget(target) == MatrixTarget.C
        run.loads_of_c_waited += bool(waits and is_c)
        run.other_loads_waited += bool(waits and not is_c)
        run.beside += cycle in running and bool((valid and ready) + read)
    return run


@dataclass(frozen=True)
class Case:
    """Products one after the other, loaded and read beside each other's jobs, and what the RTL made of them."""

    products: list[Product]
    run: Run


@lru_cache
def side_by_side(name: str, pause: float) -> list[Case]:
    cases = []
    for seed in range(4):
        products = [some_product(GEOMETRIES[name], index % 2, 100 * seed + index) for index in range(6)]
        cases.append(Case(products, rtl_gemm(GEOMETRIES[name], products, seed=seed, pause=pause)))
    return cases


each_case = pytest.mark.parametrize(
    ("name", "pause"), [(name, pause) for name in GEOMETRIES for pause in (0.0, 0.3)], ids=str
)


@each_case
def test_nothing_beside_a_job_changes_its_results_or_its_cycles(name: str, pause: float) -> None:
    for case in side_by_side(name, pause):
        assert case.run.words == [product.words for product in case.products]
        assert case.run.cycles == [product.cycles for product in case.products]
    assert sum(case.run.beside for case in side_by_side(name, pause)) > 20


@each_case
def test_a_job_with_an_illegal_code_is_flagged(name: str, pause: float) -> None:
    flags: set[bool] = set()
    for case in side_by_side(name, pause):
        assert case.run.illegal == [product.illegal for product in case.products]
        flags |= set(case.run.illegal)
    assert flags == ({False} if GEOMETRIES[name].pattern.dense else {False, True})


@each_case
def test_only_a_transfer_to_c_waits_while_d_is_written(name: str, pause: float) -> None:
    runs = [case.run for case in side_by_side(name, pause)]
    assert sum(run.other_loads_waited for run in runs) == 0
    assert sum(run.loads_of_c_waited for run in runs) > 0


@pytest.mark.parametrize("name", GEOMETRIES)
def test_matrices_in_the_same_place(name: str) -> None:
    """A word of B that was read last by one job and loaded anew is read again by the next."""
    geometry = GEOMETRIES[name]
    products = [some_product(geometry, 0, seed, largest=1) for seed in range(8)]
    run = rtl_gemm(geometry, products, seed=5, pause=0.2, ahead=0)
    assert run.words == [product.words for product in products]
    assert run.cycles == [product.cycles for product in products]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_jobs_follow_each_other_at_once(name: str) -> None:
    """The next job is taken in the cycle after `done`, and the flag of the one before is gone."""
    geometry = GEOMETRIES[name]
    dut = Gemm(geometry)
    bench = Bench(dut, 3)
    first, second = some_product(geometry, 0, 1), some_product(geometry, 1, 2)
    done = bench.watch(dut.done, dut.illegal)
    starts: list[Transfers] = []

    async def loading(ctx: Any) -> None:
        for transfer in first.loads + second.loads:
            ctx.set(dut.load.payload, transfer)
            ctx.set(dut.load.valid, 1)
            await ctx.tick()
        ctx.set(dut.load.valid, 0)

    bench.first(loading)
    starts.append(bench.feed(dut.start, [first.start, second.start]))

    async def ending(ctx: Any) -> None:
        while len(done.values) < 2:
            await ctx.tick()

    bench.add(ending)
    bench.run(limit=2000)
    taken = starts[0].cycles
    assert done.cycles == [taken[0] + first.cycles, taken[1] + second.cycles]
    assert taken[1] == done.cycles[0] + 1
    assert [bool(flag) for flag in done.values] == [first.illegal, second.illegal]
