"""Commands of the cycle models: `zeroskip sweep eie`, which redraws the EIE paper's figures with this design."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zeroskip.commands import options
from zeroskip.commands.console import progress_bar, show

if TYPE_CHECKING:
    from zeroskip.model.eie.paper_layers import PaperLayer
    from zeroskip.model.eie.sweep_plots import Result


def _chosen(layers: str) -> list[PaperLayer]:
    """The layers of a list of names with commas, all of them for an empty one, in the order of the paper's table."""
    from zeroskip.model.eie.paper_layers import PAPER_LAYERS

    if not layers:
        return [*PAPER_LAYERS]
    known = {layer.name.lower(): layer for layer in PAPER_LAYERS}
    wanted = [name.strip() for name in layers.split(",")]
    if unknown := [name for name in wanted if name.lower() not in known]:
        raise ValueError(f"layers must be among {', '.join(x.name for x in PAPER_LAYERS)}, not {unknown[0]!r}")
    return [layer for layer in PAPER_LAYERS if layer.name.lower() in {name.lower() for name in wanted}]


def write(result: Result, output: Path) -> list[Path]:
    """Writes sweeps.json and the plots into `output`, and the page beside it, `output`.md."""
    from zeroskip.model.eie.sweep_page import page
    from zeroskip.model.eie.sweep_plots import write_plots

    output.mkdir(parents=True, exist_ok=True)
    data, text = output / "sweeps.json", output.with_name(f"{output.name}.md")
    data.write_text(_json(result))
    plots = write_plots(result, output)
    text.write_text(page(result, output.name))
    return [data, *plots, text]


def _json(result: Result) -> str:
    """JSON with a row a line, so that two versions can be compared."""
    fields = []
    for key, value in result.items():
        text = json.dumps(value)
        if isinstance(value, list):
            text = "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n ]"
        fields.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def sweep_command(
    layers: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help="Layers of the paper's Table III, separated by commas.", show_default="all nine"
        ),
    ] = "",
    output: Annotated[
        Path, typer.Option(help="Folder for plots and data; the page stands beside it, under its name.")
    ] = Path("docs/sweeps"),
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes, 2 GB each.", show_default="one a core, at most 4")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Redraw the EIE paper's figures 8, 9, 11, 12, 13 with this design, and storage against index bits.

    Queue depth 1 to 256, PEs 1 to 256, words of 32 to 512 bits, index bits 2 to 8: with the exact cycle model, on
    random layers of the paper's sizes and densities.
    """
    from zeroskip.model.eie.sweeps import steps, sweep

    start = time.monotonic()
    chosen = _chosen(layers)
    # Before the minutes of work rather than after them.
    output.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar:
        task = bar.add_task("sweeps", total=steps(chosen))
        workers = processes or min(os.cpu_count() or 1, 4)
        result = sweep(chosen, seed=seed, processes=workers, advance=lambda: bar.advance(task))
    written = write(result, output)

    mean = result["geomean"]
    rows = [
        (f"load balance, queue depth {row['queue_depth']}", f"{row['utilisation']:.1%}") for row in mean["queue_depth"]
    ]
    rows += [(f"words read, {row['word_bits']} bits wide", f"{row['reads']:,.0f}") for row in mean["word_bits"]]
    rows += [(f"speed-up, {row['pes']} PEs", f"{row['speedup']:.1f}") for row in mean["pes"]]
    rows += [(f"Mbit, {row['index_bits']} index bits", f"{row['total_bits'] / 1e6:.1f}") for row in mean["index_bits"]]
    rows += [("written", str(path)) for path in written]
    summary = {**result, "written": [str(path) for path in written], "seconds": time.monotonic() - start}
    show(summary, rows, title=f"EIE, geometric means of {len(chosen)} layers", as_json=as_json)
