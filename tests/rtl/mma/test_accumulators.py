from random import Random
from typing import Any

import pytest
from support.bench import Bench, at

from zeroskip.rtl.mma.accumulators import Accumulators

Cycle = dict[str, int]


def rtl_accumulators(slots: int, cycles: list[Cycle]) -> list[int]:
    """What `read.data` shows in each cycle."""
    dut = Accumulators(slots=slots, width=32)
    bench, shown = Bench(dut), []

    async def driving(ctx: Any) -> None:
        for cycle in cycles:
            for name, value in cycle.items():
                ctx.set(at(dut, name), value)
            shown.append(ctx.get(dut.read.data))
            await ctx.tick()

    bench.add(driving)
    bench.run()
    return shown


def expected(slots: int, cycles: list[Cycle]) -> list[int]:
    words, shown = [0] * slots, []
    for cycle in cycles:
        shown.append(words[cycle["read.addr"]])
        if cycle["write.en"]:
            words[cycle["write.addr"]] = cycle["write.data"]
    return shown


@pytest.mark.parametrize("slots", [1, 2, 9])
def test_words_are_shown_in_the_same_cycle(slots: int) -> None:
    """Also the word that is written at the end of the cycle, still as it was."""
    random = Random(slots)
    cycles = [
        {
            "read.addr": random.randrange(slots),
            "write.en": random.random() < 0.5,
            "write.addr": random.randrange(slots),
            "write.data": random.getrandbits(32),
        }
        for _ in range(400)
    ]
    assert rtl_accumulators(slots, cycles) == expected(slots, cycles)
