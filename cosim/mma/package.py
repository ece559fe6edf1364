"""The N:M tile, with its memories, as a package of Verilog (zeroskip.cosim.package)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bits import to_bits
from zeroskip.cosim.mma.design import gemm_design
from zeroskip.cosim.mma.play import expected_cycles, plan_of
from zeroskip.cosim.mma.program import job_program
from zeroskip.cosim.package.description import Description, Vectors
from zeroskip.cosim.session import most_cycles
from zeroskip.model.cores import CORES
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.gemm import Images, Job, Operand, Product, dense_operand, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import gemm
from zeroskip.model.mma.numerics import FloatFormat, IntFormat, raw_type
from zeroskip.model.mma.run_network import run
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.mma.gemm import Gemm
from zeroskip.rtl.mma.layouts import MatrixTarget, a_row_layout, job_layout, load_layout, read_layout

EXPONENTS = 3
"""The made-up floating-point numbers have exponents of at most so much, either way."""


def describe(geometry: TileGeometry) -> Description:
    """A tile of `geometry`, with its memories."""
    load: list[Any] = [
        "load",
        {"name": "load__payload", "wave": "xx=.=x.........", "data": ["word", "word"]},
        {"name": "load__valid", "wave": "0.1..0........."},
        {"name": "load__ready", "wave": "x.1............"},
    ]
    return Description(
        core="mma",
        title=CORES["mma"].title,
        prefix="mma",
        component=Gemm(geometry),
        geometry=geometry,
        words={
            "load": load_layout(geometry),
            "job": job_layout(geometry),
            "read": read_layout(geometry),
            "a_row": a_row_layout(geometry),
        },
        enums={"matrix_target": MatrixTarget},
        latency={
            "read to result": 2,
            "start to done": "a job of s sums and t steps takes s * t cycles and a constant more; "
            "zeroskip.model.mma.cycles predicts it exactly",
        },
        player=PACKAGE / "cosim/mma/gemm_player.v",
        player_top="gemm_player",
        instance="    gemm gemm (",
        defines={name: int(str(value)) for name, value in gemm_design(geometry).defines.items()},
        waves={
            "signal": [
                {"name": "clk", "wave": "p.............."},
                {"name": "rst", "wave": "10............."},
                load,
                [
                    "run",
                    {"name": "start__payload", "wave": "x....=x........", "data": ["job"]},
                    {"name": "start__valid", "wave": "0....10........"},
                    {"name": "start__ready", "wave": "x.1...0...1...."},
                    {"name": "done", "wave": "x.0......10...."},
                ],
                [
                    "read",
                    {"name": "read__payload", "wave": "x.........=x...", "data": ["word"]},
                    {"name": "read__valid", "wave": "0.........10..."},
                    {"name": "result__payload", "wave": "x...........=x.", "data": ["row"]},
                    {"name": "result__valid", "wave": "x.0.........10."},
                ],
            ],
            "head": {"text": "A load, a job (shortened), and a read"},
        },
    )


def sample_vectors(geometry: TileGeometry) -> Vectors:
    """Made-up products (made_up_products)."""
    products, what = made_up_products(geometry)
    return _vectors(products, geometry, what)


def made_up_products(geometry: TileGeometry) -> tuple[list[Product], str]:
    """Two made-up products, one of a sparse and one of a dense matrix, of a few tiles each, and what they are, in
    words."""
    rng = np.random.default_rng(0)
    rows, columns, inner = 2 * geometry.m + 1, geometry.n + 1, 2 * geometry.window
    products: list[Product] = []
    for dense in (False, True):
        if geometry.pattern.dense and not dense:
            continue
        values = _numbers(rng, geometry.operand, (rows, inner))
        operand = dense_operand(values, geometry.pattern)
        if not dense:
            kept = _kept(rng, geometry, rows, inner)
            operand = sparse_operand(np.where(kept, values, 0), geometry.pattern, dtype=geometry.dtype, mask=kept)
        b = _numbers(rng, geometry.operand, (inner, columns))
        c = _numbers(rng, geometry.result, (rows, columns))
        products.append((operand, b, c))
    kinds = "a dense one" if len(products) == 1 else "a sparse and a dense one"
    return products, f"{kinds}, {rows} x {inner} times {inner} x {columns}, made up"


def network_vectors(network: MmaNetwork, *, contents: bool) -> Vectors:
    """The products of a compiled network (network_products)."""
    products, what = network_products(network, contents=contents)
    return _vectors(products, network.geometry, what)


def network_products(network: MmaNetwork, *, contents: bool) -> tuple[list[Product], str]:
    """The products of a compiled network on a made-up image within the range of its samples, and what they are, in
    words. Raises ValueError for `contents`: the memories hold the operands of one job at a time."""
    if contents:
        raise ValueError(
            "with_contents must be left out for the N:M tile: its memories hold the operands of one product at a time, "
            "and the program of the test bench loads those of a network"
        )
    rng = np.random.default_rng(0)
    samples = network.samples
    low, high = (0.0, 1.0) if samples is None else (samples.low, samples.high)
    image = rng.uniform(low, high, (1, network.inputs)).astype(np.float32)
    products: list[Product] = []

    def multiply(layer: int, b: NDArray[Any], c: NDArray[Any]) -> NDArray[Any]:
        operand = network.operands[layer]
        products.append((operand, b, c))
        return gemm(operand, b, c, network.geometry)

    run(network, image, multiply)
    return products, "the products of the network for a made-up image"


def _numbers(rng: np.random.Generator, form: FloatFormat | IntFormat, shape: tuple[int, ...]) -> NDArray[Any]:
    """Raw bits: any integers, or floating-point numbers around one."""
    if isinstance(form, IntFormat):
        return rng.integers(0, 1 << form.bits, shape, np.uint64).astype(raw_type(form))
    exponent = rng.integers(form.bias - EXPONENTS, form.bias + EXPONENTS + 1, shape).astype(np.uint64)
    mantissa = rng.integers(0, 1 << form.mantissa_bits, shape, np.uint64)
    sign = rng.integers(0, 2, shape, np.uint64)
    bits = ((sign << form.exponent_bits | exponent) << form.mantissa_bits | mantissa) << form.dropped
    return bits.astype(raw_type(form))


def _kept(rng: np.random.Generator, geometry: TileGeometry, rows: int, columns: int) -> NDArray[np.bool_]:
    """Which values of a matrix are kept: by chance, as many of each group as the pattern says."""
    pairs = geometry.group // geometry.pair
    order = rng.random((rows, columns // geometry.group, pairs)).argsort(axis=2)
    return np.repeat((order < geometry.keep // geometry.pair).reshape(rows, -1), geometry.pair, axis=1)


def _vectors(products: list[Product], geometry: TileGeometry, what: str) -> Vectors:
    program: list[bytes] = []
    expected: list[str] = []
    for operand, b, c in products:
        images = Images(operand, b, c, geometry)
        plan = plan_of(operand, b, geometry)
        cycles = expected_cycles(plan, geometry)
        limits = most_cycles(np.array(cycles)).tolist()
        d = padded_tiles(gemm(operand, b, c, geometry), images, operand)
        for job, count, limit in zip(plan, cycles, limits, strict=True):
            program.extend(job_program(images, job, limit, "ports"))
            expected.append(f"C {count} 0")
            if job.last:
                expected += _words(d, job, geometry)
    return Vectors(program=b"".join(program), expected="\n".join([*expected, ""]), what=what)


def padded_tiles(d: NDArray[Any], images: Images, operand: Operand) -> NDArray[Any]:
    """D in tiles, as the memories hold it (tiles down x rows of a tile x tiles across x columns of a tile). What pads
    it is the product of zeros and of the padding of C."""
    tiles_m, m, tiles_n, n = images.c.shape
    padded = images.c.reshape(tiles_m * m, tiles_n * n).copy()
    padded[: d.shape[0], : d.shape[1]] = d
    return padded.reshape(images.c.shape)


def _words(d: NDArray[Any], job: Job, geometry: TileGeometry) -> list[str]:
    """The lines of the record with a job's part of D."""
    digits = -(-geometry.n * geometry.result.bits // 4)
    return [f"D {row:0{digits}x}" for row in result_words(d, job, geometry)]


def result_words(d: NDArray[Any], job: Job, geometry: TileGeometry) -> list[int]:
    """A job's part of D (padded_tiles): word by word, each row of the tile in turn."""
    part = d[job.rows.start : job.rows.stop, :, job.columns.start : job.columns.stop]
    rows = part.transpose(2, 0, 1, 3).reshape(-1, geometry.n)
    packed = np.packbits(to_bits(rows, geometry.result.bits), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]
