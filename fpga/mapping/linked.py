"""The mapping unit behind two streams of bytes."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring

from zeroskip.fpga.identity import BUFFER, board_text
from zeroskip.fpga.linked import LinkedCore, jobs, loads, reads
from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
from zeroskip.fpga.mapping.layouts import mapper_layout_digest, mapper_sizes
from zeroskip.fpga.mapping.results import MapperResults
from zeroskip.rtl.link.boot import boot_records
from zeroskip.rtl.mapping.mapper import Mapper


class LinkedMapper(LinkedCore):
    """A mapping unit with a link (zeroskip.rtl.link): points go in, sorted lists and triples come out.

    Nothing is inside the bitstream. A job's triples wait in a memory, so that the unit never waits for the line.

    Parameters
    ----------
    geometry : LinkedMapperGeometry
    buffer : int
        Bytes of the link's buffer for requests, a power of two. ValueError for others.
    clock : int or None
        The frequency of the clock in Hz, told to the host.

    Ports
    -----
    i : stream of 8, in
        Bytes from the host.
    broken : 1, in
        High for a cycle when the line that carries `i` reports an error.
    o : stream of 8, out
        Bytes to the host.
    """

    def __init__(
        self, geometry: LinkedMapperGeometry, *, buffer: int = BUFFER, clock: int | None = None, carrier: str = "uart"
    ) -> None:
        self.geometry = geometry
        layout = mapper_layout_digest(geometry)
        text = board_text("mapping", geometry, layout, buffer=buffer, clock=clock, carrier=carrier)
        super().__init__(mapper_sizes(geometry), text=text, records=boot_records([]), buffer=buffer)

    def wire(self, m: Module, core: Any) -> None:
        m.submodules.mapper = mapper = Mapper(self.geometry)
        m.submodules.results = results = MapperResults(self.geometry)
        wiring.connect(m, results.word_read, mapper.read)
        wiring.connect(m, mapper.result, results.word)
        m.d.comb += [
            *jobs(m, core, mapper),
            *loads(core, mapper),
            mapper.load.payload.eq(core.load.payload),
            mapper.triples.ready.eq(1),
            results.triples.valid.eq(mapper.triples.valid),
            results.triples.payload.eq(mapper.triples.payload),
            results.begin.eq(core.start.valid & core.start.ready),
            results.sorted.eq(mapper.sorted),
            results.disordered.eq(mapper.disordered),
            *reads(core, results),
            results.read.payload.eq(core.read.payload),
        ]
