# amaranth: UnusedElaboratable=no
# (nothing simulates the components of which only the construction is tested)
"""The memory with an early address: both kinds of it show the same words in the same cycles."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Fragment, Module
from amaranth.sim import Simulator

from zeroskip.fpga.boards.sram import WordStoresInBlockRam
from zeroskip.rtl.word_store import WordStore

Operation = tuple[bool, int, int, int]
"""`en`, `addr` and `data` of the write port, and `following`."""


def operations(depth: int, width: int) -> list[Operation]:
    """Writes every word, then at random: also the word that is shown, and the one that is shown next."""
    random = Random(depth)
    made = [(True, address, random.getrandbits(width), 0) for address in range(depth)]
    for _ in range(300):
        following = random.choice([made[-1][3], random.randrange(depth)])
        address = random.choice([following, made[-1][3], random.randrange(depth)])
        made.append((random.random() < 0.6, address, random.getrandbits(width), following))
    return made


def shown(platform: Any, made: list[Operation], depth: int, width: int) -> list[int]:
    """`o` in the cycle after each operation."""
    store, found = WordStore(depth=depth, width=width), []

    async def testbench(ctx: Any) -> None:
        for operation in made:
            for port, value in zip((store.write.en, store.write.addr, store.write.data), operation, strict=False):
                ctx.set(port, value)
            ctx.set(store.following, operation[3])
            await ctx.tick()
            found.append(ctx.get(store.o))

    simulator = Simulator(Fragment.get(store, platform))
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 8), (5, 13), (16, 41)])
@pytest.mark.parametrize("platform", [None, WordStoresInBlockRam()])
def test_the_word_at_the_early_address(platform: Any, depth: int, width: int) -> None:
    made = operations(depth, width)
    words, expected = dict.fromkeys(range(depth), 0), []
    for enable, address, value, following in made:
        if enable:
            words[address] = value
        expected.append(words[following])
    assert shown(platform, made, depth, width) == expected


def test_platform_decides() -> None:
    class Platform:
        def get_word_store(self, store: WordStore) -> Elaboratable:
            self.asked = store
            return macro

    store, macro, platform = WordStore(depth=4, width=8), Module(), Platform()
    assert store.elaborate(platform) is macro
    assert platform.asked is store


@pytest.mark.parametrize(("depth", "width"), [(0, 8), (4, 0), (-1, -2)])
def test_sizes_are_checked(depth: int, width: int) -> None:
    message = f"depth and width must be at least 1, not {depth} and {width}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        WordStore(depth=depth, width=width)
