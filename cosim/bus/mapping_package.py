"""The mapping unit on a bus as a package of Verilog (zeroskip.cosim.package)."""

from __future__ import annotations

import numpy as np

from zeroskip.cosim.bus.describe import describe
from zeroskip.cosim.bus.mapping_program import map_writes, packet, sort_writes, triples_of, words_of
from zeroskip.cosim.bus.player import BusProgram, signed
from zeroskip.cosim.bus.window_words import window_words
from zeroskip.cosim.mapping.package import made_up_layer
from zeroskip.cosim.mapping.program import word_bits
from zeroskip.cosim.package.description import Description, Vectors
from zeroskip.cosim.session import most_cycles
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.bus.mapping_buses import BUSES, stream_bits
from zeroskip.rtl.bus.mapping_map import EVENTS, mapper_map

WAITS = 8
"""The player takes triples in about half of all cycles; a wait of so many times the cycles of a job has hung."""


class MapperOnBus:
    """The functions of a CorePackage for the mapping unit on a bus."""

    def __init__(self, bus: str) -> None:
        self._bus = bus

    def describe(self, geometry: MapperGeometry) -> Description:
        return describe(
            "mapping",
            self._bus,
            BUSES[self._bus](geometry),
            geometry,
            latency={
                "START to DONE": "depends on the job and on how long triples wait; CYCLES has the cycles of a job"
            },
            shows="A write of a register, and the triples of a map (shortened)",
            others=[["stream", *_STREAM]],
            defines={"STREAM_BITS": stream_bits(geometry), "NO_IMAGES": 1},
        )

    def sample_vectors(self, geometry: MapperGeometry) -> Vectors:
        """A made-up layer, as of the unit without a bus: its sorts, the lists that they leave, and its map by the
        stream. Accesses that are refused come before."""
        plan, what = made_up_layer(geometry)
        program = BusProgram(self._bus, mapper_map(geometry), stream_bits=stream_bits(geometry))
        described = program.described
        events = {name: 1 << bit for bit, name in enumerate(EVENTS)}
        program.refusals(events["ILLEGAL"] | events["UNMAPPED"])
        limits = [min(WAITS * limit, 2**32 - 1) for limit in most_cycles(np.array(plan.cycles)).tolist()]
        for sort, cycles, limit in zip(plan.sorts, plan.cycles, limits, strict=False):
            program.write(sort_writes(described, sort, geometry))
            program.put("START", 1)
            program.wait_until_idle(limit)
            program.read_register("CYCLES", cycles)
            program.read_register("SORTED", len(sort.found))
            words = window_words(described.window("FOUND"), word_bits(sort.found, geometry))
            address, _ = words_of(described, sort.target, 0)
            program.read(address, [signed(int(value)) for value in np.frombuffer(words, "<u4")])
        for part, limit in zip(plan.maps, limits[len(plan.sorts) :], strict=True):
            program.write(map_writes(described, plan, part))
            program.put("START", 1)
            found = packet(triples_of(plan, part))
            program.results(np.frombuffer(found, "<i2")[None], limit)
            program.wait_until_idle(limit)
        program.read_register("EVENTS", events["DONE"])
        program.read_register("JOBS", len(plan.cycles))
        program.read_register("TRIPLES", len(plan.triples))
        return Vectors(program=b"".join(program.commands), expected="\n".join([*program.expected, ""]), what=what)


_STREAM = [
    {"name": "m_axis_tdata", "wave": "x.......==.=x...", "data": ["triples", "", "last"]},
    {"name": "m_axis_tvalid", "wave": "0.......1...0..."},
    {"name": "m_axis_tlast", "wave": "x.......0..1x..."},
    {"name": "m_axis_tready", "wave": "x.......101.x..."},
]
"""The triples of a map, in WaveJSON."""
