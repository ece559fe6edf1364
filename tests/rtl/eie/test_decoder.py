from random import Random
from typing import Any

import pytest
from support.bench import Bench, Transfers, geometry, load

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.decoder import WeightDecoder


def some_codebooks(geometry: EieGeometry, seed: int) -> list[list[int]]:
    random = Random(seed)
    return [[0, *(random.randrange(-(1 << 15), 1 << 15) for _ in range(geometry.codebook_size - 1))]
            for _ in range(geometry.layers)]  # fmt: skip


def rtl_decoder(
    geometry: EieGeometry, codebooks: list[list[int]], codebook: int, updates: list[dict[str, int]], *, pause: float
) -> tuple[Transfers, Transfers]:
    """Updates as they are taken, and operands."""
    dut = WeightDecoder(geometry)
    bench = Bench(dut, seed=codebook)

    async def loading(ctx: Any) -> None:
        await load(ctx, dut.load, [value % (1 << 16) for values in codebooks for value in values])
        ctx.set(dut.codebook, codebook)

    bench.first(loading)
    taken, operands = bench.feed(dut.i, updates, pause), bench.watch(dut.o.valid, dut.o.payload)
    bench.run(settle=3)
    return taken, operands


@pytest.mark.parametrize(("code_bits", "layers"), [(1, 1), (4, 3), (8, 2)])
@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_every_code_of_every_codebook_after_one_cycle(code_bits: int, layers: int, pause: float) -> None:
    small, random = geometry(code_bits=code_bits, layers=layers), Random(code_bits)
    codebooks = some_codebooks(small, seed=layers)
    for index, codebook in enumerate(codebooks):
        updates = [
            {"value": random.randrange(-(1 << 15), 1 << 15), "code": code, "row": random.randrange(64)}
            for code in random.sample(range(small.codebook_size), small.codebook_size)
        ]
        taken, operands = rtl_decoder(small, codebooks, index, updates, pause=pause)
        assert operands.values == [
            {"value": u["value"], "weight": codebook[u["code"]], "row": u["row"]} for u in updates
        ]
        assert operands.cycles == [cycle + 1 for cycle in taken.cycles]
