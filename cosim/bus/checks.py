"""Holds the hardware behind a bus to its register map."""

from __future__ import annotations

from random import Random
from typing import Any

import cocotb

from zeroskip.cosim.bus.peers import Peers


async def check_map(board: Peers, found: dict[str, Any]) -> None:
    """Every register, field and window that a SystemRDL compiler finds, and nothing else, is there as described."""
    random = Random(cocotb.RANDOM_SEED)
    for register in found["registers"]:
        address, fields = register["address"], register["fields"]
        value = int.from_bytes(await board.read(address), "little")
        known = 0
        for one in fields:
            mask = ((1 << one["width"]) - 1) << one["low"]
            known |= mask
            if one["reset"] is not None:
                assert (value & mask) >> one["low"] == one["reset"], f"{register['name']}.{one['name']}"
        assert value & ~known == 0, f"{register['name']} has bits without a field"
        if not any("w" in one["sw"] for one in fields):
            await board.refused(address, bytes([255] * 4), "ILLEGAL")
            assert int.from_bytes(await board.read(address), "little") & known == value or register["volatile"]
            continue
        stored = [one for one in fields if one["stored"]]
        for _ in range(4 if stored else 0):
            wanted = sum(random.randint(*one["range"]) << one["low"] for one in stored)
            await board.write(address, wanted.to_bytes(4, "little"))
            assert int.from_bytes(await board.read(address), "little") == wanted, register["name"]
        for one in stored:
            rest = sum(other["range"][0] << other["low"] for other in stored if other is not one)
            for beyond in (one["range"][0] - 1, one["range"][1] + 1):
                if 0 <= beyond < 1 << one["width"]:
                    before = await board.read(address)
                    word = ((beyond << one["low"]) | rest).to_bytes(4, "little")
                    await board.refused(address, word, "ILLEGAL")
                    assert await board.read(address) == before, register["name"]
        if stored:
            await board.write(address, value.to_bytes(4, "little"))

    addresses = {register["address"] for register in found["registers"]}
    holes = [address for address in range(0, found["registers_size"], 4) if address not in addresses]
    for address in [*random.sample(holes, min(4, len(holes))), found["registers_size"]]:
        await board.refused(address, None, "UNMAPPED")
        await board.refused(address, bytes(4), "UNMAPPED")

    ends = []
    for window in found["windows"]:
        first, size = window["address"], window["width"] // 8
        ends.append((first, first + size * window["entries"]))
        for word in {0, window["entries"] - 1}:
            place = first + size * word
            if window["sw"] == "w":
                await board.write(place, bytes(size))
                await board.refused(place, None, "ILLEGAL")
            else:
                await board.read(place)
                await board.refused(place, bytes(4), "ILLEGAL")
    inside = {begin for begin, _ in ends}
    for _, end in ends:
        if end not in inside and end < 1 << board.described.address_bits:
            await board.refused(end, None, "UNMAPPED")
            await board.refused(end, bytes(4), "UNMAPPED")


async def write_outside(board: Peers) -> None:
    """Writes at addresses where nothing is, all over the map, are refused. The caller sees from a run that nothing has
    changed."""
    random, described = Random(cocotb.RANDOM_SEED), board.described
    taken = [(register.address, register.address + 4) for register in described.registers]
    taken += [
        (first, first + window.entries * window.word_bytes)
        for window in described.windows
        for first in range(window.base, window.base + window.instances * window.stride, window.stride)
    ]
    places = [random.randrange(0, 1 << described.address_bits, 4) for _ in range(200)]
    free = [place for place in places if not any(first <= place < end for first, end in taken)]
    assert len(free) > 20
    # Right behind what is there, too.
    ends = [end for _, end in taken if end < 1 << described.address_bits]
    free += [end for end in ends if not any(first <= end < other for first, other in taken)]
    for place in free:
        await board.refused(place, bytes([255] * 4), "UNMAPPED")
