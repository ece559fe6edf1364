"""Packets of triples, with random pauses, against a few lines of Python."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from support.bench import Bench

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.bus.triples import TRIPLE_BITS, TripleSender

Triple = tuple[int, int, int]


def beats(triples: list[Triple], pairs: int) -> list[dict[str, int]]:
    """The packet of a map: a beat that holds nothing, where it has no triples."""
    found = []
    for first in range(0, max(1, len(triples)), pairs):
        part = triples[first : first + pairs]
        data = sum(sum(n << 32 * i for i, n in enumerate(one)) << TRIPLE_BITS * place for place, one in enumerate(part))
        keep = (1 << TRIPLE_BITS // 8 * len(part)) - 1
        found.append({"data": data, "keep": keep, "last": int(first + pairs >= len(triples))})
    return found


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize("width", [1, 8])
def test_packets(width: int, pause: float) -> None:
    """What does not count in a beat may be anything, so that is set to zero before the comparison."""
    geometry = MapperGeometry(width=width)
    pairs = geometry.pairs
    random = Random(width)
    maps = [
        [(random.randrange(512), random.randrange(1 << 18), random.randrange(1 << 18)) for _ in range(count)]
        for count in [0, 1, pairs, pairs + 1, 3 * pairs, 0, 0, *(random.randrange(20) for _ in range(10))]
    ]
    dut = TripleSender(geometry)
    bench = Bench(dut, width)

    async def give(ctx: Any) -> None:
        """Each map after the one before has been taken, and its end with its last word or later."""
        for triples in maps:
            for first in range(0, len(triples), pairs):
                part = triples[first : first + pairs]
                while random.random() < pause:
                    await ctx.tick()
                values = [dict(zip(("offset", "input", "output"), one, strict=True)) for one in part]
                ctx.set(dut.i.payload, {"values": values, "count": len(part)})
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)
            while random.random() < pause:
                await ctx.tick()
            ctx.set(dut.end, 1)
            await ctx.tick()
            ctx.set(dut.end, 0)
            await ctx.tick().until(~dut.busy)

    bench.add(give)
    wanted = [beat for triples in maps for beat in beats(triples, pairs)]
    found = bench.drain(dut.o, len(wanted), pause)
    bench.run()
    counted = [{**beat, "data": beat["data"] & ((1 << 8 * beat["keep"].bit_length()) - 1)} for beat in found.values]
    assert counted == wanted


def test_throughput() -> None:
    """A beat a cycle, each as soon as the next word waits."""
    geometry = MapperGeometry(width=4)
    dut = TripleSender(geometry)
    bench = Bench(dut)
    word = {"values": [{"offset": 1, "input": 2, "output": 3}] * geometry.pairs, "count": geometry.pairs}
    given = bench.feed(dut.i, [word] * 20)
    found = bench.drain(dut.o, 19)
    bench.run()
    assert [late - early for early, late in zip(given.cycles[1:], found.cycles, strict=True)] == [0] * 19
    assert given.cycles == list(range(given.cycles[0], given.cycles[0] + 20))
