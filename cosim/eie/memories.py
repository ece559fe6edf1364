"""Contents of the array's memories as files that the simulators read (sram.v): the words of the load port's transfers,
without its cycles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieNetwork


def network_memories(network: EieNetwork) -> dict[str, str]:
    """The sparse matrices of all PEs: lines of hexadecimal words by the instances of sram.v below the player."""
    found = {}
    for pe in range(network.geometry.pes):
        pointers = network.pointers[pe]
        words = -(-int(pointers[-1]) // network.geometry.entries_per_word)
        # The first entry is in the lowest byte.
        entries = np.ascontiguousarray(network.entries[pe, :words, ::-1])
        inside = f"player.array.pe_{pe}.instance"
        found[f"{inside}.spmat.words.model"] = _lines(entries, network.geometry.word_bits)
        for bank, first in (("even", 0), ("odd", 1)):
            part = pointers[first::2].astype(">u4").view(np.uint8).reshape(-1, 4)
            found[f"{inside}.pointers.{bank}.model"] = _lines(part, network.geometry.pointer_bits)
    return found


def _lines(words: NDArray[np.uint8], bits: int) -> str:
    """Words of `bits` bits (words x bytes, the most significant byte first), one a line, with as many digits as they
    need: Icarus warns of more."""
    digits = np.frombuffer(words.tobytes().hex().encode(), np.uint8).reshape(len(words), 2 * words.shape[1])
    ends = np.full((len(words), 1), ord("\n"), np.uint8)
    return np.hstack([digits[:, -((bits + 3) // 4) :], ends]).tobytes().decode()
