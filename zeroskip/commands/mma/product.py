"""`zeroskip mma`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zeroskip.commands import options
from zeroskip.commands.console import require_writable, show
from zeroskip.commands.mma import options as mma_options


def product_command(
    file: Annotated[
        Path,
        typer.Argument(
            help="NPZ file of raw bits: a (M x K), or values and meta (linear); b (K x N), c (M x N); "
            "dtype, out, generation."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="NPZ file to write d, golden and cycles to.", show_default="FILE with .d.npz")
    ] = None,
    m: mma_options.TileRows = 4,
    n: mma_options.TileColumns = 4,
    check: Annotated[
        Literal["strict", "relaxed"], typer.Option(help="Legal metadata: increasing indices, or distinct ones.")
    ] = "strict",
    allow_illegal: Annotated[
        bool, typer.Option("--allow-illegal", help="Run illegal metadata too: the RTL's flag tells of it.")
    ] = False,
    simulator: options.Simulator = "verilator",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Run a matrix product, D = A B + C, on the RTL of the N:M tile.

    dtype: fp16, bf16, tf32, e4m3, e5m2, int8 or int4. out: fp32 or fp16, int32 or int32_sat. generation: V100, A100,
    Ada or H100. Every bit must equal the golden model and the cycles the cycle model; otherwise the exit code is 1.
    """
    import numpy as np

    from zeroskip.cosim.mma.play import run_gemm
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.files import save_npz
    from zeroskip.model.mma.cycles import gemm_cycles, peak_rate
    from zeroskip.model.mma.gemm_npz import load_gemm
    from zeroskip.model.mma.golden import gemm

    start = time.monotonic()
    require_tools(Simulator(simulator))
    output = output or file.with_suffix(".d.npz")
    require_writable(output, file)
    product = load_gemm(file, m=m, n=n, check=check, illegal=allow_illegal)
    operand, geometry = product.operand, product.geometry
    run = run_gemm(operand, product.b, product.c, geometry, simulator=Simulator(simulator), seed=seed)
    golden = gemm(operand, product.b, product.c, geometry)
    sizes = (operand.rows, product.b.shape[1], operand.columns)
    expected = gemm_cycles(geometry, *sizes, dense=operand.dense)
    mismatches = int(np.count_nonzero(run.d != golden))
    save_npz(output, d=run.d, golden=golden, cycles=np.int64(run.cycles), illegal=np.bool_(run.illegal))
    summary: dict[str, Any] = {
        "file": str(file),
        "output": str(output),
        "m": sizes[0],
        "n": sizes[1],
        "k": sizes[2],
        "dtype": geometry.dtype,
        "out": geometry.out,
        "generation": geometry.generation,
        "pattern": "dense" if operand.dense else str(geometry.pattern),
        "cycles": run.cycles,
        "cycle_model_equal": run.cycles == expected,
        "rate": peak_rate(geometry, *sizes, dense=operand.dense, cycles=run.cycles),
        "mismatches": mismatches,
        "illegal": run.illegal,
        "seconds": time.monotonic() - start,
    }
    rows = [
        ("M x N x K", " x ".join(f"{size:,}" for size in sizes)),
        ("mode", f"{geometry.dtype} to {geometry.out}, {geometry.generation}, {summary['pattern']}"),
        ("tile", f"{geometry.m} x {geometry.n}, {geometry.k} products a cycle each"),
        ("cycles", f"{run.cycles:,} ({'as' if run.cycles == expected else 'NOT as'} the cycle model says)"),
        ("multipliers busy", f"{summary['rate']:.1%}"),
        ("outputs that differ from the golden model", f"{mismatches:,} of {run.d.size:,}"),
        ("illegal metadata", "YES" if run.illegal else "no"),
        ("written to", str(output)),
    ]
    show(summary, rows, title=f"{file.name} on the N:M tile", as_json=as_json)
    if mismatches or run.cycles != expected:
        raise typer.Exit(1)
