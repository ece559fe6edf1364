"""Programs of the player (player.v): a network's memories, and the starts of its stages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.session import NO_LIMIT
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.model.network.stages import Stage
from zeroskip.rtl.eie.layouts import LoadTarget, layer_layout, load_layout

PROGRAM_ROWS = 4096
"""Starts that are packed together, which bounds the memory that packing takes."""


def network_transfers(network: EieNetwork) -> list[dict[str, Any]]:
    """The transfers of the load port that put a network into the memories of the array, as `load_layout` fields."""
    return matrix_transfers(network) + table_transfers(network)


def matrix_transfers(network: EieNetwork) -> list[dict[str, Any]]:
    """Those for the sparse matrices of the PEs: entries and column pointers."""
    geometry = network.geometry
    transfers: list[dict[str, Any]] = []

    def load(target: Any, address: int, data: int, pe: int) -> None:
        transfers.append({"target": target, "pe": pe, "address": address, "data": data})

    for pe in range(geometry.pes):
        words = -(-int(network.pointers[pe, -1]) // geometry.entries_per_word)
        for address in range(words):
            load(
                LoadTarget.ENTRIES,
                address,
                int.from_bytes(network.entries[pe, address].tobytes(), "little"),
                pe,
            )
        for address, pointer in enumerate(network.pointers[pe].tolist()):
            load(LoadTarget.POINTERS, address, pointer, pe)
    return transfers


def table_transfers(network: EieNetwork) -> list[dict[str, Any]]:
    """Those for the codebooks and the layer table."""
    geometry = network.geometry
    last = {stage.layers[-1] for stage in network.stages if stage.layers}
    transfers: list[dict[str, Any]] = []

    def load(target: Any, address: int, data: int) -> None:
        transfers.append({"target": target, "pe": 0, "address": address, "data": data})

    for index, (layer, base) in enumerate(zip(network.layers, network.pointer_bases, strict=True)):
        for code, value in enumerate(network.codebooks[index].tolist()):
            load(LoadTarget.CODEBOOKS, index * geometry.codebook_size + code, value % (1 << VALUE_BITS))
        row = layer_layout(geometry).const(
            {
                "inputs": layer.inputs,
                "outputs": layer.outputs,
                "pointer_base": base,
                "codebook": index,
                "out_shift": layer.out_shift(geometry),
                "relu": layer.relu,
                "bias": layer.bias,
                "bias_one": layer.bias_activation,
                "last": index in last,
            }
        )
        load(LoadTarget.LAYERS, index, row.as_value().value)
    return transfers


class Packer:
    """Transfers of the load port as the bytes that the player reads."""

    def __init__(self, geometry: EieGeometry) -> None:
        layout = load_layout(geometry)
        self.bytes = -(-layout.size // 8)
        self.offsets = {name: layout[name].offset for name in ("target", "pe", "address", "data")}
        self.lanes = geometry.activation_lanes

    def word(self, transfer: dict[str, Any]) -> int:
        """The payload of one transfer."""
        return sum(
            (value.value if isinstance(value, LoadTarget) else value) << self.offsets[name]
            for name, value in transfer.items()
        )

    def one(self, transfer: dict[str, Any]) -> bytes:
        return self.word(transfer).to_bytes(self.bytes, "big")

    def activations(self, inputs: NDArray[np.int16]) -> tuple[int, NDArray[np.uint8]]:
        """Transfers that load each image, and their bytes (uint8, images x bytes)."""
        count = -(-inputs.shape[1] // self.lanes)
        padded = np.zeros((len(inputs), count * self.lanes), ">u2")
        padded[:, : inputs.shape[1]] = inputs.view(np.uint16)
        # The fields around the data are the same in every image. The most significant byte, of the last lane, is first.
        packed = np.zeros((len(inputs), count, self.bytes), np.uint8)
        heads = [
            self.one({"target": LoadTarget.ACTIVATIONS, "pe": 0, "address": index * self.lanes, "data": 0})
            for index in range(count)
        ]
        packed[:] = np.frombuffer(b"".join(heads), np.uint8).reshape(count, self.bytes)
        lanes = padded.reshape(len(inputs), count, self.lanes)[:, :, ::-1]
        data = np.ascontiguousarray(lanes).view(np.uint8)
        bits = np.unpackbits(data, axis=2)
        whole = np.unpackbits(packed, axis=2)
        low = 8 * self.bytes - self.offsets["data"]
        whole[:, :, low - bits.shape[2] : low] = bits
        return count, np.packbits(whole, axis=2).reshape(len(inputs), count * self.bytes)


def network_program(network: EieNetwork) -> bytes:
    """The program that loads the whole network."""
    return _load_program(network, network_transfers(network))


def tables_program(network: EieNetwork) -> bytes:
    """The program that loads the codebooks and the layer table alone."""
    return _load_program(network, table_transfers(network))


def _load_program(network: EieNetwork, transfers: list[dict[str, Any]]) -> bytes:
    packer = Packer(network.geometry)
    return struct.pack(">cI", b"L", len(transfers)) + b"".join(packer.one(transfer) for transfer in transfers)


def stage_program(
    network: EieNetwork, stage: Stage, rows: NDArray[np.int16], limits: NDArray[np.int64] | None = None
) -> Iterator[bytes]:
    """The program that loads each of the rows (int16, starts x inputs), starts the stage on it, and reads the
    outputs. A start that takes more cycles than its limit (starts; without limits, it may take any number) ends the
    program."""
    if limits is None:
        limits = np.full(len(rows), NO_LIMIT)
    for first in range(0, len(rows), PROGRAM_ROWS):
        part = slice(first, first + PROGRAM_ROWS)
        yield _starts(network, stage, rows[part], limits[part])


def _starts(network: EieNetwork, stage: Stage, rows: NDArray[np.int16], limits: NDArray[np.int64]) -> bytes:
    count, loads = Packer(network.geometry).activations(rows)
    outputs = network.layers[stage.layers[-1]].outputs
    head = struct.pack(">cI", b"L", count)
    start = struct.pack(">cI", b"S", stage.layers[0])
    read = struct.pack(">cI", b"R", outputs)
    parts = [
        np.broadcast_to(np.frombuffer(head, np.uint8), (len(rows), len(head))),
        loads,
        np.broadcast_to(np.frombuffer(start, np.uint8), (len(rows), len(start))),
        limits.astype(">u4").view(np.uint8).reshape(len(rows), 4),
        np.broadcast_to(np.frombuffer(read, np.uint8), (len(rows), len(read))),
    ]
    return np.concatenate(parts, axis=1).tobytes()
