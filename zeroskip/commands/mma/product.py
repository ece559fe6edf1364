"""`zeroskip mma`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zeroskip.api.mma.product import ProductSettings, run_product
from zeroskip.commands import options
from zeroskip.commands.console import finish, show, working
from zeroskip.commands.mma import options as mma_options
from zeroskip.model.cores import CORES


def product_command(
    file: Annotated[
        Path,
        typer.Argument(
            help="NPZ file of raw bits: a (M x K), or values and meta (linear); b (K x N), c (M x N); "
            "dtype, out, generation. With one more axis, the first: a batch of independent products."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="NPZ file to write d, golden and cycles to.", show_default="FILE with .d.npz")
    ] = None,
    m: mma_options.TileRows = ProductSettings.m,
    n: mma_options.TileColumns = ProductSettings.n,
    check: Annotated[
        Literal["strict", "relaxed"], typer.Option(help="Legal metadata: increasing indices, or distinct ones.")
    ] = "strict",
    allow_illegal: Annotated[
        bool, typer.Option("--allow-illegal", help="Also run illegal metadata; the RTL's flag reports them.")
    ] = False,
    waves: options.Waves = None,
    from_cycle: options.FromCycle = None,
    cycles: options.Cycles = None,
    trace: options.Trace = None,
    viewer: options.Viewer = None,
    simulator: options.Simulator = "verilator",
    load: options.Load = ProductSettings.load,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Run a matrix product, D = A B + C, on the RTL of the N:M tile.

    dtype: fp16, bf16, tf32, e4m3, e5m2, int8 or int4. out: fp32 or fp16, int32 or int32_sat. generation: V100, A100,
    Ada, H100 or B200; for fp8 also H100-mma or H100-wgmma. The exit code is 1 unless every bit equals the golden model
    and the cycles equal the cycle model.
    """
    settings = ProductSettings(m=m, n=n, check=check, allow_illegal=allow_illegal, simulator=simulator, load=load)
    with working() as progress:
        result = run_product(
            file,
            settings=settings,
            output=output,
            waves=waves,
            from_cycle=from_cycle,
            cycles=cycles,
            trace=trace,
            viewer=viewer,
            seed=seed,
            progress=progress,
        )
    show(result.summary(), result.rows(), title=f"{file.name} on the {CORES['mma'].title}", as_json=as_json)
    finish(result.equal)
