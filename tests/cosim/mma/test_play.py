"""The N:M tile and its GEMM under Verilator: all bits against the golden model, all cycles against the cycle model."""

from __future__ import annotations

import dataclasses
import shutil
from typing import Any

import numpy as np
import pytest
from support.operands import KINDS, block_numbers, random_bits
from support.steps import random_steps

from zeroskip.cosim.mma.play import GemmRun, run_gemm, run_steps
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.model.mma import cycles, golden
from zeroskip.model.mma import format as nm
from zeroskip.model.mma.gemm import Operand, dense_operand, jobs, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import OPERANDS, FloatFormat, block_rule
from zeroskip.model.network.pattern import Pattern

LATENCY = {"fp16": 10, "tf32": 9, "int8": 6, "int4": 6}
"""Of tiles of the A100 and of Ada."""


def unit(generation: str, dtype: str, out: str, pattern: str = "2:4", **sizes: Any) -> TileGeometry:
    """A tile of one dot-product unit."""
    chosen = Pattern.parse(pattern)
    k = 4 * chosen.keep
    if isinstance(OPERANDS[dtype], FloatFormat):
        k = block_rule(generation, dtype, out).step
    shape = {"keep": chosen.keep, "group": chosen.group, "pair": chosen.pair}
    return TileGeometry(generation=generation, dtype=dtype, out=out, **{"m": 1, "n": 1, "k": k, **shape, **sizes})


FLOATS = [
    unit("V100", "fp16", "fp32"),
    unit("V100", "fp16", "fp16", "1:2"),
    unit("A100", "fp16", "fp32"),
    unit("A100", "fp16", "fp16", check="relaxed"),
    unit("A100", "bf16", "fp32"),
    unit("A100", "tf32", "fp32", "1:2"),
    unit("Ada", "e4m3", "fp32", "dense"),
    unit("Ada", "e5m2", "fp32"),
    unit("H100", "fp16", "fp32", "dense"),
    unit("H100", "fp16", "fp16"),
    unit("H100", "bf16", "fp32", "dense"),
    unit("H100", "tf32", "fp32", "1:2"),
    unit("H100", "e4m3", "fp32"),
    unit("H100", "e5m2", "fp32"),
    unit("Ada", "e5m2", "fp16"),
    unit("B200", "e5m2", "fp16"),
    unit("B200", "e4m3", "fp32"),
    unit("B200", "e5m2", "fp32"),
    unit("Ada", "tf32", "fp32", "1:4"),
]
AGAIN = [
    unit("Ada", "fp16", "fp32", "4:8 pairs"),
    unit("Ada", "fp16", "fp16", "dense"),
    unit("Ada", "bf16", "fp32", "4:8"),
    unit("B200", "fp16", "fp32", "4:8 pairs"),
    unit("B200", "fp16", "fp16", "dense"),
    unit("B200", "bf16", "fp32", "4:8"),
    unit("B200", "tf32", "fp32", "1:4"),
    unit("H100", "e5m2", "fp16", "1:2"),
    unit("B200", "e4m3", "fp16", "4:8"),
    unit("H100", "e5m2", "fp32", "dense"),
    unit("H100", "e4m3", "fp16"),
    unit("H100", "e4m3", "fp16", "dense"),
    unit("B200", "e5m2", "fp32", "1:4"),
]
"""Modes that Ada adds up as A100 does, and B200 as H100; and other patterns of the largest units."""
INTEGERS = [
    unit("A100", "int8", "int32", m=2, n=3),
    unit("A100", "int8", "int32_sat", check="relaxed"),
    unit("Ada", "int4", "int32", "4:8 pairs"),
    unit("A100", "int4", "int32_sat", "4:8 pairs", check="relaxed"),
    unit("H100", "int8", "int32_sat", "1:2"),
]


def named(geometry: TileGeometry) -> str:
    check = "" if geometry.check == "strict" else "-relaxed"
    return f"{geometry.generation}-{geometry.dtype}-{geometry.out}-{geometry.pattern}{check}"


def rtl_steps(geometry: TileGeometry, fields: dict[str, Any], **options: Any) -> list[Any]:
    numbers: list[Any] = run_steps(geometry, fields, **options)[0].tolist()
    return numbers


@pytest.mark.parametrize(
    "geometry", [*FLOATS, *(pytest.param(geometry, marks=pytest.mark.slow) for geometry in AGAIN)], ids=named
)
def test_floats(geometry: TileGeometry) -> None:
    """Thousands of blocks of all sorts, chains in all slots, pauses on both sides."""
    rng = np.random.default_rng(1)
    steps = random_steps(rng, geometry, 4000, longest=3)
    assert rtl_steps(geometry, steps.fields, pause=0.2, seed=3) == steps.results.tolist()


@pytest.mark.parametrize(
    "geometry",
    [geometry for geometry in FLOATS if geometry.out == "fp16" or geometry.dtype in ("bf16", "tf32")],
    ids=named,
)
def test_the_floor_of_the_exponent(geometry: TileGeometry) -> None:
    """What it cuts off a product that stands alone decides on ties, and on the least results."""
    rng = np.random.default_rng(5)
    steps = random_steps(rng, geometry, 2000, longest=1, kinds=("lone", "edge"))
    assert rtl_steps(geometry, steps.fields, seed=5) == steps.results.tolist()


