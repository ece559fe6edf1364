from random import Random
from typing import Any

import pytest
from support.bench import Bench, Transfers, geometry, load

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.decoder import WeightDecoder


def rtl_decoder(
    geometry: EieGeometry, codebook: list[int], updates: list[dict[str, int]], *, pause: float
) -> tuple[Transfers, Transfers]:
    """Updates as they are taken, and operands."""
    dut = WeightDecoder(geometry)
    bench = Bench(dut, seed=len(codebook))
    lanes = len(dut.codebook.data)

    async def loading(ctx: Any) -> None:
        # What a codebook before it leaves is replaced.
        for values in ([7] * len(codebook), [value % (1 << 16) for value in codebook]):
            groups = [values[first : first + lanes] for first in range(0, len(values), lanes)]
            await load(ctx, dut.codebook, groups)

    bench.first(loading)
    taken, operands = bench.feed(dut.i, updates, pause), bench.watch(dut.o.valid, dut.o.payload)
    bench.run(settle=3)
    return taken, operands


@pytest.mark.parametrize("code_bits", [1, 4, 6, 8])
@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_every_code_after_one_cycle(code_bits: int, pause: float) -> None:
    small, random = geometry(code_bits=code_bits), Random(code_bits)
    codebook = [0, *(random.randrange(-(1 << 15), 1 << 15) for _ in range(small.codebook_size - 1))]
    updates = [
        {"value": random.randrange(-(1 << 15), 1 << 15), "code": code, "row": random.randrange(64)}
        for code in random.sample(range(small.codebook_size), small.codebook_size)
    ]
    taken, operands = rtl_decoder(small, codebook, updates, pause=pause)
    assert operands.values == [{"value": u["value"], "weight": codebook[u["code"]], "row": u["row"]} for u in updates]
    assert operands.cycles == [cycle + 1 for cycle in taken.cycles]
