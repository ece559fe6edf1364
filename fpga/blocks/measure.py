"""A block alone on a small FPGA: how fast it is, and how much of the device it takes.

The device is the ECP5-25F in its slowest speed grade, and place and route is called as in the builds for boards
(zeroskip.fpga.bitstream.route). What was measured is kept in the cache under the hash of the
block's RTLIL, the tools and the code that measures: a block whose RTL did not change costs nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from zeroskip.fpga.bitstream.cells import counted
from zeroskip.fpga.bitstream.design import TOP
from zeroskip.fpga.bitstream.phases import Announce
from zeroskip.fpga.bitstream.route import cell_counts, place_and_route, spread_options, synthesise
from zeroskip.fpga.bitstream.timing import timing
from zeroskip.fpga.blocks.ports import BehindPins
from zeroskip.fpga.boards.board import LFE5U_25
from zeroskip.fpga.tools import NEXTPNR_ECP5, YOSYS
from zeroskip.model.cache import kept
from zeroskip.model.files import save_json
from zeroskip.model.sources import PACKAGE, files_hash
from zeroskip.model.temporary import TemporaryFolder

DEVICE = ("--25k", "--package", "CABGA256", "--speed", "6", "--lpf-allow-unconstrained", "--lpf", "pins")
PINS = 'LOCATE COMP "clk" SITE "P6";\nIOBUF PORT "clk" IO_TYPE=LVCMOS33;\n'
"""The clock has a pin made for clocks, as on every board."""

WANTED_MHZ = 102.0
"""What place and route aims at: the blocks' goal of 100 MHz, with some room. Above it, a block is not as fast as it
could be."""

SEED = 1

FIGURES = "figures.json"

CODE = (
    "tools.py",
    *(f"bitstream/{name}.py" for name in ("cells", "layout", "rip_up", "route", "timing")),
    "blocks/measure.py",
)
"""What makes figures of the RTLIL: with another version of it, the cache is not used."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`mhz` after routing; `lut`, `ff`, `ram` and `dsp` are places of the device that are taken. The shift registers
    around the block are among the flip-flops. `path` are the signals on the slowest path."""

    mhz: float
    lut: int
    ff: int
    ram: int
    dsp: int
    path: tuple[str, ...]
    path_ns: float


def measure(component: Any, announce: Announce = lambda phase: None) -> Measured:
    """Places and routes a component alone, or takes its figures from the cache."""
    text = rtlil.convert(BehindPins(component), name=TOP, emit_src=False)
    parts = [
        YOSYS.version,
        NEXTPNR_ECP5.version,
        files_hash(PACKAGE / "fpga" / name for name in CODE),
        *DEVICE,
        PINS,
        f"{WANTED_MHZ} {SEED}",
        text,
    ]
    folder = kept("block", parts, lambda unfinished: _measure_in(unfinished, text, announce)).folder
    found = json.loads((folder / FIGURES).read_text())
    return Measured(**{**found, "path": tuple(found["path"])})


def _measure_in(folder: Path, text: str, announce: Announce) -> None:
    with TemporaryFolder() as work:
        (work / f"{TOP}.il").write_text(text)
        (work / "pins").write_text(PINS)
        synthesise(work, "ecp5", announce)
        options = (*DEVICE, *spread_options(LFE5U_25, cell_counts(work)))
        place_and_route(work, "ecp5", options, mhz=WANTED_MHZ, seed=SEED, announce=announce)
        report, cells = json.loads((work / "report.json").read_text()), cell_counts(work)
    found, reached = counted(report, cells, "ecp5"), timing(report, WANTED_MHZ)
    measured = Measured(
        mhz=reached.fmax["sync"],
        path=reached.path,
        path_ns=reached.path_ns,
        **{kind: found[kind] for kind in ("lut", "ff", "ram", "dsp")},
    )
    save_json(folder / FIGURES, asdict(measured))
