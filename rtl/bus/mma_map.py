"""The register map of the N:M tile with its memories."""

from __future__ import annotations

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus.map_parts import MEANING, REFUSALS, Registers, Windows, constant, pulse, setting, status
from zeroskip.rtl.bus.register_map import RegisterMap
from zeroskip.rtl.mma.layouts import a_row_layout, job_layout, results_layout, window_layout

CORE = 2
"""The tile among the cores."""

VERSION = 1
"""Of the register map: software that knows another one must not go on."""

EVENTS = {
    "DONE": "A job has ended.",
    **REFUSALS,
    "CODE": "A job has ended in which a code of A was illegal; the results are those of the multiplexers.",
}
"""The events, from bit 0 on, and what they mean. All but DONE are errors."""

COUNTERS = {"JOBS": "Jobs that have ended.", "BUSY_CYCLES": "Cycles of all jobs."}
"""The performance counters, and what they count."""

JOB = {
    "a_base": "The first word of A in its banks.",
    "b_base": "The first word of B in its banks.",
    "d_base": "The first word of C and D in their banks.",
    "rows": "Tiles down A.",
    "sums": "Tiles of D.",
    "windows": "Words of B for a column tile.",
    "steps": "Words of A for a row tile.",
    "dense": "Whether A is dense.",
}
"""The fields of a job, as registers, and what they mean (zeroskip.rtl.mma.layouts.job_layout)."""

FROM_ONE = ("rows", "sums", "windows", "steps")
"""Those that are at least 1."""


def gemm_map(geometry: TileGeometry) -> RegisterMap:
    """The registers and windows of a tile of `geometry`."""
    registers = Registers(CORE, "Which core of zeroskip: 2 is the N:M tile.", version=VERSION)
    add = registers.add
    add(
        "TILE",
        "How large the tile is.",
        constant("M", 0, 8, geometry.m, "Rows of the tile."),
        constant("N", 8, 8, geometry.n, "Columns of the tile."),
        constant("K", 16, 16, geometry.k, "Lanes of a dot product."),
    )
    add(
        "PATTERN",
        "How A is stored: KEEP values of each GROUP, in pairs of PAIR.",
        constant("KEEP", 0, 8, geometry.keep, "Values that are kept."),
        constant("GROUP", 8, 8, geometry.group, "Values of a group."),
        constant("PAIR", 16, 8, geometry.pair, "Values that are kept together."),
    )
    add(
        "NUMBERS",
        "What the numbers are.",
        constant("OPERAND_BITS", 0, 8, geometry.operand.operand_bits, "Bits of a value of A and B."),
        constant("RESULT_BITS", 8, 8, geometry.result.bits, "Bits of a value of C and D."),
    )
    add("START", "Starts a job.", pulse("START", 0, "Begins with the registers from A_BASE on."), guarded=True)
    add(
        "STATUS",
        "What the tile does.",
        status("RUNNING", 0, 1, "A job is under way: the core is in use."),
        status("CODE", 1, 1, "A code of the last job was illegal."),
    )
    registers.add_events(EVENTS)
    for name, field in job_layout(geometry):
        least = int(name in FROM_ONE)
        most = (1 << field.width) - 1
        what = setting(name.upper(), field.width, least, least, most, JOB[name])
        add(name.upper(), "Of the next job.", what, guarded=True)
    add("CYCLES", "Of the last job.", status("CYCLES", 0, 32, "Cycles from its start to its end."))
    registers.add_counters(COUNTERS)

    windows = Windows()
    for name, meaning, written in (
        ("C", "A row of the tiles of C: N values in a word, the first column in the lowest bits.", True),
        ("D", "A row of the tiles of D, as of C.", False),
    ):
        windows.add(
            name,
            meaning,
            entries=geometry.d_words,
            bits=int(results_layout(geometry).elem_shape.size),
            instances=geometry.m,
            written=written,
        )
    windows.add(
        "B",
        "A column of the tiles of B: the values of a window in a word, the first row of B in the lowest bits.",
        entries=geometry.b_words,
        bits=int(window_layout(geometry).elem_shape.size),
        instances=geometry.n,
    )
    windows.add(
        "A",
        "A row of the tiles of A: the values of a step in a word, the first in the lowest bits, and their codes above.",
        entries=geometry.a_words,
        bits=int(a_row_layout(geometry).size),
        instances=geometry.m,
    )
    return RegisterMap(
        name="zeroskip_mma",
        title="N:M tile of zeroskip",
        meaning=MEANING,
        registers=tuple(registers.found),
        windows=tuple(windows.found),
    )
