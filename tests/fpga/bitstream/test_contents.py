"""What is put into a bitstream's block RAMs is in the bitstream: synthesis, place and route, and packing of a small
memory, cut in width and depth, for all families. The results of the tools come from the cache when nothing changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.fpga.bitstream import config as texts
from zeroskip.fpga.bitstream.cells import counted
from zeroskip.fpga.bitstream.design import design
from zeroskip.fpga.bitstream.memories import memories
from zeroskip.fpga.bitstream.pack import pack, unpack
from zeroskip.fpga.bitstream.route import route
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.fpga.boards.top import BoardTop
from zeroskip.rtl.sram import Sram

DEPTH, WIDTH = 700, 27


class Shifted(wiring.Component):
    """A memory whose ports are filled from `rx`, and whose words leave by `tx`."""

    def __init__(self) -> None:
        super().__init__({"rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.words = words = Sram(depth=DEPTH, width=WIDTH)
        inputs = Cat(words.write.en, words.write.addr, words.write.data, words.read.en, words.read.addr)
        shifted, seen = Signal(len(inputs)), Signal(WIDTH)
        m.d.sync += [shifted.eq(Cat(self.rx, shifted)), seen.eq(seen >> 1)]
        with m.If(self.rx):
            m.d.sync += seen.eq(words.read.data)
        m.d.comb += [inputs.eq(shifted), self.tx.eq(seen[0])]
        return m


def test_contents_are_in_the_bitstream_of_a_gowin() -> None:
    """No tool reads them back. But each bit that differs between two contents is one bit of the bitstream, beside the
    checksums at the ends of its lines; and the cells hold what was written."""
    chosen = BOARDS["tangnano20k"]
    made = design(chosen, BoardTop(chosen, chosen.input_mhz, Shifted()))
    (memory,) = memories(made.rtlil)
    routed = route(made, [memory.name], mhz=chosen.input_mhz, seed=1)
    # 700 x 27 bits are two columns of 1,024 x 18.
    assert counted(routed.report, routed.cells, "gowin")["ram"] == 2 == len(routed.placed)
    contents = [np.random.default_rng(seed).integers(0, 2, (DEPTH, WIDTH), np.uint8) for seed in (1, 2)]
    configs = [texts.patched(routed.config, "gowin", routed.placed, {memory: bits}) for bits in contents]
    for config, bits in zip(configs, contents, strict=True):
        assert np.array_equal(texts.read_back(config, "gowin", routed.placed)[memory], bits)
        assert sum(int(held.sum()) for held in texts.sections(config, "gowin").values()) == bits.sum()
    one, two = (pack(config, "gowin").splitlines() for config in configs)
    checksum = 64
    differing = sum(
        int((np.frombuffer(a, np.uint8) != np.frombuffer(b, np.uint8))[:-checksum].sum())
        for a, b in zip(one, two, strict=True)
        if a != b
    )
    assert differing == int((contents[0] != contents[1]).sum())


@pytest.mark.parametrize(
    ("board", "rams"),
    [
        # 700 x 27 bits: two columns of 1,024 x 18, or three rows of two columns of 256 x 16.
        ("ulx3s-12f", 2),
        # Yosys, nextpnr and icepack take 165 seconds.
        pytest.param("icebreaker", 6, marks=pytest.mark.slow),
    ],
)
def test_contents_are_in_the_bitstream(board: str, rams: int) -> None:
    chosen = BOARDS[board]
    family = chosen.family
    made = design(chosen, BoardTop(chosen, chosen.input_mhz, Shifted()))
    (memory,) = memories(made.rtlil)
    assert (memory.depth, memory.width) == (DEPTH, WIDTH)

    routed = route(made, [memory.name], mhz=chosen.input_mhz, seed=1)
    assert counted(routed.report, routed.cells, family)["ram"] == rams == len(routed.placed)
    packed = {}
    for seed in (1, 2):
        bits = np.random.default_rng(seed).integers(0, 2, (DEPTH, WIDTH), np.uint8)
        packed[seed] = pack(texts.patched(routed.config, family, routed.placed, {memory: bits}), family)
        # The other bits of the block RAMs hold nothing.
        held = texts.sections(unpack(packed[seed], family), family)
        assert np.array_equal(texts.read_back(unpack(packed[seed], family), family, routed.placed)[memory], bits)
        assert sum(int(contents.sum()) for contents in held.values()) == bits.sum()
    assert packed[1] != packed[2]
