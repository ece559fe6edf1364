"""A compiled network in the memories of the EIE array's block RAMs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from zeroskip.fpga.bitstream.memories import Bits, Memory
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry

_WORDS = re.compile(r"(?:^|\.)pe_(\d+)\.spmat\.words\.memory$")
_POINTERS = re.compile(r"(?:^|\.)pe_(\d+)\.pointers\.(even|odd)\.memory$")


def matrix_memories(memories: Sequence[Memory], geometry: EieGeometry) -> list[Memory]:
    """The memories of words and of pointers of all PEs that the design has as such; a memory may be absent, where it is
    none of the tools' block RAMs.

    Raises ValueError if there are more or fewer of a kind than PEs.
    """
    words = [memory for memory in memories if _WORDS.search(memory.name)]
    pointers = [memory for memory in memories if _POINTERS.search(memory.name)]
    for kind, found, each in (("words", words, 1), ("pointers", pointers, 2)):
        if len(found) not in (0, each * geometry.pes):
            raise ValueError(
                f"a design of {geometry.pes} PEs must have {each} memories of {kind} each, not {len(found)}"
            )
    return [*words, *pointers]


def contents(network: EieNetwork, memory: Memory) -> Bits:
    """What a memory of words or pointers holds for `network`; zeros behind it."""
    bits = np.zeros((memory.depth, memory.width), np.uint8)
    if found := _WORDS.search(memory.name):
        image = network.entries[int(found[1])]
        bits[: len(image)] = np.unpackbits(image, axis=1, bitorder="little", count=memory.width)
    elif found := _POINTERS.search(memory.name):
        own = network.pointers[int(found[1]), {"even": 0, "odd": 1}[found[2]] :: 2]
        bits[: len(own)] = own[:, None] >> np.arange(memory.width, dtype=np.uint32) & 1
    else:
        raise ValueError(f"the memory must be one of words or pointers, not {memory.name}")
    return bits
