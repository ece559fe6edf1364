"""A block alone on a small FPGA: how fast it is, and how much of the device it takes.

The device is the ECP5-25F in its slowest speed grade. What was measured is kept in the cache under the hash of the
block's RTLIL and the tools: a block whose RTL did not change costs nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import filelock
from amaranth.back import rtlil

from zeroskip.fpga.bitstream.cells import counted
from zeroskip.fpga.bitstream.design import TOP
from zeroskip.fpga.bitstream.phases import Announce
from zeroskip.fpga.bitstream.route import cell_counts, place_and_route, synthesise
from zeroskip.fpga.bitstream.timing import timing
from zeroskip.fpga.blocks.ports import BehindPins
from zeroskip.fpga.tools import NEXTPNR_ECP5, YOSYS
from zeroskip.model.cache import cache_folder
from zeroskip.model.files import save_json
from zeroskip.model.temporary import TemporaryFolder

DEVICE = ("--25k", "--package", "CABGA256", "--speed", "6", "--lpf-allow-unconstrained")
WANTED_MHZ = 110.0
"""What place and route aims at: the blocks' goal of 100 MHz, with some room. Above it, a block is not as fast as it
could be."""

SEED = 1


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
    parts = [YOSYS.version, NEXTPNR_ECP5.version, *DEVICE, f"{WANTED_MHZ} {SEED}", text]
    file = cache_folder() / f"block-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{file}.lock"):
        if not file.exists():
            save_json(file, asdict(_measure(text, announce)))
    found = json.loads(file.read_text())
    return Measured(**{**found, "path": tuple(found["path"])})


def _measure(text: str, announce: Announce) -> Measured:
    with TemporaryFolder() as folder:
        (folder / f"{TOP}.il").write_text(text)
        synthesise(folder, "ecp5", announce)
        place_and_route(folder, "ecp5", DEVICE, mhz=WANTED_MHZ, seed=SEED, announce=announce)
        report, cells = json.loads((folder / "report.json").read_text()), cell_counts(folder)
    found, reached = counted(report, cells, "ecp5"), timing(report, WANTED_MHZ)
    return Measured(
        mhz=reached.fmax["sync"],
        path=reached.path,
        path_ns=reached.path_ns,
        **{kind: found[kind] for kind in ("lut", "ff", "ram", "dsp")},
    )
