"""Runs compiled networks on the RTL of the EIE array, as fast as the simulator can: player.v plays and records."""

from __future__ import annotations

import struct
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.emit import emit_verilog
from cosim.simulator import ROOT, Build, Simulator, build, geometry_key
from model.formats.bundle import EieNetwork
from model.formats.geometry import VALUE_BITS, EieGeometry, bits_for
from rtl.eie.array import Array
from rtl.eie.layouts import LoadTarget, layer_layout, load_layout, monitor_layout

ACTIVITIES = ("busy", "padding", "stalled", "starved", "draining")
"""What the cycles of a PE are spent on: a weight; a word of padding that passed, and no weight at hand; waiting while a
full queue holds up the broadcast; waiting for a broadcast; waiting for the other PEs, and for the pipelines, at the end
of a layer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EieRun:
    """What the RTL did with a batch.

    `outputs` (int16, images x outputs); `cycles` (int64, images) from `start` to `done`, and `layer_cycles` (int64,
    images x layers); `activity` (int64, pes x ACTIVITIES), cycles over all images; of the first image, in each cycle,
    `queue_levels` (uint16, cycles x pes) and `layer_trace` (uint8, cycles), the layer that ran.
    """

    outputs: NDArray[np.int16]
    cycles: NDArray[np.int64]
    layer_cycles: NDArray[np.int64]
    activity: NDArray[np.int64]
    queue_levels: NDArray[np.uint16]
    layer_trace: NDArray[np.uint8]

    @property
    def utilisation(self) -> float:
        """Cycles that PEs spend on weights, of all cycles of all PEs from `start` to `done`."""
        return float(self.activity[:, 0].sum() / (self.cycles.sum() * len(self.activity)))


def build_player(geometry: EieGeometry, simulator: Simulator = Simulator.VERILATOR) -> Build:
    """The player with an array of `geometry`, from the cache where it has been built before."""
    return build(
        simulator=simulator,
        top="player",
        verilog=lambda: emit_verilog(Array(geometry), "eie_array"),
        sources=[ROOT / "cosim/sram.v", ROOT / "cosim/player.v"],
        defines={
            "PES": geometry.pes,
            "LAYERS": geometry.layers,
            "LAYER_BITS": bits_for(geometry.layers),
            "INDEX_BITS": bits_for(geometry.activations),
            "LOAD_BITS": load_layout(geometry).size,
            "MONITOR_BITS": monitor_layout(geometry).size,
        },
        key=geometry_key(geometry),
    )


def build_array(geometry: EieGeometry, simulator: Simulator = Simulator.VERILATOR) -> Build:
    """An array of `geometry` by itself, for benches that drive its ports."""
    return build(
        simulator=simulator,
        top="eie_array",
        verilog=lambda: emit_verilog(Array(geometry), "eie_array"),
        sources=[ROOT / "cosim/sram.v"],
        defines={},
        key=geometry_key(geometry),
    )


def network_transfers(network: EieNetwork) -> list[dict[str, Any]]:
    """The transfers of the load port that put a network into the memories of the array, as `load_layout` fields."""
    geometry = network.geometry
    transfers: list[dict[str, Any]] = []

    def load(target: Any, address: int, data: int, pe: int = 0) -> None:
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
                "last": index == len(network.layers) - 1,
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
        # The fields around the data are the same in every image; most significant byte first, the last lane leads.
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


def write_program(network: EieNetwork, inputs: NDArray[np.int16], path: Path) -> None:
    """A program for the player: the network, then for each image its activations, a start, and a read."""
    packer = Packer(network.geometry)
    transfers = network_transfers(network)
    outputs = network.layers[-1].outputs
    with path.open("wb") as file:
        file.write(struct.pack(">cI", b"L", len(transfers)))
        file.write(b"".join(packer.one(transfer) for transfer in transfers))
        for first in range(0, len(inputs), 256):
            count, images = packer.activations(inputs[first : first + 256])
            for image in images:
                file.write(struct.pack(">cI", b"L", count))
                file.write(image.tobytes())
                file.write(struct.pack(">cIcI", b"S", 0, b"R", outputs))


def play(
    network: EieNetwork,
    inputs: NDArray[np.int16],
    *,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> EieRun:
    """Runs a batch (int16, images x inputs) on the RTL. `progress` is called with the number of images done. The
    memories start with random contents, by `seed`, where the simulator does not keep them unknown.

    Raises SimulatorError where the simulator is missing or fails.
    """
    player = build_player(network.geometry, simulator)
    with tempfile.TemporaryDirectory(prefix="zeroskip-") as name:
        folder = Path(name)
        program, record, trace = folder / "program", folder / "record", folder / "trace"
        write_program(network, inputs, program)
        with _watching(record, progress):
            player.run(
                bench="cosim.eie_play",
                folder=folder,
                plusargs={"program": program, "record": record, "trace": trace},
                seed=seed,
            )
        return _parse(network, len(inputs), record.read_text(), trace.read_text())


class _watching:
    """Reports how many reads stand in the record while the simulator writes it."""

    def __init__(self, record: Path, progress: Callable[[int], None] | None) -> None:
        self.record, self.progress = record, progress
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        position = done = 0
        while not self.stop.wait(0.2):
            if self.progress and self.record.exists():
                with self.record.open("rb") as file:
                    file.seek(position)
                    text = file.read()
                position += len(text)
                done += text.count(b"R")
                self.progress(done)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def _parse(network: EieNetwork, images: int, record: str, trace: str) -> EieRun:
    lines: dict[str, list[str]] = {"C": [], "R": [], "A": []}
    for line in record.splitlines():
        lines[line[0]].append(line[2:])

    def numbers(kind: str) -> NDArray[np.int64]:
        return np.array([line.split() for line in lines[kind]], np.int64)

    cycles, outputs = numbers("C"), numbers("R")
    assert len(cycles) == len(outputs) == images, "the player stopped early"
    layout = monitor_layout(network.geometry)
    monitor = [int(line, 16) for line in trace.split()]
    level = layout["level"]
    level_bits = level.shape.elem_shape if isinstance(level.shape.elem_shape, int) else len(level.shape.elem_shape)

    def field(name: str) -> list[int]:
        offset, mask = layout[name].offset, (1 << layout[name].width) - 1
        return [(word >> offset) & mask for word in monitor]

    levels = [
        [(word >> (pe * level_bits)) & ((1 << level_bits) - 1) for pe in range(network.geometry.pes)]
        for word in field("level")
    ]
    return EieRun(
        outputs=outputs.astype(np.int16),
        cycles=cycles[:, 0],
        layer_cycles=cycles[:, 1 : 1 + len(network.layers)],
        activity=numbers("A"),
        queue_levels=np.array(levels, np.uint16).reshape(len(monitor), network.geometry.pes),
        layer_trace=np.array(field("layer"), np.uint8),
    )
