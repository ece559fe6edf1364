"""The N:M tile on a bus as a package of Verilog (zeroskip.cosim.package)."""

from __future__ import annotations

from zeroskip.cosim.bus.describe import describe
from zeroskip.cosim.bus.mma_program import job_registers, job_writes, result_places
from zeroskip.cosim.bus.player import BusProgram, signed
from zeroskip.cosim.mma.package import made_up_products, network_products, padded_tiles, result_words
from zeroskip.cosim.mma.play import expected_cycles, plan_of
from zeroskip.cosim.package.description import Description, Vectors
from zeroskip.cosim.session import most_cycles
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.gemm import Images, Product
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import gemm
from zeroskip.rtl.bus.mma_buses import BUSES
from zeroskip.rtl.bus.mma_map import EVENTS, gemm_map
from zeroskip.rtl.bus.register_map import REGISTER_BITS


class GemmOnBus:
    """The functions of a CorePackage for the tile on a bus."""

    def __init__(self, bus: str) -> None:
        self._bus = bus

    def describe(self, geometry: TileGeometry) -> Description:
        return describe(
            "mma",
            self._bus,
            BUSES[self._bus](geometry),
            geometry,
            latency={
                "START to DONE": "a job of s sums and t steps takes s * t cycles and a constant more; CYCLES has them"
            },
            shows="A write of a register",
            wave_cycles=7,
        )

    def sample_vectors(self, geometry: TileGeometry) -> Vectors:
        """Made-up products, as of the tile without a bus."""
        return self._vectors(geometry, *made_up_products(geometry))

    def network_vectors(self, network: MmaNetwork, *, contents: bool) -> Vectors:
        """The products of a compiled network. Raises ValueError for `contents`, as without a bus."""
        return self._vectors(network.geometry, *network_products(network, contents=contents))

    def _vectors(self, geometry: TileGeometry, products: list[Product], what: str) -> Vectors:
        """Each product by the windows, and accesses that are refused before them."""
        program = BusProgram(self._bus, gemm_map(geometry))
        described = program.described
        events = {name: 1 << bit for bit, name in enumerate(EVENTS)}
        program.refusals(events["ILLEGAL"] | events["UNMAPPED"])
        jobs = 0
        for operand, b, c in products:
            images = Images(operand, b, c, geometry)
            plan = plan_of(operand, b, geometry)
            d = padded_tiles(gemm(operand, b, c, geometry), images, operand)
            for job, cycles in zip(plan, expected_cycles(plan, geometry), strict=True):
                program.write(job_writes(described, images, job))
                program.write(job_registers(described, images, job))
                program.put("START", 1)
                program.wait_until_idle(int(most_cycles(cycles)))
                program.read_register("CYCLES", cycles)
                jobs += 1
                if job.last:
                    lanes = described.window("D").lanes
                    for address, word in zip(
                        result_places(described, job), result_words(d, job, geometry), strict=True
                    ):
                        program.read(address, [signed(word >> REGISTER_BITS * lane) for lane in range(lanes)])
        program.read_register("EVENTS", events["DONE"])
        program.read_register("JOBS", jobs)
        return Vectors(program=b"".join(program.commands), expected="\n".join([*program.expected, ""]), what=what)
