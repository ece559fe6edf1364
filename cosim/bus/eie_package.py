"""The EIE array on a bus as a package of Verilog (zeroskip.cosim.package)."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bus.describe import describe
from zeroskip.cosim.bus.network_image import network_image
from zeroskip.cosim.bus.player import BusProgram
from zeroskip.cosim.bus.program import input_writes, network_writes, transfer_write
from zeroskip.cosim.bus.system import processor_file, system_files
from zeroskip.cosim.eie.memories import network_memories
from zeroskip.cosim.eie.models import run_models
from zeroskip.cosim.eie.package import made_up_network, network_inputs
from zeroskip.cosim.eie.program import table_transfers
from zeroskip.cosim.package.description import Description, Vectors
from zeroskip.cosim.session import most_cycles
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.bus.eie_buses import BUSES
from zeroskip.rtl.bus.eie_map import EVENTS, eie_map
from zeroskip.rtl.bus.eie_shell import check_stream_bits, widest_stream

ARRAY = ("shell", "array")
"""The instance of the array in that of the bus."""

WAITS = 8
"""The player takes results in about half of all cycles; a wait of so many times the cycles of a run has hung."""


class EieVectors(ABC):
    """The operands of the packages of the array on a bus."""

    def sample_vectors(self, geometry: EieGeometry) -> Vectors:
        """Made-up layers, as of the array without a bus."""
        network, inputs, what = made_up_network(geometry)
        return self._vectors(network, inputs, what, contents=False)

    def network_vectors(self, network: EieNetwork, *, contents: bool) -> Vectors:
        """A compiled network on made-up images. With `contents`, the memories hold the sparse matrices at the start."""
        inputs = network_inputs(network)
        return self._vectors(network, inputs, f"the network on {len(inputs)} made-up images", contents=contents)

    @abstractmethod
    def _vectors(self, network: EieNetwork, inputs: NDArray[np.int16], what: str, *, contents: bool) -> Vectors:
        """What the package plays for a network and its inputs."""


class ArrayOnBus(EieVectors):
    """The functions of a CorePackage for the array on a bus, with streams of `stream_bits` bits, by default as many as
    fit. `system` puts a processor beside it, which is for AXI alone."""

    def __init__(self, bus: str, stream_bits: int | None, *, system: bool = False) -> None:
        self._bus = bus
        self._stream_bits = stream_bits
        self._system = system
        if system:
            # What is missing is found before long work.
            processor_file()

    def _bits(self, geometry: EieGeometry) -> int:
        bits = widest_stream(geometry) if self._stream_bits is None else self._stream_bits
        check_stream_bits(geometry, bits)
        return bits

    def _program(self, geometry: EieGeometry) -> BusProgram:
        bits = self._bits(geometry)
        return BusProgram(self._bus, eie_map(geometry, bits), stream_bits=bits)

    def describe(self, geometry: EieGeometry) -> Description:
        stream_bits = self._bits(geometry)
        return describe(
            "eie",
            self._bus,
            BUSES[self._bus](geometry, stream_bits=stream_bits),
            geometry,
            latency={
                "the last beat of an image to the first result": "depends on the data; CYCLES has the cycles of a run"
            },
            shows="A write of a register, an image (shortened), and its result (shortened)",
            others=[["stream", *_STREAMS]],
            defines={"STREAM_BITS": stream_bits},
            files=driver_files(self._bus),
            targets=(PACKAGE / "cosim/bus/riscv/system.mk").read_text() if self._system else "",
        )

    def _vectors(self, network: EieNetwork, inputs: NDArray[np.int16], what: str, *, contents: bool) -> Vectors:
        program = self._program(network.geometry)
        vectors = _vectors(network, inputs, program, what, contents=contents)
        image = network_image(program.described, network)
        files: dict[str, str | bytes] = {"driver/network.bin": image.astype("<u4").tobytes()}
        if self._system:
            files |= system_files(program.described, network, inputs, stream_bits=self._bits(network.geometry))
        return dataclasses.replace(vectors, files=files)


def driver_files(bus: str) -> dict[str, str]:
    """The drivers in C and in Python, which take in the register map in their language."""
    folder = PACKAGE / "cosim/bus/driver"
    return {
        f"driver/{name}": (folder / name).read_text().replace("eie_axi_array", f"eie_{bus}_array")
        for name in ("zeroskip_eie.h", "zeroskip_eie.c", "zeroskip_eie.py")
    }


_STREAMS = [
    {"name": "s_axis_tdata", "wave": "x.......==x.....", "data": ["values", "last"]},
    {"name": "s_axis_tvalid", "wave": "0.......1.0....."},
    {"name": "s_axis_tlast", "wave": "x.......01x....."},
    {"name": "s_axis_tready", "wave": "x.......1.x....."},
    {"name": "m_axis_tdata", "wave": "x............=.x", "data": ["result"]},
    {"name": "m_axis_tvalid", "wave": "0............1.0"},
    {"name": "m_axis_tready", "wave": "x............01x"},
]
"""An image and its result, in WaveJSON."""


def _vectors(
    network: EieNetwork, inputs: NDArray[np.int16], program: BusProgram, what: str, *, contents: bool
) -> Vectors:
    """Each stage runs once by the windows and then on all images by the streams, with accesses between that are
    refused."""
    described = program.described
    results = described.window("RESULTS")
    events = {name: 1 << bit for bit, name in enumerate(EVENTS)}
    runs = 0
    busy = 0

    writes = network_writes(described, network)
    if contents:
        writes = (transfer_write(described, one) for one in table_transfers(network))
    program.write(writes)
    program.refusals(events["ILLEGAL"] | events["UNMAPPED"])

    def run_stage(stage: Stage, rows: NDArray[np.int16]) -> NDArray[np.int16]:
        nonlocal runs, busy
        models = run_models(network, stage, rows)
        limit = min(WAITS * int(most_cycles(models.cycles.max())), 2**32 - 1)
        for name, value in (
            ("FIRST", stage.layers[0]),
            ("INPUTS", rows.shape[1]),
            ("OUTPUTS", models.outputs.shape[1]),
        ):
            program.put(name, value)
        program.write([input_writes(described, rows[0])])
        program.put("START", 1)
        program.wait_until_idle(limit)
        program.read_register("CYCLES", int(models.cycles[0]))
        program.read(results.base, models.outputs[0].tolist())

        program.put("STREAM", 1)
        for row in rows:
            program.image(row)
        program.refused_write("INPUTS")
        program.results(models.outputs, limit)
        program.read_register("CYCLES", int(models.cycles[-1]))
        program.put("STREAM", 0)
        program.read_register("EVENTS", events["DONE"] | events["LOCKED"])
        program.put("EVENTS", events["DONE"] | events["LOCKED"])
        runs += 1 + len(rows)
        busy += int(models.cycles[0]) + int(models.cycles.sum())
        program.read_register("RUNS", runs)
        program.read_register("BUSY_CYCLES", busy)
        return models.outputs

    run_stages(network.stages, inputs, run_stage, lambda index, given: network.run_host(index, given)[0])
    return Vectors(
        program=b"".join(program.commands),
        expected="\n".join([*program.expected, ""]),
        what=what,
        contents=array_contents(network) if contents else {},
    )


def array_contents(network: EieNetwork) -> dict[tuple[str, ...], str]:
    """The words of the array's memories, as Vectors have them."""
    memories: dict[tuple[str, ...], str] = {}
    for path, words in network_memories(network).items():
        _, _, pe, _, *inside, _ = path.split(".")
        memories[(*ARRAY, pe, *inside)] = words
    return memories
