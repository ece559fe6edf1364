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

from zeroskip.cosim.emit import emit_verilog
from zeroskip.cosim.simulator import Build, Simulator, build, geometry_key
from zeroskip.model.bits import bits_for
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.model.network.stages import Stage
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.eie.array import Array
from zeroskip.rtl.eie.layouts import LoadTarget, layer_layout, load_layout, monitor_layout

ACTIVITIES = ("busy", "padding", "stalled", "starved", "draining")
"""What the cycles of a PE are spent on: a weight; a word of padding that passed, and no weight at hand; waiting while a
full queue holds up the broadcast; waiting for a broadcast; waiting for the other PEs, and for the pipelines, at the end
of a layer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EieRun:
    """What the RTL did with a batch.

    `outputs` (int16, images x outputs), and `stage_outputs` what the array gave in each stage that runs on it (int16,
    starts x outputs); `cycles` (int64, images) from `start` to `done`, and `layer_cycles` (int64, images x layers),
    both over all starts of an image; `activity` (int64, pes x ACTIVITIES), cycles over all images. Of the first start
    of each stage, one behind the other, in each cycle, `queue_levels` (uint16, cycles x pes) and `layer_trace` (uint8,
    cycles), the layer that ran.
    """

    outputs: NDArray[np.int16]
    stage_outputs: tuple[NDArray[np.int16], ...]
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
        design=Array,
        simulator=simulator,
        top="player",
        verilog=lambda: emit_verilog(Array(geometry), "eie_array"),
        sources=[PACKAGE / "cosim/sram.v", PACKAGE / "cosim/eie/player.v"],
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
        design=Array,
        simulator=simulator,
        top="eie_array",
        verilog=lambda: emit_verilog(Array(geometry), "eie_array"),
        sources=[PACKAGE / "cosim/sram.v"],
        defines={},
        key=geometry_key(geometry),
    )


def network_transfers(network: EieNetwork) -> list[dict[str, Any]]:
    """The transfers of the load port that put a network into the memories of the array, as `load_layout` fields."""
    geometry = network.geometry
    last = {stage.layers[-1] for stage in network.stages if stage.layers}
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


def network_program(network: EieNetwork) -> bytes:
    """What makes the player load the whole network."""
    packer = Packer(network.geometry)
    transfers = network_transfers(network)
    return struct.pack(">cI", b"L", len(transfers)) + b"".join(packer.one(transfer) for transfer in transfers)


def stage_program(network: EieNetwork, stage: Stage, rows: NDArray[np.int16]) -> bytes:
    """What makes the player load each of the rows (int16, starts x inputs), start the stage on it, and read."""
    count, loads = Packer(network.geometry).activations(rows)
    outputs = network.layers[stage.layers[-1]].outputs
    head = struct.pack(">cI", b"L", count)
    tail = struct.pack(">cIcI", b"S", stage.layers[0], b"R", outputs)
    program = np.empty((len(rows), len(head) + loads.shape[1] + len(tail)), np.uint8)
    program[:, : len(head)] = np.frombuffer(head, np.uint8)
    program[:, len(head) : -len(tail)] = loads
    program[:, -len(tail) :] = np.frombuffer(tail, np.uint8)
    return program.tobytes()


def play(
    network: EieNetwork,
    inputs: NDArray[np.int16],
    *,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> EieRun:
    """Runs a batch (int16, images x inputs) on the RTL, stage by stage, each for the whole batch: the network is
    loaded, and the stage run on what the RTL gave in the stage before. `progress` is called with the number of images
    done. The memories start with random contents, by `seed`, where the simulator does not keep them unknown.

    Raises SimulatorError where the simulator is missing or fails.
    """
    player = build_player(network.geometry, simulator)
    played: list[_Played] = []
    layer_cycles = np.zeros((len(inputs), len(network.layers)), np.int64)
    cycles = np.zeros(len(inputs), np.int64)
    done = 0
    values = inputs
    for stage in network.stages:
        rows = stage.gather(values)
        if stage.layers:

            def report(reads: int, before: int = done) -> None:
                if progress:
                    progress((before + reads) // network.starts_per_image)

            played.append(_play_stage(player, network, stage, rows, seed, report))
            done += len(rows)
            cycles += played[-1].cycles.reshape(len(inputs), -1).sum(axis=1)
            of_stage = played[-1].layer_cycles.reshape(len(inputs), -1, len(network.layers))
            layer_cycles += of_stage.sum(axis=1)
            rows = played[-1].outputs
        values = stage.scatter(rows)
    return EieRun(
        outputs=values,
        stage_outputs=tuple(run.outputs for run in played),
        cycles=cycles,
        layer_cycles=layer_cycles,
        activity=np.sum([run.activity for run in played], axis=0),
        queue_levels=np.concatenate([run.queue_levels for run in played]),
        layer_trace=np.concatenate([run.layer_trace for run in played]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Played:
    """EieRun, start by start instead of image by image."""

    outputs: NDArray[np.int16]
    cycles: NDArray[np.int64]
    layer_cycles: NDArray[np.int64]
    activity: NDArray[np.int64]
    queue_levels: NDArray[np.uint16]
    layer_trace: NDArray[np.uint8]


PROGRAM_ROWS = 4096
"""Starts that are written together, which bounds the memory that packing takes."""


def _play_stage(
    player: Build,
    network: EieNetwork,
    stage: Stage,
    rows: NDArray[np.int16],
    seed: int,
    progress: Callable[[int], None],
) -> _Played:
    with tempfile.TemporaryDirectory(prefix="zeroskip-") as name:
        folder = Path(name)
        program, record, trace = folder / "program", folder / "record", folder / "trace"
        with program.open("wb") as file:
            file.write(network_program(network))
            for first in range(0, len(rows), PROGRAM_ROWS):
                file.write(stage_program(network, stage, rows[first : first + PROGRAM_ROWS]))
        with _watching(record, progress):
            player.run(
                bench="zeroskip.cosim.play_bench",
                folder=folder,
                plusargs={"program": program, "record": record, "trace": trace},
                seed=seed,
            )
        return _parse(network, stage, len(rows), record.read_bytes(), trace.read_text())


class _watching:
    """Reports how many reads stand in the record while the simulator writes it."""

    def __init__(self, record: Path, progress: Callable[[int], None]) -> None:
        self.record, self.progress = record, progress
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        position = done = 0
        while not self.stop.wait(0.2):
            if self.record.exists():
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


def _parse(network: EieNetwork, stage: Stage, starts: int, record: bytes, trace: str) -> _Played:
    geometry, outputs = network.geometry, network.layers[stage.layers[-1]].outputs
    # After each start a line of "C", cycles, and those of each layer, and one of "R" and the outputs; at the end the
    # lines of the PEs.
    numbers = np.fromstring(record.translate(None, delete=b"CRA"), np.int64, sep=" ")
    each = 1 + geometry.layers + outputs
    assert len(numbers) == starts * each + geometry.pes * len(ACTIVITIES), "the player stopped early"
    by_start = numbers[: starts * each].reshape(starts, each)
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
    return _Played(
        outputs=by_start[:, 1 + geometry.layers :].astype(np.int16),
        cycles=by_start[:, 0],
        layer_cycles=by_start[:, 1 : 1 + len(network.layers)],
        activity=numbers[starts * each :].reshape(geometry.pes, -1),
        queue_levels=np.array(levels, np.uint16).reshape(len(monitor), network.geometry.pes),
        layer_trace=np.array(field("layer"), np.uint8),
    )
