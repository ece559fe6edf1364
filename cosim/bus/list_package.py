"""The EIE array that works on lists in memory as a package of Verilog (zeroskip.cosim.package)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bus.describe import describe
from zeroskip.cosim.bus.eie_package import WAITS, EieVectors, array_contents, driver_files
from zeroskip.cosim.bus.lists import Descriptor, image, in_a_row, load, overlapped, padded, result
from zeroskip.cosim.bus.network_image import network_image
from zeroskip.cosim.bus.player import BusProgram
from zeroskip.cosim.bus.program import network_writes, transfer_write
from zeroskip.cosim.eie.models import run_models
from zeroskip.cosim.eie.program import table_transfers
from zeroskip.cosim.package.description import Description, Vectors
from zeroskip.cosim.session import most_cycles
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.rtl.bus.eie_buses import AxiMasterArray
from zeroskip.rtl.bus.eie_map import EVENTS, LIST_EVENTS, eie_map
from zeroskip.rtl.bus.lists import DESCRIPTOR_BYTES, ListError
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES

BUS = "axi-master"

MEMORY = 0x8000_0000
"""The memory of the player (axi_master_port.v), of 4 MiB."""

MOST_DATA = 1 << 21
"""Bytes of what one list loads."""

ROWS = 64
"""Images of one list."""

WORD_CYCLES = 40
"""More cycles than a word of a list takes, with the pauses of the player's memory."""


class ArrayOnMemory(EieVectors):
    """The functions of a CorePackage for the array with lists."""

    def describe(self, geometry: EieGeometry) -> Description:
        return describe(
            "eie",
            BUS,
            AxiMasterArray(geometry),
            geometry,
            latency={
                "the start of a list to its end": "depends on the data and the memory; CYCLES has the cycles of a run"
            },
            shows="A write of LIST_START, and the read of the first descriptor",
            others=[["memory", *_BURST]],
            files=driver_files("axi_master"),
        )

    def _vectors(self, network: EieNetwork, inputs: NDArray[np.int16], what: str, *, contents: bool) -> Vectors:
        return _vectors(network, inputs, what, contents=contents)


_BURST = [
    {"name": "m_axi_araddr", "wave": "x.......=x......", "data": ["LIST"]},
    {"name": "m_axi_arlen", "wave": "x.......=x......", "data": ["3"]},
    {"name": "m_axi_arvalid", "wave": "0.......10......"},
    {"name": "m_axi_arready", "wave": "x.......1x......"},
    {"name": "m_axi_rdata", "wave": "x.........====x.", "data": ["next", "at", "size", "kind"]},
    {"name": "m_axi_rvalid", "wave": "0.........1...0."},
    {"name": "m_axi_rlast", "wave": "x.........0..1x."},
    {"name": "m_axi_rready", "wave": "0........1....0."},
]
"""The read of a descriptor, in WaveJSON."""


class _Lists:
    """A program whose lists begin where the memory does, with their data behind them."""

    def __init__(self, program: BusProgram) -> None:
        self.program = program
        self._data: list[bytes] = []
        self._size = 0

    def store(self, data: bytes) -> int:
        """Keeps data for the next list, in the upper half of the memory; returns their address."""
        address = MEMORY + MOST_DATA + self._size
        self._data.append(data + bytes(-len(data) % REGISTER_BYTES))
        self._size += len(self._data[-1])
        return address

    @property
    def size(self) -> int:
        """Bytes of the data of the next list."""
        return self._size

    def run(self, descriptors: list[Descriptor], limit: int) -> None:
        """Puts list and data into the memory, and plays the list to its end."""
        program = self.program
        program.write([(MEMORY, in_a_row(descriptors, MEMORY)), (MEMORY + MOST_DATA, b"".join(self._data))])
        program.put("LIST", MEMORY)
        program.put("LIST_START", 1)
        program.wait_while("LIST_STATUS", min(limit + WORD_CYCLES * (self._size + 64 * len(descriptors)), 2**32 - 1))
        program.read_register("LIST_STATUS", ListError.NONE.value << 8)
        program.read_register("LIST_AT", MEMORY + DESCRIPTOR_BYTES * (len(descriptors) - 1))
        self._data, self._size = [], 0


def _vectors(network: EieNetwork, inputs: NDArray[np.int16], what: str, *, contents: bool) -> Vectors:
    """The network is loaded by lists, and each stage runs on all its images by lists; some lists are wrong."""
    described = eie_map(network.geometry, REGISTER_BITS, lists=True)
    program = BusProgram(BUS, described)
    lists = _Lists(program)
    events = {name: 1 << bit for bit, name in enumerate({**EVENTS, **LIST_EVENTS})}
    runs = busy = 0

    writes = list(network_writes(described, network))
    if contents:
        writes = [transfer_write(described, one) for one in table_transfers(network)]
    descriptors: list[Descriptor] = []
    for target, data in writes:
        if descriptors and lists.size + len(data) > MOST_DATA:
            lists.run(descriptors, 0)
            descriptors = []
        descriptors.append(load(lists.store(data), len(data), target))
    lists.run(descriptors, 0)
    program.read_register("EVENTS", events["LIST"])
    program.put("EVENTS", events["LIST"])

    # A list that begins nowhere.
    program.put("LIST", DESCRIPTOR_BYTES)
    program.put("LIST_START", 1)
    program.wait_while("LIST_STATUS", WORD_CYCLES * DESCRIPTOR_BYTES)
    program.read_register("LIST_STATUS", ListError.DESCRIPTOR.value << 8)
    program.read_register("LIST_AT", DESCRIPTOR_BYTES)
    program.read_register("EVENTS", events["LIST"] | events["LIST_FAILED"])
    program.put("EVENTS", events["LIST"] | events["LIST_FAILED"])

    def run_stage(stage: Stage, rows: NDArray[np.int16]) -> NDArray[np.int16]:
        nonlocal runs, busy
        models = run_models(network, stage, rows)
        sizes = (stage.layers[0], rows.shape[1], models.outputs.shape[1])
        for first in range(0, len(rows), ROWS):
            given, wanted = rows[first : first + ROWS], models.outputs[first : first + ROWS]
            data = b"".join(size.to_bytes(REGISTER_BYTES, "little") for size in sizes)
            settings = load(lists.store(data), len(data), described.register("FIRST").address)
            images = [image(lists.store(padded(row)), len(row)) for row in given]
            results = [result(lists.store(bytes(len(padded(row)))), len(row)) for row in wanted]
            limit = WAITS * int(most_cycles(models.cycles.max())) * len(given)
            lists.run([settings, *overlapped(images, results)], limit)
            for place, row in zip(results, wanted, strict=True):
                program.read(place.address, np.frombuffer(padded(row), "<i4").tolist())
        program.read_register("CYCLES", int(models.cycles[-1]))
        runs += len(rows)
        busy += int(models.cycles.sum())
        program.read_register("RUNS", runs)
        program.read_register("BUSY_CYCLES", busy)
        return models.outputs

    run_stages(network.stages, inputs, run_stage, lambda index, given: network.run_host(index, given)[0])
    program.read_register("EVENTS", events["DONE"] | events["LIST"])
    return Vectors(
        program=b"".join(program.commands),
        expected="\n".join([*program.expected, ""]),
        what=what,
        contents=array_contents(network) if contents else {},
        files={"driver/network.bin": network_image(described, network).astype("<u4").tobytes()},
    )
