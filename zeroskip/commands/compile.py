"""Commands that need no simulator: `zeroskip train` and `zeroskip compile`."""

from __future__ import annotations

import enum
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from zeroskip.commands import options
from zeroskip.commands.console import require_writable, show
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.mma.pattern import Pattern


class Core(enum.Enum):
    EIE = "eie"
    MMA = "mma"


def compile_command(
    context: typer.Context,
    network: options.Network,
    data: options.Samples,
    output: Annotated[Path, typer.Option(help="The compiled network to write (.zs).")],
    core: Annotated[Core, typer.Option(help="The EIE array, or the N:M sparse tile.")] = Core.EIE,
    weights: options.Weights = None,
    epochs: Annotated[
        int, typer.Option(min=0, help="Epochs of dense training before pruning; on the tile, as many again after it.")
    ] = 0,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of dense training; for the EIE, retraining takes a tenth of it.")
    ] = 0.05,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Training state, to go on from where it was cut short. [default: OUTPUT.ckpt]"),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Prune to this fraction of the weights, retraining; without, zeros stay as they are.",
            rich_help_panel=options.EIE_PANEL,
        ),
    ] = None,
    pes: options.Pes = 8,
    index_bits: options.IndexBits = 4,
    queue_depth: options.QueueDepth = 8,
    entries_per_word: options.EntriesPerWord = 8,
    accumulator_bits: options.AccumulatorBits = 32,
    product_shift: options.ProductShift = 0,
    entry_words: options.EntryWords = None,
    pointers: options.Pointers = None,
    activation_rows: options.ActivationRows = None,
    layers: options.Layers = None,
    balance_load: options.BalanceLoad = True,
    pattern: options.NmPattern = "2:4",
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Prune to the pattern and train again; without, layers that obey it already run sparse.",
            rich_help_panel=options.TILE_PANEL,
        ),
    ] = False,
    method: Annotated[
        Literal["magnitude", "sr-ste"],
        typer.Option(
            help="Prune the trained weights and train again, or train sparse from the start.",
            rich_help_panel=options.TILE_PANEL,
        ),
    ] = "magnitude",
    permute: Annotated[
        bool,
        typer.Option(
            help="Bring channels into a better order before pruning by magnitude: seconds to a minute a layer.",
            rich_help_panel=options.TILE_PANEL,
        ),
    ] = False,
    dtype: options.TileFormat = "fp16",
    generation: options.Generation = "A100",
    m: options.TileRows = 4,
    n: options.TileColumns = 4,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Compile a network for the EIE array, or for the N:M sparse tile.

    Linear, Conv2d, ReLU, max and average pooling, Flatten, Dropout and BatchNorm are understood. For the EIE, the
    weights of each layer are shared among 15 values and zero; with --density they are pruned first, and fine-tuned on
    the labelled data; the first 5,000 samples say how large values get. On the tile, layers whose weights obey the
    pattern run sparse where that is faster, the others dense; with --prune all are made to obey it first.
    """
    from zeroskip.commands.compile_eie import compile_eie
    from zeroskip.commands.compile_mma import compile_mma
    from zeroskip.model.loading import load_network
    from zeroskip.model.mma.geometry import mode_geometry
    from zeroskip.model.pruning.nm_presets import user_settings

    start = time.monotonic()
    options.refuse_panel(context, options.TILE_PANEL if core is Core.EIE else options.EIE_PANEL, f"--core {core.value}")
    require_writable(output, Path(data))
    checkpoint = checkpoint or Path(f"{output}.ckpt")
    if core is Core.EIE:
        sizes = {
            "entry_words": entry_words,
            "pointers": pointers,
            "activation_rows": activation_rows,
            "layers": layers,
        }
        array = EieGeometry(
            pes=pes,
            index_bits=index_bits,
            queue_depth=queue_depth,
            entries_per_word=entries_per_word,
            accumulator_bits=accumulator_bits,
            product_shift=product_shift,
            **({"activation_rows": 64} | {field: size for field, size in sizes.items() if size is not None}),
        )
    else:
        nm = Pattern.parse(pattern)
        if nm.dense:
            raise ValueError(f"--pattern must be an N:M pattern that prunes, not {pattern!r}")
        tile = mode_geometry(
            generation=generation,
            dtype=dtype,
            out="fp32",
            m=m,
            n=n,
            keep=nm.keep,
            group=nm.group,
            pair=nm.pair,
        )
        if not prune and (epochs or method != "magnitude" or permute):
            raise ValueError("--epochs, --method and --permute need --prune")
        settings = user_settings(pattern=nm, epochs=epochs, learning_rate=learning_rate, method=method, permute=permute)
    module, _ = load_network(network, weights)
    if core is Core.EIE:
        summary, rows = compile_eie(
            module,
            data=data,
            output=output,
            density=density,
            epochs=epochs,
            learning_rate=learning_rate,
            checkpoint=checkpoint,
            geometry=array,
            fit=[field for field in MEMORIES if sizes[field] is None],
            balance_load=balance_load,
            seed=seed,
        )
    else:
        summary, rows = compile_mma(
            module,
            data=data,
            output=output,
            prune=settings if prune else None,
            checkpoint=checkpoint,
            geometry=tile,
            seed=seed,
        )
    summary = {"output": str(output), "core": core.value, **summary, "seconds": time.monotonic() - start}
    show(summary, [*rows, ("written", str(output))], title=f"{network} compiled", as_json=as_json)
