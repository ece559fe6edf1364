"""`zeroskip rtl emit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zeroskip.api.rtl.emit import emit_rtl
from zeroskip.commands import options
from zeroskip.commands.console import show, working
from zeroskip.commands.core_options import KNOWN, CoreOptions, with_core_options
from zeroskip.commands.fpga.core import chosen_core


@with_core_options("EmitOptions")
def emit_command(
    output: Annotated[
        Path,
        typer.Option(help="Folder to write. One that exists must be empty, or hold an earlier emission, unchanged."),
    ],
    cores: CoreOptions,
    core: options.BoardCore = None,
    network: Annotated[
        Path | None,
        typer.Option(
            help="A network from `zeroskip compile`: the core is the one that it was compiled for, and the test bench "
            "runs it.",
            show_default="none: the options below are the geometry",
        ),
    ] = None,
    with_contents: Annotated[
        bool,
        typer.Option("--with-contents", help="Put the network into the memories of the EIE array, for $readmemh."),
    ] = False,
    bus: Annotated[
        Literal["axi", "apb", "wishbone", "axi-master"] | None,
        typer.Option(
            help="Put the core behind registers on AXI4-Lite, APB4 or Wishbone B4, the EIE array also behind "
            "AXI4-Streams of images and results, and the mapping unit behind one of triples; axi-master: the array "
            "takes networks and images by lists of descriptors from a memory on AXI4.",
            show_default="none: the core has its bare ports",
        ),
    ] = None,
    stream_bits: Annotated[
        int | None,
        typer.Option(
            help="With --bus: width of the array's streams, 16, 32, 64.",
            show_default="as wide as a load of the array",
        ),
    ] = None,
    system: Annotated[
        Literal["riscv"] | None,
        typer.Option(
            help="Put a RISC-V processor with firmware beside the EIE array on AXI, to be simulated by `make system`. "
            "Needs the extra `riscv`.",
            show_default="none",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write the RTL of a core as Verilog that needs no Python.

    The folder has the modules, memories as block RAM or for macros, a test bench that checks itself in Verilator and
    Icarus Verilog, a data sheet, a manifest, and files for FuseSoC and synthesis. Equal arguments give equal files.
    """
    if network is None:
        if core is None:
            raise ValueError(f"--core must be given, one of {', '.join(KNOWN)}, or --network, a compiled network")
        cores.require_for(core, f"--core {core}")
        chosen, geometry = core, cores.of(core).geometry()
    else:
        chosen, geometry = chosen_core(core, network, cores), None
        for name in cores.given(chosen):
            raise ValueError(f"{name} means nothing with --network, whose core has its geometry")
    with working() as progress:
        emitted = emit_rtl(
            chosen,
            output,
            geometry=geometry,
            network=network,
            with_contents=with_contents,
            bus=bus,
            stream_bits=stream_bits,
            system=system,
            progress=progress,
        )
    show(emitted.summary(), emitted.rows(), title=f"{KNOWN[chosen].title} in {output}", as_json=as_json)
