"""Programs of the Gemm player (gemm_player.v), and the matrices that it reads back."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bits import Words, from_hexadecimal, to_bits, to_bytes, to_numbers
from zeroskip.cosim.simulator import LoadName
from zeroskip.model.mma.gemm import Images, Job
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import raw_type
from zeroskip.rtl.mma.layouts import MatrixTarget, a_row_layout, job_layout, load_layout


def job_program(images: Images, job: Job, limit: int, load: LoadName) -> Iterator[bytes]:
    """The program that loads the operands of a job that are not in the memories yet, runs it, and reads its part of D
    at the end, through the ports or directly. If the job takes more cycles than `limit`, the program ends there."""
    geometry = images.geometry
    put, read = (_transfer, b"R") if load == "ports" else (_fill, b"P")
    for target, banks in job_banks(images, job):
        yield from put(geometry, target, banks)
    word = Words(job_layout(geometry), 1)
    for field, value in job_fields(images, job).items():
        word.number(field, value)
    yield struct.pack(">cII", b"S", 0, limit) + word.to_bytes()
    if job.last:
        yield struct.pack(">cII", read, job.sums, 0)


def job_banks(images: Images, job: Job) -> Iterator[tuple[Any, NDArray[np.uint8]]]:
    """The operands of a job that are not in the memories yet: words (banks x addresses x bits), from address 0 on."""
    if job.new_b:
        yield MatrixTarget.B, _b_bits(images, job)
    yield MatrixTarget.A, _a_bits(images, job)
    if job.new_c:
        yield MatrixTarget.C, _c_bits(images, job)


def job_fields(images: Images, job: Job) -> dict[str, int]:
    """The fields of the start word of a job (job_layout)."""
    fields = {
        "a_base": 0,
        "b_base": 0,
        "d_base": 0,
        "rows": len(job.rows),
        "sums": job.sums,
        "windows": len(job.windows),
        "steps": len(job.steps),
    }
    if not images.geometry.pattern.dense:
        fields["dense"] = int(images.dense)
    return fields


def transfers(geometry: TileGeometry, job: Job) -> int:
    """Transfers of the ports around a job: words of the banks of A, of B and C if they are new, and of D at the end."""
    a = geometry.m * len(job.rows) * len(job.steps)
    b = geometry.n * len(job.columns) * len(job.windows) if job.new_b else 0
    return a + b + geometry.m * job.sums * (job.new_c + job.last)


def _fill(geometry: TileGeometry, target: Any, banks: NDArray[np.uint8]) -> Iterator[bytes]:
    """Words (banks x addresses x bits), from address 0 on, as the contents of memories."""
    first = {MatrixTarget.A: 0, MatrixTarget.B: geometry.m, MatrixTarget.C: geometry.m + geometry.n}[target]
    for bank, bits in enumerate(banks, first):
        yield struct.pack(">cII", b"F", len(bits), bank) + to_bytes(bits)


def _transfer(geometry: TileGeometry, target: Any, banks: NDArray[np.uint8]) -> Iterator[bytes]:
    """The same words as transfers of the load port."""
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


def results(images: Images, plan: list[Job], words: list[bytes]) -> NDArray[Any]:
    """D, padded, from the words that were read of each part."""
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
