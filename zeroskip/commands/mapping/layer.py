"""`zeroskip mapping`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.mapping.layer import MappingSettings, run_mapping
from zeroskip.commands import options
from zeroskip.commands.console import finish, show, working
from zeroskip.commands.mapping.options import Width
from zeroskip.model.cores import UNITS


def mapping_command(
    file: Annotated[
        Path,
        typer.Argument(
            help="NPZ file of integers: inputs (points x batch and coordinates), offsets (count x coordinates), and "
            "outputs (points) or strides (powers of two) where the outputs are not the inputs."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="NPZ file to write triples, outputs and cycles to.", show_default="FILE with .map.npz"),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="HTML page to write.", show_default="none")] = None,
    waves: options.Waves = None,
    from_cycle: options.FromCycle = None,
    cycles: options.Cycles = None,
    trace: options.Trace = None,
    viewer: options.Viewer = None,
    width: Width = MappingSettings.width,
    simulator: options.Simulator = "verilator",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Find the kernel map of a sparse convolution on the RTL of the mapping unit.

    The unit sorts the points, and finds every triple (offset, input, output) with an input at the place of the output
    plus the offset. The exit code is 1 unless every triple equals the golden model and the cycles equal the cycle
    model.
    """
    settings = MappingSettings(width=width, simulator=simulator)
    with working() as progress:
        result = run_mapping(
            file,
            settings=settings,
            output=output,
            report=report,
            waves=waves,
            from_cycle=from_cycle,
            cycles=cycles,
            trace=trace,
            viewer=viewer,
            seed=seed,
            progress=progress,
        )
    show(result.summary(), result.rows(), title=f"{file.name} on the {UNITS['mapping'].title}", as_json=as_json)
    finish(result.equal)
