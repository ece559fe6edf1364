from random import Random
from typing import Any

import pytest
from support.bench import Bench, at

from zeroskip.rtl.mma.accumulators import Accumulators

Cycle = dict[str, int]


def rtl_accumulators(slots: int, cycles: list[Cycle]) -> list[int]:
    """What `before` shows in the cycle after each."""
    dut = Accumulators(slots=slots, width=32)
    bench, shown = Bench(dut), []

    async def driving(ctx: Any) -> None:
        for cycle in cycles:
            for name, value in cycle.items():
                ctx.set(at(dut, name), value)
            await ctx.tick()
            shown.append((ctx.get(dut.before), ctx.get(dut.written)))

    bench.add(driving)
    bench.run()
    assert [written for (_, written), cycle in zip(shown, cycles, strict=True) if cycle["write.en"]] == [
        cycle["write.data"] for cycle in cycles if cycle["write.en"]
    ]
    return [before for before, _ in shown]


def expected(slots: int, cycles: list[Cycle]) -> list[int]:
    words, shown = [0] * slots, []
    for cycle in cycles:
        if cycle["write.en"]:
            words[cycle["write.addr"]] = cycle["write.data"]
        shown.append(cycle["begin"] if cycle["first"] else words[cycle["slot"]])
    return shown


@pytest.mark.parametrize("slots", [1, 2, 9])
def test_words_are_shown_in_the_next_cycle(slots: int) -> None:
    """Also the word that is written in the cycle in which it is read, already as it was written; and what a sum begins
    with, in its place."""
    random = Random(slots)
    cycles = [
        {
            "first": random.random() < 0.3,
            "begin": random.getrandbits(32),
            "slot": random.randrange(slots),
            "write.en": random.random() < 0.5,
            "write.addr": random.randrange(slots),
            "write.data": random.getrandbits(32),
        }
        for _ in range(400)
    ]
    assert rtl_accumulators(slots, cycles) == expected(slots, cycles)
