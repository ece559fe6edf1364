"""The EIE array on a bus as a package of Verilog (zeroskip.cosim.package)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bus.program import accesses, input_writes, network_writes, transfer_write
from zeroskip.cosim.eie.memories import network_memories
from zeroskip.cosim.eie.models import run_models
from zeroskip.cosim.eie.package import made_up_network, network_inputs
from zeroskip.cosim.eie.program import table_transfers
from zeroskip.cosim.package.description import Description, Vectors
from zeroskip.cosim.session import most_cycles
from zeroskip.model.cores import CORES
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.bus.eie_buses import BUSES
from zeroskip.rtl.bus.eie_map import EVENTS, eie_map
from zeroskip.rtl.bus.eie_shell import check_stream_bits, widest_stream
from zeroskip.rtl.bus.register_map import REGISTER_BYTES

ARRAY = ("shell", "array")
"""The instance of the array in that of the bus."""

WAITS = 8
"""The player takes results in about half of all cycles; a wait of so many times the cycles of a run has hung."""


class OnBus:
    """The functions of a CorePackage for the array on a bus, with streams of `stream_bits` bits, by default as many as
    fit."""

    def __init__(self, bus: str, stream_bits: int | None) -> None:
        self._bus = bus
        self._stream_bits = stream_bits

    def _bits(self, geometry: EieGeometry) -> int:
        bits = widest_stream(geometry) if self._stream_bits is None else self._stream_bits
        check_stream_bits(geometry, bits)
        return bits

    def describe(self, geometry: EieGeometry) -> Description:
        return _describe(self._bus, geometry, self._bits(geometry))

    def sample_vectors(self, geometry: EieGeometry) -> Vectors:
        """Made-up layers, as of the array without a bus."""
        network, inputs, what = made_up_network(geometry)
        return _vectors(network, inputs, _Program(self._bus, geometry, self._bits(geometry)), what, contents=False)

    def network_vectors(self, network: EieNetwork, *, contents: bool) -> Vectors:
        """A compiled network on made-up images. With `contents`, the memories hold the sparse matrices at the start."""
        inputs = network_inputs(network)
        program = _Program(self._bus, network.geometry, self._bits(network.geometry))
        return _vectors(network, inputs, program, f"the network on {len(inputs)} made-up images", contents=contents)


TITLES = {"axi": "AXI", "apb": "APB", "wishbone": "Wishbone"}

REFUSED = {"axi": (2, 3), "apb": (1, 1), "wishbone": (1, 1)}
"""What the ports of the player (axi_port.v and the like) answer to an access that is refused, and to one to nothing."""


def _describe(bus: str, geometry: EieGeometry, stream_bits: int) -> Description:
    component = BUSES[bus](geometry, stream_bits=stream_bits)
    return Description(
        core="eie",
        title=f"{CORES['eie'].title} on {TITLES[bus]}",
        prefix="eie",
        component=component,
        geometry=geometry,
        words={},
        enums={},
        latency={
            "an access to a register to its answer": component.access_latency,
            "the last beat of an image to the first result": "depends on the data; CYCLES has the cycles of a run",
        },
        player=PACKAGE / "cosim/bus/bus_player.v",
        player_top="bus_player",
        instance=f"    eie_{bus}_array array (",
        defines={"STREAM_BITS": stream_bits, "ADDRESS_BITS": component.described.address_bits},
        waves={
            "signal": [
                {"name": "clk", "wave": "p..............."},
                {"name": "rst", "wave": "10.............."},
                ["write", *_WRITES[bus]],
                ["stream", *_STREAMS],
            ],
            "head": {"text": "A write of a register, an image (shortened), and its result (shortened)"},
        },
        registers=component.described,
        inlined={"host_port.v": PACKAGE / f"cosim/bus/{bus}_port.v"},
    )


_WRITES = {
    "axi": [
        {"name": "s_axi_awaddr", "wave": "x.=x............", "data": ["START"]},
        {"name": "s_axi_awvalid", "wave": "0.10............"},
        {"name": "s_axi_awready", "wave": "0.10............"},
        {"name": "s_axi_wdata", "wave": "x.=x............", "data": ["1"]},
        {"name": "s_axi_wvalid", "wave": "0.10............"},
        {"name": "s_axi_wready", "wave": "0.10............"},
        {"name": "s_axi_bresp", "wave": "x....=x.........", "data": ["OKAY"]},
        {"name": "s_axi_bvalid", "wave": "0....10........."},
    ],
    "apb": [
        {"name": "s_apb_paddr", "wave": "x.=..x..........", "data": ["START"]},
        {"name": "s_apb_psel", "wave": "0.1..0.........."},
        {"name": "s_apb_penable", "wave": "0..1.0.........."},
        {"name": "s_apb_pwrite", "wave": "x.1..x.........."},
        {"name": "s_apb_pwdata", "wave": "x.=..x..........", "data": ["1"]},
        {"name": "s_apb_pready", "wave": "0...10.........."},
        {"name": "s_apb_pslverr", "wave": "0..............."},
    ],
    "wishbone": [
        {"name": "s_wb_adr", "wave": "x.=...x.........", "data": ["START"]},
        {"name": "s_wb_cyc", "wave": "0.1...0........."},
        {"name": "s_wb_stb", "wave": "0.1...0........."},
        {"name": "s_wb_we", "wave": "x.1...x........."},
        {"name": "s_wb_dat_w", "wave": "x.=...x.........", "data": ["1"]},
        {"name": "s_wb_ack", "wave": "0....10........."},
        {"name": "s_wb_err", "wave": "0..............."},
    ],
}
"""A write of a register on each bus, and its answer, in WaveJSON."""

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


class _Program:
    """Commands of bus_player.v, and the lines that it must record."""

    def __init__(self, bus: str, geometry: EieGeometry, stream_bits: int) -> None:
        self.described = eie_map(geometry, stream_bits)
        self._beat_bytes = stream_bits // 8
        self._refused, self._unmapped = REFUSED[bus]
        self.commands: list[bytes] = []
        self.expected: list[str] = []

    def write(self, writes: Iterable[tuple[int, bytes]]) -> None:
        """Writes that are obeyed."""
        pairs = list(accesses(writes))
        self.commands.append(struct.pack(">cI", b"W", len(pairs)) + b"".join(struct.pack(">II", *one) for one in pairs))

    def put(self, register: str, value: int) -> None:
        self.write([(self.described.register(register).address, value.to_bytes(REGISTER_BYTES, "little"))])

    def refused_write(self, register: str) -> None:
        """A write that is answered by an error."""
        address = self.described.register(register).address
        self.write([(address, bytes(REGISTER_BYTES))])
        self.expected.append(f"B {self._refused} {address}")

    def read_nothing(self) -> None:
        """A read behind the registers, where nothing is."""
        self.read(self.described.registers_size, [f"X{self._unmapped}"])

    def read(self, address: int, values: Iterable[int | str]) -> None:
        """Reads from an address on, and what they find."""
        found = [str(value) for value in values]
        self.commands.append(struct.pack(">cII", b"R", len(found), address))
        self.expected.append(" ".join(["R", *found]))

    def read_register(self, name: str, value: int) -> None:
        self.read(self.described.register(name).address, [value])

    def wait_until_idle(self, limit: int) -> None:
        address = self.described.register("STATUS").address
        self.commands.append(struct.pack(">cIII", b"P", address, 1, limit))

    def image(self, values: NDArray[np.int16]) -> None:
        """A packet on the stream."""
        data = values.astype("<i2").tobytes()
        beats = []
        for first in range(0, len(data), self._beat_bytes):
            part = data[first : first + self._beat_bytes]
            last = first + self._beat_bytes >= len(data)
            beats.append(part[::-1].rjust(self._beat_bytes, b"\0") + bytes([(1 << len(part)) - 1, last]))
        self.commands.append(struct.pack(">cI", b"I", len(beats)) + b"".join(beats))

    def results(self, rows: NDArray[np.int16], limit: int) -> None:
        """The packets that come."""
        self.commands.append(struct.pack(">cII", b"O", len(rows), limit))
        self.expected += [" ".join(["O", *map(str, row)]) for row in rows.tolist()]


def _vectors(
    network: EieNetwork, inputs: NDArray[np.int16], program: _Program, what: str, *, contents: bool
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
    program.read_nothing()
    program.refused_write("ID")
    program.read_register("EVENTS", events["ILLEGAL"] | events["UNMAPPED"])
    program.put("EVENTS", events["ILLEGAL"] | events["UNMAPPED"])

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
        program.read_register("BUSY_CYCLES", busy % 2**32 - (busy % 2**32 >> 31 << 32))
        return models.outputs

    run_stages(network.stages, inputs, run_stage, lambda index, given: network.run_host(index, given)[0])
    memories: dict[tuple[str, ...], str] = {}
    if contents:
        for path, words in network_memories(network).items():
            _, _, pe, _, *inside, _ = path.split(".")
            memories[(*ARRAY, pe, *inside)] = words
    return Vectors(
        program=b"".join(program.commands), expected="\n".join([*program.expected, ""]), what=what, contents=memories
    )
