"""`zeroskip bench sparseconv`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.sparseconv.bench import PARTS, SCENES, Device, SparseconvBenchSettings, bench_sparseconv
from zeroskip.commands import options
from zeroskip.commands.console import finish, show_tables, working

_DEFAULT = SparseconvBenchSettings()


def bench_command(
    parts: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help=f"Parts to run, separated by commas: {', '.join(PARTS)}.", show_default="all"
        ),
    ] = "",
    scenes: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help=f"Scenes: {', '.join(SCENES)}. street and autzen are LiDAR scans that are downloaded once.",
        ),
    ] = ",".join(_DEFAULT.scenes),
    channels: Annotated[tuple[int, int], typer.Option(metavar="IN OUT", help="Channels of the layers.")] = (
        _DEFAULT.channels
    ),
    repeats: Annotated[int, typer.Option(help="Times of each step, of which the median counts.")] = _DEFAULT.repeats,
    device: Annotated[
        Device, typer.Option(help="Where scenes, network and growth run: peers run on a CPU only.")
    ] = _DEFAULT.device,
    widths: Annotated[
        str, typer.Option(metavar="N,...", help="Keys a cycle of the mapping units, powers of two up to 64.")
    ] = ",".join(map(str, _DEFAULT.widths)),
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PNG file to draw the figures in.", show_default="none")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Measure sparse convolution beside plain torch and other libraries, and the mapping unit beside the software.

    All that is compared runs in turn, in the same call. Peers (spconv, Open3D) run where they are installed, each in a
    process of its own; spconv with one thread, because it is wrong with two. The exit code is 1 unless all sums agree,
    all runs give equal bits, and the mapping unit finds the software's maps in the cycles of its model.
    """
    settings = SparseconvBenchSettings(
        parts=options.names(parts),
        scenes=options.names(scenes),
        channels=channels,
        repeats=repeats,
        device=device,
        widths=options.integers("widths", widths),
    )
    with working() as progress:
        result = bench_sparseconv(settings=settings, picture=picture, seed=seed, progress=progress)
    show_tables(result.summary(), result.tables(), result.notes(), as_json=as_json)
    finish(result.equal)
