"""Verilog of an Amaranth component for the simulators: memories behavioural, equal modules emitted once."""

from __future__ import annotations

import re
from typing import Any

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring

from rtl.sram import Sram


class SimulationPlatform:
    """Makes every Sram an instance of the model in sram.v, so that its size costs nothing to emit or to build."""

    def get_sram(self, sram: Sram) -> Module:
        m = Module()
        m.submodules.model = Instance(
            "zeroskip_sram",
            p_WIDTH=sram.width,
            p_DEPTH=sram.depth,
            p_ADDRESS=len(sram.r_addr),
            i_clk=ClockSignal(),
            i_w_en=sram.w_en,
            i_w_addr=sram.w_addr,
            i_w_data=sram.w_data,
            i_r_en=sram.r_en,
            i_r_addr=sram.r_addr,
            o_r_data=sram.r_data,
        )
        return m


def fold_modules(text: str) -> str:
    """RTLIL in which all modules that differ in nothing but their names are one module.

    Amaranth emits a module for each instance: an array of 64 equal PEs would be compiled 64 times over.
    """
    module = re.compile(r"(?P<attributes>(?:^attribute [^\n]*\n)*)^module (?P<name>\S+)\n(?P<body>.*?^end\n)", re.M | re.S)
    cell = re.compile(r"^(\s*cell )(\\\S+)", re.M)
    modules = {match["name"]: match for match in module.finditer(text)}
    survivors: dict[str, str] = {}
    by_content: dict[str, str] = {}

    def survivor(name: str) -> str:
        if name not in modules:
            return name
        if name not in survivors:
            body = cell.sub(lambda match: match[1] + survivor(match[2]), modules[name]["body"])
            survivors[name] = by_content.setdefault(modules[name]["attributes"] + "%s" + body, name)
        return survivors[name]

    for name in modules:
        survivor(name)
    return "".join(content.replace("%s", f"module {name}\n", 1) for content, name in by_content.items())


def emit_verilog(component: wiring.Component, name: str, platform: Any) -> str:
    """Verilog of `component` as module `name`."""
    text = fold_modules(rtlil.convert(component, name=name, platform=platform, emit_src=False))
    # verilog.convert() would emit the RTLIL itself, unfolded.
    return verilog._convert_rtlil_text(text)