@pytest.mark.parametrize("geometry", INTEGERS, ids=named)
def test_integers(geometry: TileGeometry) -> None:
    """Sums that wrap and saturate, and come back, in one slot: `loop` is one cycle."""
    rng = np.random.default_rng(2)
    steps = random_steps(rng, geometry, 3000, longest=5)
    assert rtl_steps(geometry, steps.fields, pause=0.2, seed=4) == steps.results.tolist()


@pytest.mark.parametrize("geometry", [FLOATS[2], INTEGERS[1]], ids=named)
@pytest.mark.parametrize("active", [1, 2, 4])
@pytest.mark.parametrize("pause", [0.0, 0.6])
def test_a_slot_may_be_used_again_at_once(geometry: TileGeometry, active: int, pause: float) -> None:
    """The tile waits until the sum can be continued."""
    rng = np.random.default_rng(active)
    steps = random_steps(rng, geometry, 400, longest=6, active=active)
    assert rtl_steps(geometry, steps.fields, pause=pause, seed=active) == steps.results.tolist()


@pytest.mark.parametrize("geometry", [*INTEGERS[:3], FLOATS[5]], ids=named)
def test_every_code_has_a_result_and_a_flag(geometry: TileGeometry) -> None:
    """Legal codes leave the flag alone; each of the others is the only illegal one in turn. The flag is set in the
    cycle after its step was taken: when a result leaves, `latency` - 1 more steps have followed."""
    rng = np.random.default_rng(6)
    latency = LATENCY[geometry.dtype]
    every = np.arange(1 << geometry.pattern.code_bits, dtype=np.uint16)
    illegal = nm.illegal(every[:, None], geometry.pattern, geometry.check)[:, 0]
    legal = random_steps(rng, geometry, 1000, legal=True)
    assert set(legal.fields["codes"].ravel().tolist()) == set(every[~illegal].tolist())
    assert not run_steps(geometry, legal.fields)[1].any()
    for code in every[illegal].tolist():
        steps = random_steps(rng, geometry, 40, longest=1, legal=True, dense=0.1)
        shape = steps.fields["codes"].shape
        at, row, group = 15, int(rng.integers(shape[1])), int(rng.integers(shape[2]))
        steps.fields["codes"][at, row, group] = code
        steps.fields["dense"][at] = 0
        expected = [i + latency - 1 >= at for i in range(40)]
        assert run_steps(geometry, steps.fields)[1].tolist() == expected


@pytest.mark.parametrize("geometry", [INTEGERS[0], FLOATS[2]], ids=named)
@pytest.mark.parametrize("seed", range(3))
def test_the_flag_with_pauses(geometry: TileGeometry, seed: int) -> None:
    """When a result leaves, its own step has been taken, and at most `latency` - 1 that followed."""
    rng = np.random.default_rng(seed)
    latency = LATENCY[geometry.dtype]
    steps = random_steps(rng, geometry, 60, longest=1, legal=True)
    codes = steps.fields["codes"]
    codes[30 + seed], steps.fields["dense"][30 + seed] = 0, 0
    flags = run_steps(geometry, steps.fields, pause=0.4, seed=seed)[1]
    seen = int(np.argmax(flags))
    assert flags.tolist() == [i >= seen for i in range(60)]
    assert 30 + seed - (latency - 1) <= seen <= 30 + seed


GEMMS = {
    "fp16": TileGeometry(m=2, n=3),
    "tf32": unit("A100", "tf32", "fp32", "1:2", m=2, n=2, a_words=24, b_words=10, d_words=7),
    "bf16": unit("A100", "bf16", "fp32", "4:8 pairs", m=1, n=2, a_words=11, b_words=7, d_words=12),
    "int8": unit("A100", "int8", "int32_sat", m=3, n=2, check="relaxed", a_words=5, b_words=3, d_words=3),
    "1:4": unit("A100", "int8", "int32", "1:4", k=2, m=2, n=1, a_words=64, b_words=16, d_words=16),
    "dense": unit("H100", "int8", "int32", "dense", k=6, m=2, n=3, a_words=16, b_words=12, d_words=6),
    "two blocks": unit("H100", "e4m3", "fp16", m=1, n=1, a_words=6, b_words=4, d_words=9),
    "c last": unit("B200", "e5m2", "fp32", m=1, n=1, a_words=9, b_words=3, d_words=5),
    "one word": unit("A100", "int8", "int32", "1:2", k=2, m=2, n=2, a_words=2, b_words=1, d_words=1),
}


