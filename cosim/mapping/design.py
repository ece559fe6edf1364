"""The mapping unit as simulators build it, with the player around it."""

from __future__ import annotations

from zeroskip.cosim.build import Design, geometry_key
from zeroskip.cosim.emit import emit_verilog
from zeroskip.model.bits import bits_for
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.mapping.layouts import job_layout, load_layout, triple_layout, triples_layout, word_layout
from zeroskip.rtl.mapping.mapper import Mapper


def mapper_design(geometry: MapperGeometry) -> Design:
    """The player of jobs with a Mapper of `geometry`."""
    triples = triples_layout(geometry)
    return Design(
        component=Mapper,
        key=geometry_key(geometry),
        top="mapper_player",
        verilog=lambda: emit_verilog(Mapper(geometry), "mapper"),
        sources=(PACKAGE / "cosim/sram.v", PACKAGE / "cosim/mapping/mapper_player.v"),
        included=(PACKAGE / "cosim/common_player.v",),
        defines={
            "LOAD_BITS": load_layout(geometry).size,
            "JOB_BITS": job_layout(geometry).size,
            "ADDRESS_BITS": geometry.address_bits,
            "WORD_BITS": word_layout(geometry).size,
            "VALUES_BITS": triples["values"].width,
            "TRIPLE_BITS": triple_layout(geometry).size,
            "COUNT_BITS": triples["count"].width,
            "SORTED_BITS": bits_for(geometry.keys + 1),
        },
    )
