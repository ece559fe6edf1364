"""Which signals Verilator records."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import waveforms
from support.networks import random_inputs, random_network

from zeroskip.cosim.recorded import OFF, recorded
from zeroskip.cosim.session import Recording
from zeroskip.cosim.simulator import Simulator
from zeroskip.cosim.verify import verify
from zeroskip.model.eie.geometry import EieGeometry

DESIGN = r"""
module Element(clk, rst, i, o);
  input clk;
  wire clk;
  input rst;
  wire rst;
  input [7:0] i;
  wire [7:0] i;
  output [7:0] o;
  reg [7:0] o = 8'h00;
  (* enum_base_type = "Kind" *)
  wire [3:0] \o.low ;
  wire [3:0] \$12 ;
  wire signed [3:0] level;
  wire signed [3:0] \level$3 ;
  reg [3:0] \level$4 ;
  wire \port$17$0 ;
  assign \level$3  = level;
  always @(posedge clk)
    o <= i;
endmodule

module \top.pair (clk, rst);
  input clk;
  wire [7:0] \words[0] ;
  wire [7:0] \words[1] ;
  wire [15:0] words;
  wire [7:0] \alone.row ;
  wire [7:0] \alone.row[2].low ;
  wire \en$5 ;
  wire \data$6 ;
  wire \en$7 ;
  \top.sums.bank  bank (
    .clk(clk),
    .data(\en$5 ),
    .en(\en$7 )
  );
endmodule

module \top.element_1 (clk, i);
  wire [7:0] i;
  wire [7:0] \port$3$0 ;
  assign i = \port$3$0 [7:0];
  Element \instance  (
    .i(i)
  );
endmodule

module \top.element_2 (clk, i);
  wire [7:0] i;
  assign i = ~ clk;
  Element \instance  (
    .i(i)
  );
endmodule

module \top.sums.bank (clk);
  wire [7:0] held;
endmodule

module top(clk, rst);
  input clk;
  wire clk;
endmodule
"""


def left_out(*unrecorded: str) -> dict[str, list[str]]:
    """The declarations in each module that are not recorded."""
    text = recorded(DESIGN, "top", ["Element"], unrecorded)
    assert text.replace(f"{OFF} ", "").replace(" /*verilator tracing_on*/", "") == DESIGN
    return {
        module.partition("(")[0].strip(): [
            line.split(";")[0].split()[-1] for line in module.splitlines() if OFF in line
        ]
        for module in text.split("\nmodule ")[1:]
    }


def test_copies_parts_and_clocks() -> None:
    assert left_out() == {
        "Element": ["clk", "clk", "rst", "rst", r"\o.low", r"\$12", r"\level$3", r"\port$17$0"],
        r"\top.pair": ["clk", r"\words[0]", r"\words[1]", r"\alone.row[2].low", r"\en$7"],
        r"\top.element_1": ["i", r"\port$3$0"],
        r"\top.element_2": [],
        r"\top.sums.bank": [],
        "top": [],
    }


def test_names_of_submodules() -> None:
    assert left_out("sums", "words") == left_out() | {r"\top.sums.bank": ["held"]}
    # What is connected to a submodule is recorded around it, then.
    found = left_out("bank")
    assert (found[r"\top.sums.bank"], found[r"\top.pair"][-1]) == (["held"], r"\alone.row[2].low")
    # The first part of a name is that of the top.
    assert left_out("top") == left_out()


def test_no_module_is_shared() -> None:
    assert r"\o.low" in recorded(DESIGN, "top", [], ())


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="optional: apt-get install iverilog")
def test_what_verilator_leaves_out(tmp_path: Path) -> None:
    """Icarus Verilog records every signal of an array. What Verilator leaves out changes as another one does, is a part
    of another one, an expression without a name, or inside a memory."""
    rng = np.random.default_rng(11)
    network = random_network(rng, EieGeometry(pes=4), (70, 40, 9), 0.2)
    inputs = random_inputs(rng, 1, 70, (0.5,))
    files = {simulator: tmp_path / f"{simulator.value}.vcd" for simulator in Simulator}
    for simulator, file in files.items():
        assert verify(network, inputs, simulator=simulator, recording=Recording(file=file, format="vcd")).equal
    names = {
        simulator: {name for name in waveforms.read(file).bits if name.startswith("player.array.")}
        for simulator, file in files.items()
    }
    every, kept = names[Simulator.ICARUS], names[Simulator.VERILATOR]
    changes = waveforms.read(files[Simulator.ICARUS], every).changes
    seen = {tuple(changes[name]) for name in kept & every} | {tuple(changes["player.array.clk"])}
    assert len(seen) > 500
    unlike = []
    for name in every - kept:
        signal = name.rpartition(".")[2]
        expression = re.match(r"\$|port\$\d+\$\d+$", signal)
        part = any(name[: cut.start()] in every for cut in re.finditer(r"[.\[]", name))
        inside = re.search(r"\.(file_[01]|odd|even|model)\.", name)
        if not (expression or part or inside or tuple(changes[name]) in seen):
            unlike.append(name)
    assert unlike == []
