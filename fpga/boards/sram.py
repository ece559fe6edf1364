"""Memories of the kind that suits the device: large ones with one port, small ones in block RAM or look-up tables."""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, Mux, Signal

from zeroskip.rtl.sram import Sram
from zeroskip.rtl.word_store import WordStore

WORD = 16
DEPTH = 1 << 14
"""An SB_SPRAM256KA: 16,384 words of 16 bits."""

WIDE = 32
"""Memories wider than this are the sparse-matrix words of a PE: they are written only while the array is idle."""


def is_single_port(sram: Sram) -> bool:
    """Whether a memory becomes SB_SPRAM256KA cells."""
    return sram.width > WIDE and sram.depth <= DEPTH


class WordStoresInBlockRam:
    """A platform whose look-up tables are no memories: what they would hold takes flip-flops otherwise."""

    def get_word_store(self, store: WordStore) -> Elaboratable:
        return store.block_ram()


class SinglePortRams:
    """A platform that makes the wide memories of cells that have one port; where a word is written, none is read."""

    def get_sram(self, sram: Sram) -> Elaboratable:
        return _single_port(sram) if is_single_port(sram) else sram.block_ram()


LUT_RAM_DEPTH = 64
"""A LUT RAM holds 16 words: up to this depth, few multiplexers stand behind it."""


class LutRams:
    """A platform that makes small memories amid logic of LUT RAM: the next block RAM can be half the device away, and
    takes half a cycle of 10 ns itself."""

    def get_sram(self, sram: Sram) -> Elaboratable:
        return sram.lut_ram() if sram.amid_logic and sram.depth <= LUT_RAM_DEPTH else sram.block_ram()


def _single_port(sram: Sram) -> Module:
    m = Module()
    address = Signal(14)
    m.d.comb += address.eq(Mux(sram.write.en, sram.write.addr, sram.read.addr))
    words = -(-sram.width // WORD)
    data, read = Signal(words * WORD), Signal(words * WORD)
    m.d.comb += [data.eq(sram.write.data), sram.read.data.eq(read)]
    for index in range(words):
        part = slice(index * WORD, (index + 1) * WORD)
        m.submodules[f"ram_{index}"] = Instance(
            "SB_SPRAM256KA",
            i_ADDRESS=address,
            i_DATAIN=data[part],
            i_MASKWREN=Const(15, 4),
            i_WREN=sram.write.en,
            # A word stays at the output until the next one is read.
            i_CHIPSELECT=sram.write.en | sram.read.en,
            i_CLOCK=ClockSignal(),
            i_STANDBY=0,
            i_SLEEP=0,
            i_POWEROFF=1,
            o_DATAOUT=read[part],
        )
    return m
