"""The small files of a package: lists of files, constraints, waivers, the macros of the test bench."""

from __future__ import annotations

import json
from collections.abc import Sequence

from zeroskip.cosim.package.description import Description

CLOCK_NS = 10.0
"""The period that the constraints begin with."""

WAIVERS = {
    "UNUSEDSIGNAL": "A part of a word, or the low bits of a sum, that nothing reads. Synthesis takes them away.",
    "PINCONNECTEMPTY": "An output of a block that this instance of it has no use for.",
}
"""The warnings of Verilator that the package waives, and why they mean no harm."""


VERIBLE_WAIVERS = {
    "explicit-parameter-storage-type": "Verilog-2005 has no such types.",
    "unpacked-dimensions-range-ordering": "Verilog-2005 has no other way to write the words of a memory.",
    "generate-label-prefix": "A name of the project's own.",
    "parameter-name-style": "Constants are in capital letters.",
    "line-length": "Wide constants, and the geometry at the head of a file, stand in one line.",
}
"""The rules of Verible that the package waives, all of them of style, and why."""


def file_list(rtl: Sequence[str]) -> str:
    """The Verilog files for tools that take `-f`."""
    return "\n".join([*rtl, ""])


def verilator_waivers(top: str) -> str:
    """The configuration of Verilator's lint."""
    lines = ["// What Verilator's -Wall says of this core, and why it means no harm.", "`verilator_config"]
    for rule, why in WAIVERS.items():
        lines += [f"// {why}", f'lint_off -rule {rule} -file "*rtl/*.v"']
    lines += [
        "// The constants of the package are for the design around the core.",
        f'lint_off -rule UNUSEDPARAM -file "*rtl/{top}_pkg.sv"',
    ]
    return "\n".join([*lines, ""])


def verible_rules() -> str:
    """The rules of Verible's lint."""
    lines = ["# What Verible says of this core. It is about style alone, and not about what the core does."]
    for rule, why in VERIBLE_WAIVERS.items():
        lines += [f"# {why}", f"-{rule}"]
    return "\n".join([*lines, ""])


def constraints(top: str) -> str:
    """A minimal SDC."""
    return f"""# {top}: one clock. Set the period that your design needs, and the delays of what is around the core.
create_clock -name clk -period {CLOCK_NS} [get_ports clk]
set_input_delay -clock clk 0 [remove_from_collection [all_inputs] [get_ports clk]]
set_output_delay -clock clk 0 [all_outputs]
"""


def fusesoc_core(
    description: Description,
    top: str,
    version: str,
    *,
    rtl: Sequence[str],
    bench: Sequence[str],
    contents: Sequence[str],
) -> str:
    """A core file of FuseSoC (CAPI2)."""

    def files(names: Sequence[str]) -> str:
        return "\n".join(f"      - {json.dumps(name)}" for name in names)

    def read_in_place(names: Sequence[str]) -> str:
        """Files that the simulator opens by their names."""
        return "".join(f'\n      - "{name}": {{file_type: user, copyto: "{name}"}}' for name in names)

    return f"""CAPI=2:
name: "zeroskip:{description.core}:{top}:{version}"
description: {json.dumps(f"zeroskip {description.title}")}

filesets:
  rtl:
    files:
{files(rtl)}{read_in_place(contents)}
    file_type: verilogSource-2005
  package:
    files:
      - "rtl/{top}_pkg.sv"
    file_type: systemVerilogSource
  lint:
    files:
      - "lint/verilator.vlt": {{file_type: vlt}}
  constraints:
    files:
      - "constraints/{top}.sdc": {{file_type: SDC}}
      - "constraints/{top}.xdc": {{file_type: xdc}}
  bench:
    files:
      - "tb/common_player.v": {{is_include_file: true}}
{files(bench)}{read_in_place(["vectors/program.bin", "vectors/expected.txt"])}
    file_type: systemVerilogSource

targets:
  default:
    filesets: [rtl, package]
  lint:
    filesets: [rtl, package, lint]
    toplevel: {top}
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: ["-Wall"]
  sim:
    filesets: [rtl, bench]
    toplevel: testbench
    parameters: [program, expected, record, ZEROSKIP_SRAM_MODEL=true]
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: ["-g2012"]

parameters:
  program: {{datatype: file, default: "vectors/program.bin", paramtype: plusarg}}
  expected: {{datatype: file, default: "vectors/expected.txt", paramtype: plusarg}}
  record: {{datatype: str, default: "record.txt", paramtype: plusarg}}
  ZEROSKIP_SRAM_MODEL: {{datatype: bool, paramtype: vlogdefine}}
"""


def player_macro(description: Description) -> str:
    """The module that the test bench plays with; a simulator's -D names another one."""
    return f"`ifndef PLAYER\n`define PLAYER {description.player_top}\n`endif\n"


def player_text(description: Description, top: str) -> str:
    """The player of the package: its macros, and the project's own player around the emitted core."""
    source = description.player.read_text()
    for name, file in description.inlined.items():
        source = source.replace(f'`include "{name}"\n', file.read_text())
    assert source.count(description.instance) == 1, "the player has another instance of the core"
    name = description.instance.split()[1]
    source = source.replace(description.instance, f"    {top} {name} (")
    macros = [f"`define {macro} {value}" for macro, value in description.defines.items()]
    return "\n".join(["`define PORTS_ONLY", *macros, "", source])
