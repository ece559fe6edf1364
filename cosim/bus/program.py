"""A compiled network as writes to the windows of a register map."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.eie.program import network_transfers
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import VALUE_BITS
from zeroskip.rtl.bus.eie_shell import TARGETS
from zeroskip.rtl.bus.register_map import REGISTER_BYTES, RegisterMap
from zeroskip.rtl.eie.layouts import LoadTarget


def network_writes(described: RegisterMap, network: EieNetwork) -> Iterator[tuple[int, bytes]]:
    """Addresses, and the words that are written from each on, which put a network into an array."""
    return joined(transfer_write(described, transfer) for transfer in network_transfers(network))


def transfer_write(described: RegisterMap, transfer: dict[str, Any]) -> tuple[int, bytes]:
    """The address and the bytes of a transfer of the load port (zeroskip.cosim.eie.program)."""
    name = next(name for name, target in TARGETS.items() if target is transfer["target"])
    window = described.window(name)
    word = transfer["address"]
    if transfer["target"] is LoadTarget.ACTIVATIONS:
        word //= window.bits // VALUE_BITS
    address = window.base + transfer["pe"] * window.stride + word * window.word_bytes
    return address, transfer["data"].to_bytes(window.word_bytes, "little")


def input_writes(described: RegisterMap, image: NDArray[np.int16]) -> tuple[int, bytes]:
    """Those that load the inputs of a run."""
    window = described.window("INPUTS_OF_RUN")
    lanes = window.bits // VALUE_BITS
    words = np.zeros((-(-len(image) // lanes), window.word_bytes // 2), "<i2")
    padded = np.zeros(len(words) * lanes, "<i2")
    padded[: len(image)] = image
    words[:, :lanes] = padded.reshape(-1, lanes)
    return window.base, words.tobytes()


def joined(writes: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The same writes, those that follow each other as one."""
    begin, parts, end = 0, list[bytes](), 0
    for address, data in writes:
        if parts and address != end:
            yield begin, b"".join(parts)
            parts = []
        if not parts:
            begin = end = address
        parts.append(data)
        end += len(data)
    if parts:
        yield begin, b"".join(parts)


def accesses(writes: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, int]]:
    """Writes as accesses of the bus: an address and 32 bits each."""
    for address, data in writes:
        for offset in range(0, len(data), REGISTER_BYTES):
            yield address + offset, int.from_bytes(data[offset : offset + REGISTER_BYTES], "little")
