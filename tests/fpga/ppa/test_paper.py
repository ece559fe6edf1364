"""Table II of the paper, and the units of our PE that stand beside it."""

from __future__ import annotations

import math

from zeroskip.fpga.blocks.named import BLOCKS
from zeroskip.fpga.ppa.mapped import unmapped
from zeroskip.fpga.ppa.paper import AREA_UM2, TABLE_II, WHOLE


def test_every_unit_stands_beside_one_of_the_papers() -> None:
    """Each is a block of its own too, so that it has a critical path."""
    units = unmapped(BLOCKS[WHOLE].make(), keep_units=True).units
    assert sorted(unit for row in TABLE_II for unit in row.units) == sorted(units)
    assert {f"eie.{unit}" for unit in units} <= set(BLOCKS)


def test_shares_are_those_of_the_areas() -> None:
    """The paper rounds its shares to two digits of a per cent."""
    assert sum(row.area_um2 for row in TABLE_II) == AREA_UM2
    assert all(math.isclose(row.area_um2 / AREA_UM2, row.share, abs_tol=0.00005) for row in TABLE_II)
