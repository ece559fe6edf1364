"""A matrix product on the RTL of the N:M tile: `zeroskip mma`. Imports nothing heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zeroskip.api.checks import require_choices
from zeroskip.api.paths import require_writable, reserves
from zeroskip.api.tables import yes
from zeroskip.cosim.simulator import SimulatorName
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.model.mma.geometry import TileGeometry

CheckName = Literal["strict", "relaxed"]
"""Which metadata are legal: increasing indices, or distinct ones."""


@dataclass(frozen=True, kw_only=True)
class ProductSettings:
    """The sizes of the tile, which metadata are legal ("strict": increasing indices, "relaxed": distinct ones), and
    whether illegal metadata run too."""

    m: int = 4
    n: int = 4
    check: CheckName = "strict"
    allow_illegal: bool = False
    simulator: SimulatorName = "verilator"

    def __post_init__(self) -> None:
        require_choices(self, check=CheckName, simulator=SimulatorName)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProductResult:
    """A product of the `sizes` (M, N, K) on the RTL.

    `mismatches` of its `outputs` differ from the golden model; `expected_cycles` are those of the cycle model.
    `utilisation` is the fraction of the multipliers' work that was done, `illegal` whether the RTL's flag was raised.
    """

    file: Path
    output: Path
    sizes: tuple[int, int, int]
    geometry: TileGeometry
    dense: bool
    cycles: int
    expected_cycles: int
    utilisation: float
    outputs: int
    mismatches: int
    illegal: bool
    waveform: Path | None
    """The waveform of the first failing jobs."""
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every bit and every cycle is right."""
        return self.mismatches == 0 and self.cycles == self.expected_cycles

    @property
    def pattern(self) -> str:
        return "dense" if self.dense else str(self.geometry.pattern)

    def summary(self) -> dict[str, Any]:
        """What `zeroskip mma --json` prints."""
        m, n, k = self.sizes
        return {
            "file": str(self.file),
            "output": str(self.output),
            "m": m,
            "n": n,
            "k": k,
            "dtype": self.geometry.dtype,
            "out": self.geometry.out,
            "generation": self.geometry.generation,
            "pattern": self.pattern,
            "cycles": self.cycles,
            "cycle_model_equal": self.cycles == self.expected_cycles,
            "utilisation": self.utilisation,
            "mismatches": self.mismatches,
            "illegal": self.illegal,
            "waveform": None if self.waveform is None else str(self.waveform),
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        geometry = self.geometry
        return [
            ("M x N x K", " x ".join(f"{size:,}" for size in self.sizes)),
            ("mode", f"{geometry.dtype} to {geometry.out}, {geometry.generation}, {self.pattern}"),
            ("tile", f"{geometry.m} x {geometry.n} units, {geometry.k} products per cycle each"),
            ("cycles", f"{self.cycles:,}"),
            ("cycles equal the cycle model", yes(self.cycles == self.expected_cycles)),
            ("utilisation of the multipliers", f"{self.utilisation:.1%}"),
            ("outputs that differ from the golden model", f"{self.mismatches:,} of {self.outputs:,}"),
            ("illegal metadata", "YES" if self.illegal else "no"),
            ("written to", str(self.output)),
            *([] if self.waveform is None else [("waveform", str(self.waveform))]),
        ]


@reserves("output")
def run_product(
    file: Path | str,
    *,
    settings: ProductSettings | None = None,
    output: Path | str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> ProductResult:
    """Run a matrix product, D = A B + C, on the RTL, and compare it with the golden model and the cycle model.

    `file` is an NPZ file of raw bits: a (M x K), or values and meta of a compressed A; b (K x N), c (M x N); and the
    texts dtype, out and generation. d, golden and cycles are written to `output`, an NPZ file; where it is None, to the
    file with the suffix .d.npz. Raises ValueError if the file is wrong or does not fit the tile, OSError where a
    file cannot be read or written.
    """
    start = time.monotonic()
    file = Path(file)
    output = Path(output or file.with_suffix(".d.npz"))
    settings = settings or ProductSettings()
    progress(Step(task="loading the operands"))
    import numpy as np

    from zeroskip.cosim.mma.play import verify_gemm
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.files import save_npz
    from zeroskip.model.mma.cycles import gemm_cycles, multiplier_utilisation
    from zeroskip.model.mma.gemm_npz import load_gemm

    simulator = Simulator(settings.simulator)
    require_tools(simulator)
    require_writable(output, file)
    product = load_gemm(file, m=settings.m, n=settings.n, check=settings.check, illegal=settings.allow_illegal)
    operand, geometry = product.operand, product.geometry
    progress(Step(task="running on the RTL"))
    checked = verify_gemm(
        operand,
        product.b,
        product.c,
        geometry,
        simulator=simulator,
        seed=seed,
        waveform=output.with_suffix(".vcd"),
        announce=lambda task: progress(Step(task=task)),
    )
    run = checked.run
    sizes = (operand.rows, product.b.shape[1], operand.columns)
    save_npz(output, d=run.d, golden=checked.golden, cycles=np.int64(run.cycles), illegal=np.bool_(run.illegal))
    return ProductResult(
        file=file,
        output=output,
        sizes=sizes,
        geometry=geometry,
        dense=operand.dense,
        cycles=run.cycles,
        expected_cycles=gemm_cycles(geometry, *sizes, dense=operand.dense),
        utilisation=multiplier_utilisation(geometry, *sizes, dense=operand.dense, cycles=run.cycles),
        outputs=run.d.size,
        mismatches=checked.mismatches,
        illegal=run.illegal,
        waveform=checked.waveform,
        seconds=time.monotonic() - start,
    )
