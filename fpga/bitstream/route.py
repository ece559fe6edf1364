"""From a design to a routed one, in the project's cache: synthesis, place and route.

What a network puts into the block RAMs comes afterwards (zeroskip.fpga.bitstream.config): a routed design is kept under
the hash of its RTLIL, constraints, options and tools, and serves all networks of its geometry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zeroskip.fpga.bitstream import config as texts
from zeroskip.fpga.bitstream.config import Placed
from zeroskip.fpga.bitstream.design import TOP, Design
from zeroskip.fpga.bitstream.gowin import CHIP
from zeroskip.fpga.bitstream.layout import SYNTHESIS, Slice, layouts
from zeroskip.fpga.bitstream.memories import Memory, marker, memories, with_contents
from zeroskip.fpga.bitstream.phases import Announce, nextpnr_phase, yosys_phase
from zeroskip.fpga.bitstream.rip_up import RIP_UP, OutOfReachError, RipUpWatch
from zeroskip.fpga.boards.board import Device
from zeroskip.fpga.tools import NEXTPNR_ECP5, NEXTPNR_GOWIN, NEXTPNR_ICE40, YOSYS, ToolError
from zeroskip.model.cache import kept
from zeroskip.model.sources import PACKAGE, files_hash

NEXTPNR = {"ecp5": NEXTPNR_ECP5, "ice40": NEXTPNR_ICE40, "gowin": NEXTPNR_GOWIN}
TEXT = {"ecp5": "--textcfg", "ice40": "--asc", "gowin": "--write"}

SPARSE = 0.6
"""Part of an ECP5's look-up tables up to which cells are spread over the device, and wires routed again for the clock
(spread_options). An array of 16 PEs on an ULX3S-85F (37 % in use) had 37 % less wire than with nextpnr's own placer,
`heap`, which packs cells tightly and lets PEs grow into each other; 32 PEs (59 %) were not routed at all with that one.
"""

LUTS_OF = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6}
"""Places for look-up tables of an ECP5 that cells take: a small memory has its bits in four, and two more are its write
port."""

CODE = ("tools.py", *(f"bitstream/{name}.py" for name in ("config", "gowin", "layout", "memories", "rip_up", "route")))
"""What makes a routed design of the RTLIL: with another version of it, the cache is not used."""


@dataclass(frozen=True, kw_only=True)
class Routed:
    """A routed design: `config` is the text from which the bitstream is packed, `placed` where the memories lie in it,
    `report` that of place and route and `cells` the cells after synthesis, by type. `cached` if nothing had to be
    built."""

    config: str
    placed: tuple[Placed, ...]
    report: dict[str, Any]
    cells: dict[str, int]
    cached: bool


def route(
    design: Design, patched: Sequence[str], *, mhz: float, seed: int, announce: Announce = lambda phase: None
) -> Routed:
    """Routes a design, or takes it from the cache. The memories named `patched` become block RAM whose contents can be
    replaced.

    Raises ToolError where a tool is missing or fails, and PatchError where a memory is not found again.
    """
    nextpnr = NEXTPNR[design.board.family]
    parts = [
        YOSYS.version,
        nextpnr.version,
        files_hash(PACKAGE / "fpga" / name for name in CODE),
        design.board.name,
        design.rtlil,
        design.constraints,
        *(f"{name}" for name in patched),
        f"{mhz} {seed}",
    ]
    found = kept("routed", parts, lambda folder: _route_in(folder, design, patched, mhz, seed, announce))
    return _load(found.folder, design, found.cached)


def _route_in(folder: Path, design: Design, patched: Sequence[str], mhz: float, seed: int, announce: Announce) -> None:
    board, family = design.board, design.board.family
    by_name = {memory.name: memory for memory in memories(design.rtlil)}
    chosen = [by_name[name] for name in patched]
    markers = {memory: marker(memory) for memory in chosen}
    if chosen:
        announce("finding the bits of the memories")
    slices = layouts(design.rtlil, chosen, family)

    source, constraints = folder / f"{TOP}.il", folder / f"{TOP}.constraints"
    source.write_text(with_contents(design.rtlil, markers))
    constraints.write_text(design.constraints)
    synthesise(folder, family, announce)
    options = [
        *device_options(board.make_platform()),
        *constraint_options(family, constraints.name),
        *spread_options(board.device, cell_counts(folder)),
    ]
    place_and_route(folder, family, options, mhz=mhz, seed=seed, announce=announce)
    placed = texts.place((folder / "config").read_text(), family, {m: (markers[m], slices[m]) for m in chosen})
    _save_placed(folder, placed)
    for file in (source, constraints, folder / f"{TOP}.json"):
        file.unlink()


def synthesise(folder: Path, family: str, announce: Announce) -> None:
    """Makes TOP.json, the netlist, and cells.json of TOP.il in `folder`."""

    def run(synthesis: str) -> None:
        script = f"read_rtlil {TOP}.il; {synthesis}; write_json {TOP}.json; tee -q -o cells.json stat -json"
        YOSYS.run(["-p", script], folder=folder, heard=yosys_phase(announce))

    whole = f"{SYNTHESIS[family]} -top {TOP}"
    try:
        run(whole)
    except ToolError as error:
        if family != "ecp5" or "ABC9" not in str(error):
            raise
        # ABC9 dies of some designs that have wires which nothing reads. Others become larger without them.
        announce("synthesis: again, without wires that nothing reads")
        run(f"{whole} -run begin:map_luts; opt_clean -purge; {whole} -run map_luts:")


def place_and_route(
    folder: Path, family: str, options: Sequence[str], *, mhz: float, seed: int, announce: Announce
) -> None:
    """Makes `config`, the text of the bitstream, and report.json of TOP.json in `folder`. `options` name the device and
    the constraints. Where wires are taken up for a clock that is out of reach, the design is routed once more without
    that, so that the report tells what is too slow."""

    def run(options: Sequence[str]) -> None:
        told, watch = nextpnr_phase(announce), RipUpWatch()

        def heard(line: str) -> None:
            told(line)
            watch.heard(line)

        NEXTPNR[family].run(
            [
                *options,
                *("--json", f"{TOP}.json", TEXT[family], "config", "--report", "report.json"),
                *("--freq", f"{mhz:g}", "--seed", str(seed), "--timing-allow-fail"),
                *{"ecp5": ("--router", "router2"), "ice40": (), "gowin": ()}[family],
            ],
            folder=folder,
            heard=heard,
        )

    try:
        run(options)
    except OutOfReachError:
        announce("the clock is out of reach: placing and routing once more, for the slowest path")
        run([option for option in options if option != RIP_UP])


def cell_counts(folder: Path) -> dict[str, int]:
    """The cells after synthesis, by type."""
    cells = json.loads((folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    return {kind: int(count["count"] if isinstance(count, dict) else count) for kind, count in cells.items()}


def device_options(platform: Any) -> list[str]:
    """The options of nextpnr that name the device of an Amaranth platform."""
    if hasattr(platform, "part"):
        return ["--device", platform.part, "--vopt", f"family={CHIP}"]
    device = platform._nextpnr_device_options[platform.device]
    if hasattr(platform, "speed"):
        package = platform._nextpnr_package_options[platform.package].upper()
        return [device, "--package", package, "--speed", platform.speed]
    return [device, "--package", platform.package.lower()]


def spread_options(device: Device, cells: Mapping[str, int]) -> list[str]:
    """The options of nextpnr for a design of `cells` that leaves room on an ECP5; none for others. Its placer `static`
    lets cells repel each other as charges do, until 70 % of the places are in use. Its router takes wires up again on
    paths that are too slow for the clock: those of signals that go all over the device may take long ways."""
    if device.family != "ecp5" or sum(LUTS_OF[cell] * cells.get(cell, 0) for cell in LUTS_OF) > SPARSE * device.luts:
        return []
    return ["--placer", "static", RIP_UP]


def constraint_options(family: str, file: str) -> list[str]:
    """The options of nextpnr that name the file of the constraints."""
    return {"ecp5": ["--lpf", file], "ice40": ["--pcf", file], "gowin": ["--vopt", f"cst={file}"]}[family]


def _save_placed(folder: Path, placed: Sequence[Placed]) -> None:
    facts = [
        {**vars(one.memory), "suffix": one.slice.suffix, "section": one.section, "slice": f"slice_{index}"}
        for index, one in enumerate(placed)
    ]
    (folder / "placed.json").write_text(json.dumps(facts))
    numbers: dict[str, Any] = {f"slice_{index}": one.slice.numbers for index, one in enumerate(placed)}
    np.savez_compressed(folder / "placed.npz", **numbers)


def _load(folder: Path, design: Design, cached: bool) -> Routed:
    placed = []
    with np.load(folder / "placed.npz") as numbers:
        for facts in json.loads((folder / "placed.json").read_text()):
            one = Slice(suffix=facts.pop("suffix"), numbers=numbers[facts.pop("slice")])
            section = facts.pop("section")
            placed.append(Placed(memory=Memory(**facts), slice=one, section=section))
    return Routed(
        config=(folder / "config").read_text(),
        placed=tuple(placed),
        report=json.loads((folder / "report.json").read_text()),
        cells=cell_counts(folder),
        cached=cached,
    )
