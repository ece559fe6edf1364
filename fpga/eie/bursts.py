"""A network for the EIE array, and its inputs, as bursts of the link."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.eie.program import matrix_transfers, table_transfers
from zeroskip.fpga.host.requests import Burst
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import LoadTarget, layer_layout

TARGET_BITS = 3
"""The link's targets are the numbers of PEs above the bits of LoadTarget."""


def word_bytes(geometry: EieGeometry) -> dict[Any, int]:
    """Bytes of a word of each memory, as they go over the link."""
    bits = {
        LoadTarget.ENTRIES: geometry.word_bits,
        LoadTarget.POINTERS: geometry.pointer_bits,
        LoadTarget.CODEBOOKS: VALUE_BITS,
        LoadTarget.LAYERS: layer_layout(geometry).size,
        LoadTarget.ACTIVATIONS: geometry.activation_lanes * VALUE_BITS,
    }
    return {target: -(-count // 8) for target, count in bits.items()}


def matrix_bursts(network: EieNetwork) -> list[Burst]:
    """The sparse matrices of the PEs: entries and column pointers."""
    return _bursts(network.geometry, matrix_transfers(network))


def table_bursts(network: EieNetwork) -> list[Burst]:
    """The codebooks and the layer table."""
    return _bursts(network.geometry, table_transfers(network))


def _bursts(geometry: EieGeometry, transfers: Iterable[dict[str, Any]]) -> list[Burst]:
    """Transfers of the load port, those to following addresses of a memory joined."""
    widths = word_bytes(geometry)
    numbered = enumerate(sorted(transfers, key=lambda one: (one["target"].value, one["pe"], one["address"])))
    found = []
    # Where addresses follow one another, address and number grow alike.
    for _, group in itertools.groupby(
        numbered, key=lambda pair: (pair[1]["target"], pair[1]["pe"], pair[1]["address"] - pair[0])
    ):
        parts = [transfer for _, transfer in group]
        target, width = parts[0]["target"], widths[parts[0]["target"]]
        found.append(
            Burst(
                target=parts[0]["pe"] << TARGET_BITS | target.value,
                address=parts[0]["address"],
                width=width,
                words=b"".join(part["data"].to_bytes(width, "little") for part in parts),
            )
        )
    return found


def input_words(geometry: EieGeometry, rows: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Inputs (int16, images x inputs) as words of the target ACTIVATIONS from address 0 on (images x bytes). The link
    counts words of `activation_lanes` activations."""
    lanes = geometry.activation_lanes
    padded = np.zeros((len(rows), -(-rows.shape[1] // lanes) * lanes), "<i2")
    padded[:, : rows.shape[1]] = rows
    return padded.view(np.uint8)


def input_burst(geometry: EieGeometry, words: NDArray[np.uint8]) -> Burst:
    """The inputs of one image: a row of `input_words`."""
    target: Any = LoadTarget.ACTIVATIONS
    return Burst(target=target.value, address=0, width=word_bytes(geometry)[target], words=words.tobytes())


def network_digest(network: EieNetwork) -> str:
    """SHA-256, in hexadecimal, of what the array's memories hold: equal for equal networks."""
    digest = hashlib.sha256()
    for burst in [*table_bursts(network), *matrix_bursts(network)]:
        digest.update(repr((burst.target, burst.address, burst.width)).encode() + burst.words)
    return digest.hexdigest()


def layout_digest(geometry: EieGeometry) -> str:
    """The first digits of the SHA-256 of how words are laid out: differs between versions that load memories
    differently."""
    widths = {target.name: width for target, width in word_bytes(geometry).items()}
    return hashlib.sha256(f"{TARGET_BITS} {widths} {layer_layout(geometry)!r}".encode()).hexdigest()[:16]
