"""Matrix products on the RTL of the N:M tile: `zeroskip mma`. Imports nothing heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zeroskip.api.checks import require_settings, typed
from zeroskip.api.paths import require_writable, reserves
from zeroskip.api.records import beside_records, records_of, rows_of, summary_of
from zeroskip.api.tables import yes
from zeroskip.cosim.records import Records
from zeroskip.cosim.simulator import LoadName, SimulatorName
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.model.mma.geometry import TileGeometry

CheckName = Literal["strict", "relaxed"]
"""Which metadata are legal: increasing indices, or distinct ones."""


@dataclass(frozen=True, kw_only=True)
class ProductSettings:
    """The sizes of the tile, which metadata are legal ("strict": increasing indices, "relaxed": distinct ones), and
    whether illegal metadata run too. `load`: operands and results get into and out of the memories directly, or through
    the ports, which takes many cycles more."""

    m: int = 4
    n: int = 4
    check: CheckName = "strict"
    allow_illegal: bool = False
    simulator: SimulatorName = "verilator"
    load: LoadName = "direct"

    def __post_init__(self) -> None:
        require_settings(self, check=CheckName, simulator=SimulatorName, load=LoadName)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProductResult:
    """`products` of the `sizes` (M, N, K) on the RTL.

    `mismatches` of its `outputs` differ from the golden model; `expected_cycles` are those of the cycle model.
    `utilisation` is the fraction of the multipliers' work that was done, `illegal` whether the RTL's flag was raised.
    """

    file: Path
    output: Path
    products: int
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
    records: Records
    """Waveform, trace and page of the run."""
    sessions: tuple[Path, ...]
    """Sessions of GTKWave and Surfer beside the waveform."""
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
            "products": self.products,
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
            **summary_of(self.records, self.sessions),
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        geometry = self.geometry
        return [
            *([("independent products", f"{self.products:,}")] if self.products > 1 else []),
            ("M x N x K", " x ".join(f"{size:,}" for size in self.sizes)),
            ("mode", f"{geometry.dtype} to {geometry.out}, {geometry.generation}, {self.pattern}"),
            ("tile", f"{geometry.m} x {geometry.n} units, {geometry.k} products per cycle each"),
            ("cycles", f"{self.cycles:,}"),
            ("cycles equal the cycle model", yes(self.cycles == self.expected_cycles)),
            ("utilisation of the multipliers", f"{self.utilisation:.1%}"),
            ("outputs that differ from the golden model", f"{self.mismatches:,} of {self.outputs:,}"),
            ("illegal metadata", "YES" if self.illegal else "no"),
            ("written to", str(self.output)),
            *rows_of(self.records, self.sessions),
            *([] if self.waveform is None else [("waveform", str(self.waveform))]),
        ]


@typed
def run_product(
    file: Path | str,
    *,
    settings: ProductSettings | None = None,
    output: Path | str | None = None,
    waves: Path | str | None = None,
    from_cycle: int | None = None,
    cycles: int | None = None,
    trace: Path | str | None = None,
    viewer: Path | str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> ProductResult:
    """Run a matrix product, D = A B + C, on the RTL, and compare it with the golden model and the cycle model.

    `file` is an NPZ file of raw bits: a (M x K), or values and meta of a compressed A; b (K x N), c (M x N); and the
    texts dtype, out and generation. With one more axis, the first, of all matrices it is a batch of independent
    products: dot products are a (n x 1 x K), b (n x K x 1) and c (n x 1 x 1). d, golden and cycles are written to
    `output`, an NPZ file; where it is None, to the file with the suffix .d.npz. `waves` is a waveform to write (.fst or
    .vcd), of `cycles` cycles from `from_cycle` on where these are given, with sessions beside it, `trace` a JSON file
    of what happens in each cycle, and `viewer` an HTML page that plays the cycles: for these the products run once
    more. Raises ValueError if the file is wrong or does not fit the tile, OSError where a file cannot be read or
    written.
    """
    file = Path(file)
    output = Path(output or file.with_suffix(".d.npz"))
    return _run_product(
        file,
        settings or ProductSettings(),
        output=output,
        waves=waves,
        from_cycle=from_cycle,
        cycles=cycles,
        trace=trace,
        viewer=viewer,
        seed=seed,
        progress=progress,
    )


def _waveform(output: Path) -> Path:
    """The waveform of a failure, next to the output."""
    return output.with_suffix(".vcd")


@reserves("output", "waves", "trace", "viewer", beside=lambda path: [_waveform(path), *beside_records(path)])
def _run_product(
    file: Path,
    settings: ProductSettings,
    *,
    output: Path,
    waves: Path | str | None,
    from_cycle: int | None,
    cycles: int | None,
    trace: Path | str | None,
    viewer: Path | str | None,
    seed: int,
    progress: Progress,
) -> ProductResult:
    start = time.monotonic()
    progress(Step(task="loading the operands"))
    import numpy as np

    from zeroskip.cosim.mma.play import verify_gemms
    from zeroskip.cosim.mma.record import record_products, viewer_of
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.files import save_npz
    from zeroskip.model.mma.cycles import gemm_cycles, multiplier_utilisation
    from zeroskip.model.mma.gemm_npz import load_gemm

    simulator = Simulator(settings.simulator)
    require_tools(simulator)
    require_writable(output, file, suffix=".npz")
    records = records_of(
        simulator,
        file,
        waves=waves,
        from_cycle=from_cycle,
        cycles=cycles,
        trace=trace,
        viewer=viewer,
        failure=_waveform(output),
    )
    loaded = load_gemm(file, m=settings.m, n=settings.n, check=settings.check, illegal=settings.allow_illegal)
    products, geometry = loaded.products, loaded.geometry
    shown = None if records.viewer is None else viewer_of(products, geometry)
    progress(Step(task="running on the RTL"))
    checked, waveform = verify_gemms(
        products,
        geometry,
        simulator=simulator,
        load=settings.load,
        seed=seed,
        waveform=_waveform(output),
        announce=lambda task: progress(Step(task=task)),
        on_jobs=lambda done, total: progress(Step(task="running on the RTL", done=done, total=total, unit="jobs")),
    )
    sessions: tuple[Path, ...] = ()
    if records.wanted:
        sessions = record_products(
            products,
            geometry,
            records,
            name=file.name,
            viewer=shown,
            simulator=simulator,
            load=settings.load,
            seed=seed,
            progress=progress,
        )
    operand, b, _ = products[0]
    sizes = (operand.rows, b.shape[1], operand.columns)
    took = sum(one.run.cycles for one in checked)
    illegal = any(one.run.illegal for one in checked)
    d, golden = (np.stack(matrices) for matrices in ([one.run.d for one in checked], [one.golden for one in checked]))
    if not loaded.batched:
        d, golden = d[0], golden[0]
    save_npz(output, d=d, golden=golden, cycles=np.int64(took), illegal=np.bool_(illegal))
    once = gemm_cycles(geometry, *sizes, dense=operand.dense)
    return ProductResult(
        file=file,
        output=output,
        products=len(products),
        sizes=sizes,
        geometry=geometry,
        dense=operand.dense,
        cycles=took,
        expected_cycles=len(products) * once,
        utilisation=multiplier_utilisation(
            geometry, len(products) * operand.rows, *sizes[1:], dense=operand.dense, cycles=took
        ),
        outputs=d.size,
        mismatches=sum(one.mismatches for one in checked),
        illegal=illegal,
        waveform=waveform,
        records=records,
        sessions=sessions,
        seconds=time.monotonic() - start,
    )
