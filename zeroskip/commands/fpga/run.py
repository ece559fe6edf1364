"""`zeroskip fpga run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.fpga.run import BoardRun, RunSettings, run
from zeroskip.api.mapping.board import BoardMap, BoardMapSettings, run_mapping_on_board
from zeroskip.commands import options
from zeroskip.commands.console import finish, show, working
from zeroskip.commands.core_options import CoreOptions, with_core_options
from zeroskip.commands.fpga.core import chosen_core
from zeroskip.model.cores import UNITS
from zeroskip.model.data.names import NAMES

_DEFAULT = RunSettings()


@with_core_options("RunOptions")
def run_command(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="A network from `zeroskip compile` or `zeroskip fpga build`; for the mapping unit, an NPZ file as "
            "`zeroskip mapping` takes."
        ),
    ],
    cores: CoreOptions,
    port: Annotated[
        str,
        typer.Option(
            metavar="PORT|sim|sim-usb|sim-fast",
            help="Serial port of the board, such as /dev/ttyUSB0, or /dev/ttyACM0 where the link goes over USB; sim: a "
            "simulated board, at its serial pins; sim-usb: at its two USB lines; sim-fast: without a line.",
        ),
    ],
    core: options.BoardCore = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME",
            help="What a network runs: an NPZ file with inputs, and labels if any, or the name of a data set: "
            f"{NAMES}.",
            show_default="none for --core mapping",
        ),
    ] = None,
    baud: Annotated[int, typer.Option(min=1, help="Bits a second of a serial line.")] = _DEFAULT.baud,
    clock: Annotated[
        float, typer.Option(help="Clock of a simulated board in MHz. Other boards tell their own.")
    ] = _DEFAULT.clock,
    limit: Annotated[int | None, typer.Option(min=1, help="Run only this many samples, from the first.")] = None,
    saturate: Annotated[bool, typer.Option("--saturate", help="Clip inputs that do not fit, and count them.")] = False,
    outputs: Annotated[
        Path | None,
        typer.Option(
            help="NPZ file to write outputs and cycles to; for the mapping unit triples, outputs and cycles.",
            show_default="none; FILE with .map.npz for --core mapping",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the random contents of a simulated board's memories.")
    ] = _DEFAULT.seed,
    as_json: options.Json = False,
) -> None:
    """Run a compiled network on a board, or find a kernel map on a board with a mapping unit.

    A network is loaded unless the board's bitstream contains it. The exit code is 1 unless every output bit, or every
    triple, equals the golden model, and every cycle the cycle model.
    """
    unit = chosen_core(core, None if core in UNITS else file, cores)
    result: BoardRun | BoardMap
    if unit in UNITS:
        for name in ("data", "limit", "saturate"):
            options.refuse(context, name, f"--core {unit}")
        points = BoardMapSettings(width=cores.of(unit).width, baud=baud, clock=clock, seed=seed)
        with working() as progress:
            result = run_mapping_on_board(file, port=port, settings=points, output=outputs, progress=progress)
    else:
        if data is None:
            raise ValueError("--data must be given: what the network runs")
        settings = RunSettings(baud=baud, clock=clock, limit=limit, saturate=saturate, seed=seed)
        with working() as progress:
            result = run(file, data, port=port, settings=settings, outputs=outputs, progress=progress)
    show(result.summary(), result.rows(), title=f"{file.name} on {port}, {result.seconds:.1f} s", as_json=as_json)
    finish(result.equal)