def some_product(
    geometry: TileGeometry, size: tuple[int, int, int], *, dense: bool, legal: bool, seed: int
) -> tuple[Operand, Any, Any]:
    """Matrices with numbers of one kind in each row of A and column of B, with any codes or legal ones."""
    m, n, k = size
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    a, b, c = block_numbers(rng, geometry.dtype, geometry.out, max(m, n), k, kind)
    c = np.stack([np.roll(c, shift)[:m] for shift in range(n)], axis=1)
    b = np.ascontiguousarray(b[:n].T)
    if dense:
        return dense_operand(a[:m], geometry.pattern), b, c
    pattern = geometry.pattern
    if legal:
        mask = nm.nm_mask(np.pad(rng.random((m, k)), ((0, 0), (0, -k % pattern.group))), pattern)[:, :k]
        return sparse_operand(a[:m], pattern, dtype=geometry.dtype, mask=mask), b, c
    groups = -(-k // pattern.group)
    codes = rng.integers(0, 1 << pattern.code_bits, (m, groups)).astype(nm.code_type(pattern))
    values = np.resize(a[:m], (m, groups * pattern.keep))
    return Operand(values=values, codes=codes, columns=k, pattern=pattern), b, c


def check_gemm(geometry: TileGeometry, operand: Operand, b: Any, c: Any, **options: Any) -> GemmRun:
    run = run_gemm(operand, b, c, geometry, **options)
    size = operand.rows, b.shape[1], operand.columns
    assert run.d.tolist() == golden.gemm(operand, b, c, geometry).tolist()
    plan = list(jobs(geometry, *size, dense=operand.dense))
    expected = [cycles.job_cycles(geometry, sums=job.sums, steps=len(job.steps)) for job in plan]
    assert list(run.job_cycles) == expected
    assert run.cycles == cycles.gemm_cycles(geometry, *size, dense=operand.dense)
    illegal = operand.codes is not None and bool(nm.illegal(operand.codes, operand.pattern, geometry.check).any())
    assert run.illegal == illegal
    return run


SIZES = [(1, 1, 1), (7, 5, 70), (9, 11, 19)]


@pytest.mark.parametrize(("size", "load"), [*((size, "direct") for size in SIZES), (SIZES[1], "ports")], ids=str)
@pytest.mark.parametrize(
    ("name", "dense"),
    [
        (name, dense)
        for name, geometry in GEMMS.items()
        for dense in (False, True)
        if dense or not geometry.pattern.dense
    ],
)
def test_gemm(name: str, dense: bool, size: tuple[int, int, int], load: LoadName) -> None:
    geometry = GEMMS[name]
    seed = 8 * SIZES.index(size) + sorted(GEMMS).index(name)
    operand, b, c = some_product(geometry, size, dense=dense, legal=True, seed=seed)
    run = check_gemm(geometry, operand, b, c, load=load, seed=seed)
    if name in ("int8", "one word") and size == (7, 5, 70):
        assert len(run.job_cycles) > 10


@pytest.mark.parametrize("name", ["fp16", "tf32", "bf16", "int8", "1:4", "two blocks"])
@pytest.mark.parametrize("seed", range(2))
def test_gemm_with_any_codes(name: str, seed: int) -> None:
    """Also those that name a row of B twice, or one behind the last."""
    geometry = GEMMS[name]
    operand, b, c = some_product(geometry, (5, 4, 45), dense=False, legal=False, seed=seed)
    check_gemm(geometry, operand, b, c, seed=seed)


@pytest.mark.parametrize("row", [0, 4])
def test_one_illegal_code_is_reported(row: int) -> None:
    geometry = GEMMS["fp16"]
    operand, b, c = some_product(geometry, (5, 4, 45), dense=False, legal=True, seed=1)
    assert operand.codes is not None
    codes = operand.codes.copy()
    codes[row, 3] = 0b0001
    check_gemm(geometry, dataclasses.replace(operand, codes=codes), b, c)


def test_nothing_hangs_on_what_memories_hold_at_first() -> None:
    geometry = GEMMS["int8"]
    operand, b, c = some_product(geometry, (4, 3, 40), dense=False, legal=True, seed=0)
    runs = [check_gemm(geometry, operand, b, c, seed=seed) for seed in range(3)]
    assert len({run.job_cycles for run in runs}) == 1


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog")
def test_icarus_agrees() -> None:
    geometry = GEMMS["int8"]
    operand, b, c = some_product(geometry, (4, 3, 40), dense=False, legal=True, seed=0)
    check_gemm(geometry, operand, b, c, simulator=Simulator.ICARUS)
    steps = random_steps(np.random.default_rng(8), INTEGERS[0], 300)
    options: dict[str, Any] = {"pause": 0.3, "simulator": Simulator.ICARUS}
    assert rtl_steps(INTEGERS[0], steps.fields, **options) == steps.results.tolist()


def test_wrong_matrices_are_refused() -> None:
    geometry = GEMMS["fp16"]
    operand, b, c = some_product(geometry, (4, 3, 40), dense=False, legal=True, seed=0)
    with pytest.raises(ValueError, match=r"c must be 4 x 3, not \(3, 4\)"):
        run_gemm(operand, b, c.T, geometry)
    with pytest.raises(ValueError, match="b must be uint16, the raw bits of fp16, not uint8"):
        run_gemm(operand, random_bits(np.random.default_rng(0), "int8", b.shape), c, geometry)
