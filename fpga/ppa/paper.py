"""The area of a processing element in the paper: EIE, ISCA 2016, Table II, TSMC 45 nm, with its SRAM."""

from __future__ import annotations

from dataclasses import dataclass

WHOLE = "eie.pe"
"""The block that the table is about."""

AREA_UM2 = 638_024


@dataclass(frozen=True, kw_only=True)
class PaperUnit:
    """A row of the table: `share` of the area of the PE, and the units of our PE that do the same."""

    name: str
    area_um2: int
    share: float
    units: tuple[str, ...]


TABLE_II = (
    PaperUnit(name="Act_queue", area_um2=758, share=0.0012, units=("queue",)),
    PaperUnit(name="PtrRead", area_um2=121_849, share=0.1910, units=("pointers",)),
    PaperUnit(name="SpmatRead", area_um2=469_412, share=0.7357, units=("spmat", "lookahead")),
    PaperUnit(name="ArithmUnit", area_um2=3_110, share=0.0049, units=("decoder", "arithmetic")),
    PaperUnit(name="ActRW", area_um2=18_934, share=0.0297, units=("files",)),
    PaperUnit(name="filler cell", area_um2=23_961, share=0.0376, units=()),
)
