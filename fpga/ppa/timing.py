"""The critical path of a mapped netlist, by OpenSTA: before layout, with an ideal clock and wires without length."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from zeroskip.fpga.ppa.liberty import Liberty
from zeroskip.fpga.ppa.mapped import LOAD_FF, TOP
from zeroskip.fpga.ppa.sram import Macro, library
from zeroskip.fpga.tools import ToolError
from zeroskip.model.cache import cache_folder
from zeroskip.model.files import save_json
from zeroskip.model.sources import PACKAGE, files_hash
from zeroskip.model.temporary import TemporaryFolder

STA = "sta"
MISSING = "critical paths need OpenSTA, which is not installed; on Debian and Ubuntu: sudo apt-get install opensta"
PERIOD_NS = 100.0
"""Far from all paths, and small enough for the digits of a slack."""

_SLACK = re.compile(r"^ *(-?[\d.]+) +slack", re.M)
_POINTS = re.compile(r"^(?:Startpoint|Endpoint): (\S+)", re.M)
_GENERIC = re.compile(r"\$_\w+_$")
"""The type of flip-flop that Yosys adds to the name of a register."""


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """`ns` includes the setup time of the register at its end; `start` and `end` are registers, memories or ports."""

    ns: float
    start: str
    end: str


def sta_version() -> str | None:
    """The version of OpenSTA, or None where it is not installed. Raises ToolError where it does not say it."""
    if shutil.which(STA) is None:
        return None
    run = subprocess.run([STA, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode or not run.stdout.strip():
        raise ToolError(f"OpenSTA failed: `{STA} -version` gave exit code {run.returncode}\n{run.stderr[-2000:]}")
    return run.stdout.strip()


def critical_path(netlist: Path, liberty: Liberty, macros: Iterable[Macro], *, version: str) -> CriticalPath | None:
    """The slowest path of a netlist, by OpenSTA of `version`, or from the cache; None where it has no path.

    Inputs arrive at the clock's edge, from the smallest buffer; outputs must be there at the next. Raises ToolError
    where OpenSTA fails.
    """
    text, srams = netlist.read_text(), library(macros)
    parts = [version, files_hash([PACKAGE / "fpga/ppa/timing.py"]), liberty.digest, srams, text]
    file = cache_folder() / f"timed-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        found = _time(text, liberty, srams)
        save_json(file, found and asdict(found))
    kept = json.loads(file.read_text())
    return kept and CriticalPath(**kept)


def _time(netlist: str, liberty: Liberty, srams: str) -> CriticalPath | None:
    with TemporaryFolder() as folder:
        (folder / "netlist.v").write_text(netlist)
        (folder / "cells.lib").write_text(liberty.text)
        (folder / "srams.lib").write_text(srams)
        top = netlist[netlist.index(f"module {TOP}(") :]
        (folder / "script").write_text("\n".join(_script(liberty, clocked="\n  input clk;" in top)))
        command = [STA, "-exit", "-no_splash", "script"]
        run = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    said = run.stdout + run.stderr
    # It goes on after errors and with unknown cells, and ends with the exit code 0.
    if run.returncode or re.search(r"^Error|black box", said, re.M):
        raise ToolError(f"OpenSTA failed:\n{said[-2000:]}")
    if "No paths found" in said:
        return None
    slack, points = _SLACK.search(said), _POINTS.findall(said)
    if slack is None or len(points) != 2:
        raise ToolError(f"OpenSTA reported no slack:\n{said[-2000:]}")
    start, end = (_GENERIC.sub("", point) for point in points)
    return CriticalPath(ns=round(PERIOD_NS - float(slack[1]), 4), start=start, end=end)


def _script(liberty: Liberty, *, clocked: bool) -> list[str]:
    clock = "[get_ports clk]" if clocked else ""
    return [
        "read_liberty cells.lib",
        "read_liberty srams.lib",
        "read_verilog netlist.v",
        f"link_design {TOP}",
        "set_cmd_units -time ns -capacitance fF",
        f"create_clock -name clk -period {PERIOD_NS} {clock}",
        "foreach port [all_inputs] {",
        '  if {[get_property $port full_name] != "clk"} { set_input_delay 0 -clock clk $port }',
        "}",
        f"set_driving_cell -lib_cell {liberty.buffer} [all_inputs]",
        f"set_load {LOAD_FF} [all_outputs]",
        "set_output_delay 0 -clock clk [all_outputs]",
        "report_checks -path_delay max -digits 4",
    ]
