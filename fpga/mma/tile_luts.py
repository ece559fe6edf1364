"""Look-up tables of N:M tiles on an FPGA, against tiles that are only dense."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from zeroskip.fpga.synthesis import synthesise
from zeroskip.model.mma.geometry import mode_geometry
from zeroskip.rtl.mma.tile import Tile

COSTED = (("A100", "fp16"), ("A100", "bf16"), ("A100", "tf32"), ("Ada", "e4m3"), ("Ada", "e5m2"))
"""The float modes whose tiles are synthesised."""

INTEGER_DEPTH = 8
"""Products of an integer unit that is synthesised: at 16 and more ABC, within Yosys 0.70, fails on the dense tile."""


INTEGERS = ("int8", "int4")

TILES = len(COSTED) + len(INTEGERS)
"""How many pairs of tiles `luts` synthesises."""


def luts(progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Look-up tables of sparse tiles, and of dense-only ones with the same multipliers, on ECP5.

    Synthesis is heuristic: the same registers declared in another order gave the e4m3 tiles 47,804 to 48,876 look-up
    tables sparse and 43,221 to 44,421 dense, an overhead of 9.7 to 10.9 %.
    """
    tiles = [mode_geometry(generation=generation, dtype=dtype, out="fp32") for generation, dtype in COSTED]
    tiles += [mode_geometry(generation="A100", dtype=dtype, out="int32", k=INTEGER_DEPTH) for dtype in INTEGERS]
    found = []
    for sparse in tiles:
        progress(f"{sparse.dtype}, sparse")
        cost = synthesise(Tile(sparse))
        progress(f"{sparse.dtype}, dense only")
        reference = synthesise(Tile(dataclasses.replace(sparse, keep=sparse.group)))
        found.append(
            {
                "format": sparse.dtype,
                "generation": sparse.generation,
                "tile": [sparse.m, sparse.n, sparse.k],
                "sparse": cost.luts,
                "dense": reference.luts,
                "multipliers": cost.multipliers,
                "same_multipliers": cost.multipliers == reference.multipliers,
                "overhead": cost.luts / reference.luts - 1,
            }
        )
    return found
