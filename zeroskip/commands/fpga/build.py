"""`zeroskip fpga build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.api.fpga.bitstream import MOST_SEED
from zeroskip.api.fpga.build import BuildSettings, build
from zeroskip.api.mapping.build import BoardMapperSettings, build_mapper
from zeroskip.commands import options
from zeroskip.commands.console import show, working
from zeroskip.commands.core_options import KNOWN, CoreOptions, with_core_options
from zeroskip.commands.fpga.core import chosen_core
from zeroskip.fpga.boards.named import BOARDS

_DEFAULT = BuildSettings()


@with_core_options("BuildOptions")
def build_command(
    context: typer.Context,
    board: Annotated[str, typer.Option(help=f"One of {', '.join(BOARDS)}.")],
    cores: CoreOptions,
    network: Annotated[
        Path | None, typer.Option(help="A network from `zeroskip compile`.", show_default="none for --core mapping")
    ] = None,
    core: options.BoardCore = None,
    pes: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|auto",
            help="Processing elements of the EIE array, a power of two; auto: those that take the fewest cycles.",
        ),
    ] = str(_DEFAULT.pes),
    clock: Annotated[
        float | None, typer.Option(help="The core's clock in MHz.", show_default="one that such cores have reached")
    ] = _DEFAULT.clock,
    carrier: Annotated[
        str | None,
        typer.Option(
            metavar="uart|usb",
            help="What carries the link: a serial line, or USB where the FPGA itself is at a USB plug.",
            show_default="the board's own",
        ),
    ] = _DEFAULT.carrier,
    baud: Annotated[
        int | None, typer.Option(help="Bits a second of the serial line.", show_default="the board's own")
    ] = _DEFAULT.baud,
    allow_timing: Annotated[
        bool, typer.Option("--allow-timing", help="Write the bitstream though the clock is not reached.")
    ] = _DEFAULT.allow_timing,
    output: Annotated[
        Path | None,
        typer.Option(help="Bitstream to write.", show_default="NETWORK-BOARD.bit or mapping-WIDTH-BOARD.bit"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of place and route.")] = _DEFAULT.seed,
    as_json: options.Json = False,
) -> None:
    """Build a bitstream for a board, with the core of a compiled network, or with the mapping unit.

    A network for the EIE array is inside the bitstream. It is laid out anew for the number of processing elements; its
    outputs stay the same in every bit. One for the N:M tile is loaded by `zeroskip fpga run`, and so are the points for
    the mapping unit. A second build for the same board and the same sizes only replaces the contents of the memories,
    in seconds.
    """
    unit = chosen_core(core, network, cores)
    common: dict[str, Any] = {
        "clock": clock,
        "carrier": carrier,
        "baud": baud,
        "allow_timing": allow_timing,
        "seed": seed,
    }
    if network is None:
        options.refuse(context, "pes", f"--core {unit}")
        mapper = BoardMapperSettings(**common, width=cores.of(unit).width)
        with working() as progress:
            built = build_mapper(board, settings=mapper, output=output, progress=progress)
    else:
        settings = BuildSettings(**common, pes="auto" if pes == "auto" else _number(pes))
        with working() as progress:
            built = build(network, board, settings=settings, output=output, progress=progress)
    what = KNOWN[unit].title if network is None else network.name
    show(built.summary(), built.rows(), title=f"{what} on {built.board.title}", as_json=as_json)


def _number(pes: str) -> int:
    if not pes.isdecimal():
        raise ValueError(f"pes must be a power of two from 1 to 256, or auto, not {pes!r}")
    return int(pes)
