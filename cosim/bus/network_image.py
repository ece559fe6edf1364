"""A compiled network as one binary image, which the drivers of the EIE array load (driver/zeroskip_eie.h).

Words of 32 bits, little-endian:

    magic "ZSKN", version of this layout, number of all words,
    ARRAY, ROWS, WORDS, POINTERS_OF_PE, FORMAT, ARITHMETIC    what the registers of the core must say; zero for the
                                                              width of its streams, which is of no matter
    address of INPUTS_OF_RUN, address of RESULTS, number of blocks,
    then each block: address, number of words, the words

A block is written from its address on. Addresses are in bytes, from that of the core.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bus.program import network_writes
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.rtl.bus.register_map import REGISTER_BYTES, RegisterMap

MAGIC = int.from_bytes(b"ZSKN", "little")
VERSION = 1
HEAD_WORDS = 12

SIZES = ("ARRAY", "ROWS", "WORDS", "POINTERS_OF_PE", "FORMAT", "ARITHMETIC")
"""The registers that must be those of the core that the network was compiled for."""


def network_image(described: RegisterMap, network: EieNetwork) -> NDArray[np.uint32]:
    """The image of a network for a core with this map (uint32, words)."""
    blocks = list(network_writes(described, network))
    words = [_words(address.to_bytes(REGISTER_BYTES, "little") + _length(data) + data) for address, data in blocks]
    streams = next(field for field in described.register("ARITHMETIC").fields if field.name == "STREAM_BITS")
    sizes = {name: described.register(name).reset for name in SIZES}
    sizes["ARITHMETIC"] -= streams.reset << streams.low
    head = [
        MAGIC,
        VERSION,
        HEAD_WORDS + sum(map(len, words)),
        *sizes.values(),
        described.window("INPUTS_OF_RUN").base,
        described.window("RESULTS").base,
        len(blocks),
    ]
    return np.concatenate([np.array(head, np.uint32), *words])


def _length(data: bytes) -> bytes:
    return (len(data) // REGISTER_BYTES).to_bytes(REGISTER_BYTES, "little")


def _words(data: bytes) -> NDArray[np.uint32]:
    return np.frombuffer(data, "<u4").astype(np.uint32)
