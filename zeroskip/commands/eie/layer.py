"""`zeroskip layer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zeroskip.api.eie.layer import LayerSettings, run_layer
from zeroskip.commands import options
from zeroskip.commands.console import finish, show, working
from zeroskip.commands.eie import options as eie_options
from zeroskip.model.cores import CORES
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry, word_geometry


def layer_command(
    file: Annotated[
        Path,
        typer.Argument(help="NPZ file: codebook (float32, 16), codes (uint8, outputs x inputs), activations, bias."),
    ],
    output: Annotated[
        Path | None, typer.Option(help="NPZ file to write the outputs to, as floats and raw bits.")
    ] = None,
    pes: eie_options.Pes = EieGeometry.pes,
    queue_depth: eie_options.QueueDepth = EieGeometry.queue_depth,
    index_bits: eie_options.IndexBits = EieGeometry.index_bits,
    word_bits: eie_options.WordBits = 64,
    accumulator_bits: eie_options.AccumulatorBits = EieGeometry.accumulator_bits,
    product_shift: eie_options.ProductShift = EieGeometry.product_shift,
    entry_words: eie_options.EntryWords = None,
    pointers: eie_options.Pointers = None,
    activation_rows: eie_options.ActivationRows = None,
    balance_load: eie_options.BalanceLoad = LayerSettings.balance_load,
    waves: options.Waves = None,
    from_cycle: options.FromCycle = None,
    cycles: options.Cycles = None,
    trace: options.Trace = None,
    viewer: options.Viewer = None,
    simulator: options.Simulator = "verilator",
    load: options.Load = LayerSettings.load,
    as_json: options.Json = False,
) -> None:
    """Run a layer from a file on the RTL of the EIE array.

    The exit code is 1 unless the outputs equal the golden model, the cycles equal the cycle model, and the outputs are
    within the error bound of the float product.
    """
    sizes = {"entry_words": entry_words, "pointers": pointers, "activation_rows": activation_rows}
    given = {field: size for field, size in sizes.items() if size is not None}
    geometry = word_geometry(
        word_bits=word_bits,
        index_bits=index_bits,
        pes=pes,
        queue_depth=queue_depth,
        accumulator_bits=accumulator_bits,
        product_shift=product_shift,
        **given,
    )
    settings = LayerSettings(
        geometry=geometry,
        fit=tuple(field for field in MEMORIES if field not in given),
        balance_load=balance_load,
        simulator=simulator,
        load=load,
    )
    with working() as progress:
        result = run_layer(
            file,
            settings=settings,
            output=output,
            waves=waves,
            from_cycle=from_cycle,
            cycles=cycles,
            trace=trace,
            viewer=viewer,
            progress=progress,
        )
    show(result.summary(), result.rows(), title=f"{file.name} on the {CORES['eie'].title}", as_json=as_json)
    finish(result.equal)
