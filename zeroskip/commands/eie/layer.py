"""`zeroskip layer`."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.commands import options
from zeroskip.commands.console import require_writable, show
from zeroskip.commands.eie import options as eie_options
from zeroskip.commands.eie.bench import word_geometry
from zeroskip.model.eie.geometry import MEMORIES


def layer_command(
    file: Annotated[
        Path,
        typer.Argument(help="NPZ file: codebook (float32, 16), codes (uint8, outputs x inputs), activations, bias."),
    ],
    output: Annotated[Path | None, typer.Option(help="NPZ file to write the outputs to, float and raw.")] = None,
    pes: eie_options.Pes = 64,
    queue_depth: eie_options.QueueDepth = 8,
    index_bits: eie_options.IndexBits = 4,
    word_bits: eie_options.WordBits = 64,
    accumulator_bits: eie_options.AccumulatorBits = 32,
    product_shift: eie_options.ProductShift = 0,
    entry_words: eie_options.EntryWords = None,
    pointers: eie_options.Pointers = None,
    activation_rows: eie_options.ActivationRows = None,
    balance_load: eie_options.BalanceLoad = False,
    simulator: options.Simulator = "verilator",
    as_json: options.Json = False,
) -> None:
    """Run one layer, made elsewhere, on the RTL.

    The outputs must equal the golden model, the cycles the cycle model, and the distance from the float product may not
    exceed its bound; otherwise the exit code is 1.
    """
    import numpy as np

    from zeroskip.cosim.eie.layer import run_layer
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.eie.layer_npz import load_layer
    from zeroskip.model.files import save_npz

    start = time.monotonic()
    require_tools(Simulator(simulator))
    if output is not None:
        require_writable(output, file)
    layer = load_layer(file)
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
    fit = [field for field in MEMORIES if field not in given]
    result = run_layer(layer, geometry, fit=fit, balance_load=balance_load, simulator=Simulator(simulator))
    verification = result.verification
    if output is not None:
        save_npz(output, outputs=result.outputs, raw=verification.raw[0], cycles=verification.cycles[0])
    summary: dict[str, Any] = {
        "file": str(file),
        "outputs": result.outputs.tolist(),
        "raw": verification.raw[0].tolist(),
        "cycles": int(verification.cycles[0]),
        "utilisation": verification.run.utilisation,
        "max_difference": result.difference,
        "bound": result.bound,
        "within_bound": result.within,
        "mismatches": verification.mismatches,
        "cycle_model_equal": verification.cycle_model_equal,
        "saturated": verification.saturated,
        "geometry": dataclasses.asdict(result.network.geometry),
        "seconds": time.monotonic() - start,
    }
    rows = [
        ("outputs, inputs", f"{layer.codes.shape[0]:,}, {layer.codes.shape[1]:,}"),
        ("weights", f"{np.count_nonzero(layer.codes):,} ({np.count_nonzero(layer.codes) / layer.codes.size:.1%})"),
        ("greatest difference", f"{result.difference:.3g} from the float product, {result.bound:.3g} allowed"),
        *verification.rows()[1:],
    ]
    show(summary, rows, title=f"{file.name} on the EIE array", as_json=as_json)
    if not (verification.equal and result.within):
        raise typer.Exit(1)
