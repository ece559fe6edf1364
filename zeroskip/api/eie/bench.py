"""The layers of the EIE paper on the array: `zeroskip bench eie`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zeroskip.api.checks import require_settings
from zeroskip.api.inputs import in_turn
from zeroskip.api.tables import Table, yes
from zeroskip.cosim.simulator import LoadName
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.progress import Progress, Step, silent


@dataclass(frozen=True, kw_only=True)
class EieBenchSettings:
    """The `layers` by their names in the paper's Table III, all nine if there are none; the array; whether rows are
    assigned to PEs so that the load is balanced; whether only the cycle model runs, not the RTL; and whether the
    memories hold the matrices when the simulation starts, or they go through the load port."""

    layers: tuple[str, ...] = ()
    geometry: EieGeometry = field(default_factory=EieGeometry)
    balance_load: bool = False
    model_only: bool = False
    load: LoadName = "direct"

    def __post_init__(self) -> None:
        require_settings(self, load=LoadName)


@dataclass(frozen=True, kw_only=True, eq=False)
class EieBenchResult:
    """`figures` as `zeroskip bench eie --json` prints them; `equal` where every output and every cycle is right."""

    figures: dict[str, Any]
    settings: EieBenchSettings

    @property
    def equal(self) -> bool:
        return self.settings.model_only or all(map(_equal, self.figures["layers"]))

    def summary(self) -> dict[str, Any]:
        """What `zeroskip bench eie --json` prints."""
        return self.figures

    def tables(self) -> list[Table]:
        """The same for people."""
        geometry = self.settings.geometry
        heads = ["layer", "cycles", "us", "paper", "ratio", "utilisation", "lost, %", "torch", "CSR", "equal"]
        rows = [
            (
                row["name"],
                f"{row['cycles']:,}",
                f"{row['microseconds']:.1f}",
                f"{row['paper_actual']:.1f}",
                f"{row['ratio']:.3f}",
                f"{row['utilisation']:.1%}",
                "/".join(f"{100 * share:.0f}" for share in row["lost"].values()) if "lost" in row else "-",
                f"{row['reference']['torch_dense']:,.0f}",
                f"{row['reference']['scipy_csr']:,.0f}",
                "-" if self.settings.model_only else yes(_equal(row)),
            )
            for row in self.figures["layers"]
        ]
        title = f"Layers of the EIE paper on {geometry.pes} PEs with queues of {geometry.queue_depth}"
        return [Table(title=title, heads=heads, rows=rows)]

    def notes(self) -> list[str]:
        """What the columns mean, and the means."""
        figures = self.figures
        lost = next((f"lost: {'/'.join(row['lost'])}; " for row in figures["layers"] if "lost" in row), "")
        return [
            f'us: at 800 MHz; paper: its "actual" ones; {lost}torch (dense) and SciPy CSR: us on this machine',
            f"geometric means: ratio {figures['geomean_ratio']:.3f}, utilisation {figures['geomean_utilisation']:.1%}; "
            f"cycle model {figures['model_seconds']:.2f} s, RTL {figures['rtl_seconds']:.1f} s",
        ]


def bench_eie(
    *, settings: EieBenchSettings | None = None, seed: int = 0, progress: Progress = silent
) -> EieBenchResult:
    """Run random layers with the sizes and densities of the EIE paper (Han et al., ISCA 2016, Tables III and IV).

    Raises ValueError for an unknown layer, or one that does not fit the geometry.
    """
    settings = settings or EieBenchSettings()
    progress(Step(task="starting"))
    from zeroskip.cosim.eie.bench import bench
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.model.eie.paper_layers import PAPER_LAYERS

    if not settings.model_only:
        require_tools(Simulator.VERILATOR)
    figures = bench(
        list(settings.layers),
        settings.geometry,
        seed=seed,
        balance_load=settings.balance_load,
        on_rtl=not settings.model_only,
        load=settings.load,
        progress=in_turn(progress, len(settings.layers) or len(PAPER_LAYERS), "layers"),
    )
    return EieBenchResult(figures=figures, settings=settings)


def _equal(row: dict[str, Any]) -> bool:
    return bool(row["golden_equal"] and row["cycle_model_equal"])
