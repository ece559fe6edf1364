"""The N:M tile as simulators build it: with the Gemm around it, or by itself."""

from __future__ import annotations

import dataclasses

from zeroskip.cosim.build import Design
from zeroskip.cosim.emit import emit_verilog, memory_access
from zeroskip.model.bits import bits_for
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat, block_rule
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.mma.gemm import Gemm
from zeroskip.rtl.mma.layouts import job_layout, load_layout, results_layout, step_layout
from zeroskip.rtl.mma.tile import Tile


def banks(geometry: TileGeometry) -> list[str]:
    """The banks of A, then B, then C and D (zeroskip.rtl.mma.gemm), as instances in the player. The number of a bank in
    this list is that of the player's commands."""
    counts = {"a": geometry.m, "b": geometry.n, "d": geometry.m}
    return [f"gemm_player.gemm.{matrix}{index}" for matrix, count in counts.items() for index in range(count)]


def hardware_key(geometry: TileGeometry) -> str:
    """What the hardware of a tile depends on: of its generation the rule alone, and of integers not even that.
    Generations that add alike share a build."""
    fields = dataclasses.asdict(geometry)
    mode = [fields.pop("generation"), geometry.dtype, geometry.out]
    return repr([fields, block_rule(*mode) if isinstance(geometry.operand, FloatFormat) else None])


def gemm_design(geometry: TileGeometry) -> Design:
    """The player of matrix products with a Gemm of `geometry`."""
    return Design(
        component=Gemm,
        key=hardware_key(geometry),
        top="gemm_player",
        verilog=lambda: emit_verilog(Gemm(geometry), "gemm") + memory_access("memories", banks(geometry)),
        sources=(PACKAGE / "cosim/sram.v", PACKAGE / "cosim/mma/gemm_player.v"),
        included=(PACKAGE / "cosim/common_player.v",),
        # Most changes of a tile are in the pipelines of its dot products.
        unrecorded=("dot",),
        defines={
            "LOAD_BITS": load_layout(geometry).size,
            "JOB_BITS": job_layout(geometry).size,
            "BANK_BITS": bits_for(geometry.m),
            "ADDRESS_BITS": bits_for(geometry.d_words),
            "RESULT_BITS": results_layout(geometry).elem_shape.size,
            "ROWS": geometry.m,
            "D_BANKS": geometry.m + geometry.n,
        },
    )


def tile_design(geometry: TileGeometry) -> Design:
    """The player of single steps with a tile of `geometry` by itself."""
    return Design(
        component=Tile,
        key=hardware_key(geometry),
        top="tile_player",
        verilog=lambda: emit_verilog(Tile(geometry), "tile"),
        sources=(PACKAGE / "cosim/mma/tile_player.v",),
        included=(PACKAGE / "cosim/common_player.v",),
        defines={"STEP_BITS": step_layout(geometry).size, "RESULT_BITS": results_layout(geometry).size},
    )
