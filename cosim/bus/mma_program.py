"""The operands of a product as writes to the windows of a register map."""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.cosim.bus.window_words import window_words
from zeroskip.cosim.mma.program import job_banks, job_fields
from zeroskip.model.mma.gemm import Images, Job
from zeroskip.rtl.bus.mma_shell import TARGETS
from zeroskip.rtl.bus.register_map import REGISTER_BYTES, RegisterMap


def job_writes(described: RegisterMap, images: Images, job: Job) -> Iterator[tuple[int, bytes]]:
    """Addresses, and the words written from each on: the operands of a job that are not in the memories yet."""
    for target, banks in job_banks(images, job):
        window = described.window(next(name for name, one in TARGETS.items() if one is target))
        for bank, bits in enumerate(banks):
            yield window.base + bank * window.stride, window_words(window, bits)


def job_registers(described: RegisterMap, images: Images, job: Job) -> Iterator[tuple[int, bytes]]:
    """The writes of the registers of a job; START is none of them."""
    for name, value in job_fields(images, job).items():
        yield described.register(name.upper()).address, value.to_bytes(REGISTER_BYTES, "little")


def result_places(described: RegisterMap, job: Job) -> list[int]:
    """The addresses of a job's part of D, in the order of zeroskip.cosim.mma.package.result_words."""
    window = described.window("D")
    return [
        window.base + bank * window.stride + word * window.word_bytes
        for word in range(job.sums)
        for bank in range(window.instances)
    ]
