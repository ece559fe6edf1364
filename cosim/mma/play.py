"""Runs matrix products and single steps on the RTL of the N:M tile."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bits import Words, from_hexadecimal, to_bits, to_numbers
from zeroskip.cosim.emit import emit_verilog
from zeroskip.cosim.simulator import Build, Simulator, build, geometry_key
from zeroskip.model.bits import bits_for
from zeroskip.model.mma.gemm import Images, Job, Operand, jobs
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import raw_type
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.mma.gemm import Gemm
from zeroskip.rtl.mma.layouts import MatrixTarget, a_row_layout, job_layout, load_layout, results_layout, step_layout
from zeroskip.rtl.mma.tile import Tile


@dataclass(frozen=True, kw_only=True, eq=False)
class GemmRun:
    """What the RTL did with a product: raw bits of D (M x N), the cycles of each job from `start` to `done`, the
    transfers that loaded the matrices and read D, one a cycle and none beside a job, and whether it met an illegal
    metadata code."""

    d: NDArray[Any]
    job_cycles: tuple[int, ...]
    transfers: int
    illegal: bool

    @property
    def cycles(self) -> int:
        """Cycles of all jobs, loading not counted."""
        return sum(self.job_cycles)


def build_gemm(geometry: TileGeometry, simulator: Simulator = Simulator.VERILATOR) -> Build:
    """The player with a Gemm of `geometry`, from the cache where it has been built before."""
    return build(
        design=Gemm,
        simulator=simulator,
        top="gemm_player",
        verilog=lambda: emit_verilog(Gemm(geometry), "gemm"),
        sources=[PACKAGE / "cosim/sram.v", PACKAGE / "cosim/mma/gemm_player.v"],
        defines={
            "LOAD_BITS": load_layout(geometry).size,
            "JOB_BITS": job_layout(geometry).size,
            "BANK_BITS": bits_for(geometry.m),
            "ADDRESS_BITS": bits_for(geometry.d_words),
            "RESULT_BITS": results_layout(geometry).elem_shape.size,
            "ROWS": geometry.m,
        },
        key=geometry_key(geometry),
    )


def build_tile(geometry: TileGeometry, simulator: Simulator = Simulator.VERILATOR) -> Build:
    """The player with a tile of `geometry` by itself, from the cache where it has been built before."""
    return build(
        design=Tile,
        simulator=simulator,
        top="tile_player",
        verilog=lambda: emit_verilog(Tile(geometry), "tile"),
        sources=[PACKAGE / "cosim/mma/tile_player.v"],
        defines={"STEP_BITS": step_layout(geometry).size, "RESULT_BITS": results_layout(geometry).size},
        key=geometry_key(geometry),
    )


def run_gemm(
    operand: Operand,
    b: NDArray[Any],
    c: NDArray[Any],
    geometry: TileGeometry,
    *,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
) -> GemmRun:
    """D = A B + C on the RTL, for raw bits `b` (K x N) and `c` (M x N). The memories start with random contents, by
    `seed`.

    Raises ValueError for matrices that do not fit (zeroskip.model.mma.gemm.check_product), and SimulatorError where the
    simulator is missing or fails.
    """
    images = Images(operand, b, c, geometry)
    plan = list(jobs(geometry, operand.rows, b.shape[1], operand.columns, dense=operand.dense))
    with tempfile.TemporaryDirectory(prefix="zeroskip-") as name:
        folder = Path(name)
        with (folder / "program").open("wb") as program:
            for job in plan:
                program.writelines(_job_program(images, job))
        build_gemm(geometry, simulator).run(
            bench="zeroskip.cosim.play_bench",
            folder=folder,
            plusargs={"program": folder / "program", "record": folder / "record"},
            seed=seed,
        )
        record = (folder / "record").read_bytes().splitlines()
    marks = [line.split() for line in record if line[:1] == b"C"]
    words = [line[2:] for line in record if line[:1] == b"D"]
    return GemmRun(
        d=_results(images, plan, words)[: operand.rows, : b.shape[1]],
        job_cycles=tuple(int(mark[1]) for mark in marks),
        transfers=sum(_transfers(geometry, job) for job in plan),
        illegal=any(mark[2] == b"1" for mark in marks),
    )


def _job_program(images: Images, job: Job) -> Iterator[bytes]:
    """What makes the player load what a job needs beside what is there, run it, and read its part of D at the end."""
    geometry = images.geometry
    if job.new_b:
        yield from _load(geometry, MatrixTarget.B, _b_bits(images, job))
    yield from _load(geometry, MatrixTarget.A, _a_bits(images, job))
    if job.new_c:
        yield from _load(geometry, MatrixTarget.C, _c_bits(images, job))
    fields = {
        "a_base": 0,
        "b_base": 0,
        "d_base": 0,
        "rows": len(job.rows),
        "sums": job.sums,
        "windows": len(job.windows),
        "steps": len(job.steps),
    }
    if not geometry.pattern.dense:
        fields["dense"] = images.dense
    word = Words(job_layout(geometry), 1)
    for field, value in fields.items():
        word.number(field, value)
    yield struct.pack(">cI", b"S", 0) + word.to_bytes()
    if job.last:
        yield struct.pack(">cII", b"R", job.sums, 0)


def _transfers(geometry: TileGeometry, job: Job) -> int:
    """Transfers around a job: words of the banks of A, of B and C where they are new, and of D at the end."""
    a = geometry.m * len(job.rows) * len(job.steps)
    b = geometry.n * len(job.columns) * len(job.windows) if job.new_b else 0
    return a + b + geometry.m * job.sums * (job.new_c + job.last)


def _load(geometry: TileGeometry, target: Any, banks: NDArray[np.uint8]) -> Iterator[bytes]:
    """Transfers of words (banks x addresses x bits), from address 0 on."""
    for bank, bits in enumerate(banks):
        words = Words(load_layout(geometry), len(bits))
        words.number("target", target.value)
        words.number("bank", bank)
        words.number("address", np.arange(len(bits)))
        words.put("data", bits)
        yield struct.pack(">cI", b"L", len(bits)) + words.to_bytes()


def _part(sizes: range) -> slice:
    return slice(sizes.start, sizes.stop)


def _a_bits(images: Images, job: Job) -> NDArray[np.uint8]:
    geometry = images.geometry
    layout = a_row_layout(geometry)
    values = images.values[_part(job.rows), :, _part(job.steps)]
    words = Words(layout, values.size // geometry.k)
    # Banks x tiles x steps.
    words.put("values", to_bits(values.swapaxes(0, 1).reshape(-1, geometry.k), geometry.operand.operand_bits))
    if images.codes is not None:
        codes = images.codes[_part(job.rows), :, _part(job.steps)]
        words.put("codes", to_bits(codes.swapaxes(0, 1).reshape(-1, geometry.groups), geometry.pattern.code_bits))
    return words.bits.reshape(geometry.m, -1, layout.size)


def _b_bits(images: Images, job: Job) -> NDArray[np.uint8]:
    geometry = images.geometry
    # Banks x tiles x windows.
    values = images.b[_part(job.columns), :, _part(job.windows)].swapaxes(0, 1)
    bits = to_bits(values.reshape(-1, geometry.window), geometry.operand.operand_bits)
    return bits.reshape(geometry.n, -1, bits.shape[1])


def _c_bits(images: Images, job: Job) -> NDArray[np.uint8]:
    geometry = images.geometry
    # Banks x tiles across x tiles down.
    values = images.c[_part(job.rows), :, _part(job.columns)].transpose(1, 2, 0, 3)
    bits = to_bits(values.reshape(-1, geometry.n), geometry.result.bits)
    return bits.reshape(geometry.m, -1, bits.shape[1])


def _results(images: Images, plan: list[Job], words: list[bytes]) -> NDArray[Any]:
    """D, padded, from the words that were read of each part of it."""
    geometry = images.geometry
    width = geometry.result.bits
    numbers = to_numbers(from_hexadecimal(words, geometry.n * width), width, raw_type(geometry.result))
    d = np.empty_like(images.c)
    first = 0
    for job in plan:
        if job.last:
            count = job.sums * geometry.m
            part = numbers[first : first + count].reshape(len(job.columns), len(job.rows), geometry.m, geometry.n)
            d[_part(job.rows), :, _part(job.columns)] = part.transpose(1, 2, 0, 3)
            first += count
    assert first == len(numbers), "the player stopped early"
    tiles_m, m, tiles_n, n = d.shape
    return d.reshape(tiles_m * m, tiles_n * n)


def run_steps(
    geometry: TileGeometry,
    steps: dict[str, NDArray[Any]],
    *,
    pause: float = 0.0,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Steps on the tile by itself, each field of `step_layout` an array whose first axis is the step: raw bits of the
    results (results x m x n), and whether `illegal` was set when each left. `pause` is the part of all cycles in which
    each side of the tile rests.
    """
    layout = step_layout(geometry)
    count, results = len(steps["last"]), int(np.count_nonzero(steps["last"]))
    words = Words(layout, count)
    widths = {"a": geometry.operand.operand_bits, "b": geometry.operand.operand_bits, "c": geometry.result.bits}
    for field, values in steps.items():
        if values.ndim == 1:
            words.number(field, values)
        else:
            words.put(field, to_bits(values.reshape(count, -1), widths.get(field, geometry.pattern.code_bits)))
    with tempfile.TemporaryDirectory(prefix="zeroskip-") as name:
        folder = Path(name)
        (folder / "program").write_bytes(words.to_bytes())
        build_tile(geometry, simulator).run(
            bench="zeroskip.cosim.play_bench",
            folder=folder,
            plusargs={
                "program": folder / "program",
                "record": folder / "record",
                "results": str(results),
                "pause": str(round(256 * pause)),
            },
            seed=seed,
        )
        lines = [line.split() for line in (folder / "record").read_bytes().splitlines()]
    width = geometry.result.bits
    bits = from_hexadecimal([line[0] for line in lines], geometry.m * geometry.n * width)
    numbers = to_numbers(bits, width, raw_type(geometry.result)).reshape(-1, geometry.m, geometry.n)
    return numbers, np.array([line[1] == b"1" for line in lines])
