"""`zeroskip fpga run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.fpga.run import RunSettings, run
from zeroskip.commands import options
from zeroskip.commands.console import show, working

_DEFAULT = RunSettings()


def run_command(
    network: Annotated[Path, typer.Argument(help="A network from `zeroskip compile` or `zeroskip fpga build`.")],
    data: options.Samples,
    port: Annotated[
        str,
        typer.Option(
            metavar="PORT|sim|sim-fast",
            help="Serial port of the board, such as /dev/ttyUSB0; sim: a simulated board, at its serial pins; "
            "sim-fast: the same without the serial line.",
        ),
    ],
    baud: Annotated[int, typer.Option(min=1, help="Bits a second of the line.")] = _DEFAULT.baud,
    clock: Annotated[
        float, typer.Option(help="Clock of a simulated board in MHz. Other boards tell their own.")
    ] = _DEFAULT.clock,
    limit: Annotated[int | None, typer.Option(min=1, help="Run only this many samples, from the first.")] = None,
    saturate: Annotated[bool, typer.Option("--saturate", help="Clip inputs that do not fit, and count them.")] = False,
    outputs: Annotated[Path | None, typer.Option(help="NPZ file to write outputs and cycles to.")] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the random contents of a simulated board's memories.")
    ] = _DEFAULT.seed,
    as_json: options.Json = False,
) -> None:
    """Run a compiled network on a board.

    The network is loaded unless the board's bitstream contains it. The exit code is 1 unless every output bit equals
    the golden model and every cycle the cycle model.
    """
    with working() as progress:
        result = run(
            network,
            str(data),
            port=port,
            settings=RunSettings(baud=baud, clock=clock, limit=limit, saturate=saturate, seed=seed),
            outputs=outputs,
            progress=progress,
        )
    show(result.summary(), result.rows(), title=f"{network.name} on {port}, {result.seconds:.1f} s", as_json=as_json)
    if not result.equal:
        raise typer.Exit(1)
