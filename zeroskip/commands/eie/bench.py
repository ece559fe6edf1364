"""`zeroskip bench eie`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zeroskip.commands import options
from zeroskip.commands.console import progress_bar
from zeroskip.commands.eie import options as eie_options
from zeroskip.model.eie.geometry import EieGeometry

if TYPE_CHECKING:
    pass


def bench_command(
    layers: Annotated[str, typer.Option(help="Names of Table III, separated by commas.", show_default="all nine")] = "",
    pes: eie_options.Pes = 64,
    queue_depth: eie_options.QueueDepth = 8,
    index_bits: eie_options.IndexBits = 4,
    word_bits: eie_options.WordBits = 64,
    balance_load: eie_options.BalanceLoad = False,
    model_only: Annotated[bool, typer.Option("--model-only", help="The cycle model alone, not the RTL.")] = False,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """The nine layers of the EIE paper, at random with its densities, on the RTL.

    ratio: microseconds at 800 MHz to the "actual" ones of Table IV. utilisation: weights multiplied, of PEs x cycles.
    lost: the other cycles by cause, as fractions of all. reference: the same product on this machine, in microseconds.
    The exit code is 1 unless every output and every cycle is right.
    """
    from zeroskip.cosim.eie.bench import bench
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.eie.paper_layers import PAPER_LAYERS

    geometry = word_geometry(pes=pes, queue_depth=queue_depth, index_bits=index_bits, word_bits=word_bits)
    if not model_only:
        require_tools(Simulator.VERILATOR)
    names = [name.strip() for name in layers.split(",") if name.strip()]
    with progress_bar() as bar:
        task = bar.add_task("", total=len(names) or len(PAPER_LAYERS), completed=-1)
        result = bench(
            names,
            geometry,
            seed=seed,
            balance_load=balance_load,
            on_rtl=not model_only,
            progress=lambda name: bar.update(task, description=name, advance=1),
        )
    if as_json:
        print(json.dumps(result))
    else:
        _show(result, geometry, model_only)
    if not model_only and not all(row["golden_equal"] and row["cycle_model_equal"] for row in result["layers"]):
        raise typer.Exit(1)


def word_geometry(*, word_bits: int, index_bits: int, **sizes: int) -> EieGeometry:
    """The geometry whose words have `word_bits` bits. Raises ValueError where entries do not fill them."""
    entry_bits = index_bits + EieGeometry.code_bits
    if word_bits % entry_bits:
        raise ValueError(f"word_bits must be a multiple of the {entry_bits} bits of an entry, not {word_bits}")
    return EieGeometry(index_bits=index_bits, entries_per_word=word_bits // entry_bits, **sizes)


def _show(result: dict[str, Any], geometry: EieGeometry, model_only: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from zeroskip.cosim.eie.record import ACTIVITIES

    table = Table(title=f"The paper's layers on {geometry.pes} PEs, queues of {geometry.queue_depth}")
    lost = "/".join(ACTIVITIES[1:])
    heads = ["layer", "cycles", "us", "paper", "ratio", "busy", "lost, %", "torch", "CSR", "equal"]
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index == 0 else "right", no_wrap=True)
    for row in result["layers"]:
        causes = [f"{100 * row['lost'][cause]:.0f}" if "lost" in row else "-" for cause in ACTIVITIES[1:]]
        table.add_row(
            row["name"],
            f"{row['cycles']:,}",
            f"{row['microseconds']:.1f}",
            f"{row['paper_actual']:.1f}",
            f"{row['ratio']:.3f}",
            f"{row['utilisation']:.1%}",
            "/".join(causes),
            f"{row['reference']['torch_dense']:,.0f}",
            f"{row['reference']['scipy_csr']:,.0f}",
            "-" if model_only else "yes" if row["golden_equal"] and row["cycle_model_equal"] else "NO",
        )
    Console().print(table)
    print(
        f'us at 800 MHz beside the paper\'s "actual"; lost: {lost}; torch (dense) and SciPy CSR: us on this machine\n'
        f"geometric means: ratio {result['geomean_ratio']:.3f}, utilisation {result['geomean_utilisation']:.1%}; "
        f"cycle model {result['model_seconds']:.2f} s, RTL {result['rtl_seconds']:.1f} s"
    )
