"""`zeroskip bench mma`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zeroskip.commands import options
from zeroskip.commands.console import progress_bar
from zeroskip.commands.mma import options as mma_options

if TYPE_CHECKING:
    from rich.table import Table

PARTS = ("gemms", "luts", "permutation", "formats")


def bench_command(
    parts: Annotated[
        str, typer.Option(help=f"Which of {', '.join(PARTS)}, separated by commas.", show_default="all")
    ] = "",
    blocks: Annotated[int, typer.Option(min=1, help="Blocks of each format on the RTL.")] = 100_000,
    m: mma_options.TileRows = 4,
    n: mma_options.TileColumns = 4,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """The N:M tile: 2:4 against dense on the same multipliers, its look-up tables, and every format against the golden
    model.

    speedup: dense to sparse cycles. rate: products of kept values, of all that the multipliers could make.
    lut_overhead: look-up tables (ECP5) of the fp16 tile above those of a dense-only one. permutation: magnitude that
    2:4 keeps with and without. The exit code is 1 unless every bit and every cycle is right.
    """
    from zeroskip.cosim.mma.bench import NETWORKS, SIZES, formats, networks, products
    from zeroskip.cosim.mma.formats import modes
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.fpga.mma.tile_luts import TILES, luts
    from zeroskip.model.mma.geometry import mode_geometry
    from zeroskip.model.pruning.permutation_bench import permutation_row

    chosen = tuple(name.strip() for name in parts.split(",") if name.strip()) or PARTS
    if unknown := [name for name in chosen if name not in PARTS]:
        raise ValueError(f"parts must be some of {', '.join(PARTS)}, not {unknown[0]!r}")
    require_tools(Simulator.VERILATOR)
    geometry = mode_geometry(generation="A100", dtype="fp16", out="fp32", m=m, n=n)
    result: dict[str, Any] = {}
    steps = {
        "gemms": len(SIZES) + sum(map(len, NETWORKS.values())),
        "luts": 2 * TILES,
        "permutation": 1,
        "formats": len(modes()),
    }
    with progress_bar() as bar:
        task = bar.add_task("", total=sum(steps[part] for part in chosen), completed=-1)

        def progress(name: str) -> None:
            bar.update(task, description=name, advance=1)

        if "gemms" in chosen:
            found = products(geometry, seed, progress)
            result["gemms"] = [dataclasses.asdict(product) for product in found]
            result["networks"] = networks(found)
        if "luts" in chosen:
            result["luts"] = luts(progress)
            result["lut_overhead"] = result["luts"][0]["overhead"]
        if "permutation" in chosen:
            progress("permutation")
            result["permutation"] = permutation_row()
        if "formats" in chosen:
            result["formats"] = formats(blocks, seed, progress)
    if as_json:
        print(json.dumps(result))
    else:
        _show(result, f"{geometry.m} x {geometry.n} x {geometry.k}")
    wrong = any(row["mismatches"] for row in result.get("formats", []))
    if wrong or not all(row["equal"] for row in result.get("gemms", [])):
        raise typer.Exit(1)


def _show(result: dict[str, Any], tile: str) -> None:
    from rich.console import Console

    if "gemms" in result:
        table = _table(
            f"2:4 on {tile} multipliers, fp16", "product", "dense cycles", "2:4 cycles", "speedup", "rate", "equal"
        )
        for row in result["gemms"] + result["networks"]:
            table.add_row(
                row["name"],
                f"{row['dense_cycles']:,}",
                f"{row['sparse_cycles']:,}",
                f"{row['speedup']:.3f}",
                f"{row['rate']:.1%}" if "rate" in row else "",
                ("yes" if row["equal"] else "NO") if "equal" in row else "",
            )
        Console().print(table)
    if "luts" in result:
        table = _table("ECP5 after synthesis", "format", "LUTs, 2:4", "LUTs, dense only", "overhead", "multipliers")
        for row in result["luts"]:
            table.add_row(
                row["format"],
                f"{row['sparse']:,}",
                f"{row['dense']:,}",
                f"{row['overhead']:.1%}",
                f"{row['multipliers']:,}",
            )
        Console().print(table)
    if "permutation" in result:
        found, published = result["permutation"], result["permutation"]["published"]
        print(
            f"{found['rows']} x {found['columns']}: 2:4 keeps {found['without']:.1f} of {found['total']:.1f}, with "
            f"channels permuted {found['with']:.1f}\n(efficacy {found['efficacy']:.1%}) in {found['seconds']:.2f} s; "
            f"published: {published['kept']} ({published['efficacy']:.1%}) in {published['seconds']} s"
        )
    if "formats" in result:
        table = _table("RTL against the golden model", "format", "generation", "blocks", "sums that differ")
        for row in result["formats"]:
            table.add_row(row["format"], row["generation"], f"{row['blocks']:,}", f"{row['mismatches']:,}")
        Console().print(table)


def _table(title: str, *heads: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index == 0 else "right", no_wrap=True)
    return table
