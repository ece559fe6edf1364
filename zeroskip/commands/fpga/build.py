"""`zeroskip fpga build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.fpga.build import BuildSettings, build
from zeroskip.commands import options
from zeroskip.commands.console import show, working
from zeroskip.fpga.boards.named import BOARDS

_DEFAULT = BuildSettings()


def build_command(
    network: Annotated[Path, typer.Option(help="A network from `zeroskip compile`.")],
    board: Annotated[str, typer.Option(help=f"One of {', '.join(BOARDS)}.")],
    pes: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|auto", help="Processing elements of the EIE array, a power of two; auto: as many as fit."
        ),
    ] = str(_DEFAULT.pes),
    clock: Annotated[
        float | None, typer.Option(help="The core's clock in MHz.", show_default="the board's own")
    ] = _DEFAULT.clock,
    baud: Annotated[
        int | None, typer.Option(help="Bits a second of the serial line.", show_default="the board's own")
    ] = _DEFAULT.baud,
    allow_timing: Annotated[
        bool, typer.Option("--allow-timing", help="Write the bitstream though the clock is not reached.")
    ] = _DEFAULT.allow_timing,
    output: Annotated[Path | None, typer.Option(help="Bitstream to write.", show_default="NETWORK-BOARD.bit")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of place and route.")] = _DEFAULT.seed,
    as_json: options.Json = False,
) -> None:
    """Build a bitstream for a board, with the core of a compiled network.

    A network for the EIE array is inside the bitstream. It is laid out anew for the number of processing elements; its
    outputs stay the same in every bit. One for the N:M tile is loaded by `zeroskip fpga run`. A second build for the
    same board and the same sizes only replaces the contents of the memories, in seconds.
    """
    settings = BuildSettings(
        pes="auto" if pes == "auto" else _number(pes),
        clock=clock,
        baud=baud,
        allow_timing=allow_timing,
        seed=seed,
    )
    with working() as progress:
        built = build(network, board, settings=settings, output=output, progress=progress)
    show(built.summary(), built.rows(), title=f"{network.name} on {built.board.title}", as_json=as_json)


def _number(pes: str) -> int:
    if not pes.isdecimal():
        raise ValueError(f"pes must be a power of two from 1 to 256, or auto, not {pes!r}")
    return int(pes)
