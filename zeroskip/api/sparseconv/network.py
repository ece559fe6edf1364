"""Sparse networks in int8 on the RTL of the mapping unit and the N:M tile: `zeroskip sparseconv`. Imports nothing
heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_settings, typed
from zeroskip.api.tables import Table, yes
from zeroskip.cosim.simulator import SimulatorName
from zeroskip.model.progress import Progress, Step, silent

if TYPE_CHECKING:
    from zeroskip.cosim.sparseconv.play import SparseLayerRun


@dataclass(frozen=True, kw_only=True)
class SparseNetworkSettings:
    """How many keys the mapping unit merges in a cycle (a power of two up to 64), the rows `m` and columns `n` of the
    tile, and the simulator."""

    width: int = 8
    m: int = 4
    n: int = 4
    simulator: SimulatorName = "verilator"

    def __post_init__(self) -> None:
        require_settings(self, simulator=SimulatorName)
        if not 1 <= self.width <= 64 or self.width & (self.width - 1):
            raise ValueError(f"width must be a power of two from 1 to 64, not {self.width}")
        for name in ("m", "n"):
            if not 1 <= getattr(self, name) <= 64:
                raise ValueError(f"{name} must be from 1 to 64, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseNetworkResult:
    """The layers of a network on the RTL, compared with torch's int8 layers, the golden models and the cycle models."""

    file: Path
    settings: SparseNetworkSettings
    layers: tuple[SparseLayerRun, ...]
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every number and every cycle is right."""
        return all(layer.equal for layer in self.layers)

    def summary(self) -> dict[str, Any]:
        """What `zeroskip sparseconv --json` prints."""
        rows = [layer.summary() for layer in self.layers]
        return {
            "file": str(self.file),
            "width": self.settings.width,
            "m": self.settings.m,
            "n": self.settings.n,
            "layers": rows,
            **{name: sum(row[name] for row in rows) for name in ("mapping_cycles", "tile_cycles")},
            **{name: sum(row[name] for row in rows) for name in ("values", "mismatches")},
            "equal": self.equal,
            "model_equal": all(layer.model_equal for layer in self.layers),
            "seconds": self.seconds,
        }

    def tables(self) -> list[Table]:
        """The same for people."""
        layers, runs = [], []
        for number, layer in enumerate(self.layers):
            row = layer.summary()
            layers.append(
                (
                    f"{number}",
                    f"{row['in_channels']} to {row['out_channels']}",
                    " x ".join(map(str, row["size"])),
                    ", ".join(map(str, row["stride"] if len(set(row["stride"])) > 1 else row["stride"][:1])),
                    row["pattern"],
                    f"{row['inputs']:,} to {row['outputs']:,}",
                    f"{row['pairs']:,}",
                )
            )
            runs.append(
                (
                    f"{number}",
                    f"{row['mapping_cycles']:,}",
                    f"{row['tile_cycles']:,}",
                    f"{row['mismatches']:,} of {row['values']:,}",
                    yes(row["model_equal"]),
                )
            )
        heads = ("layer", "channels", "kernel", "stride", "weights", "voxels", "pairs")
        cycles = ("layer", "mapping cycles", "tile cycles", "mismatches", "cycle models equal")
        return [
            Table(title=f"Layers of {self.file.name}", heads=heads, rows=layers),
            Table(title="On the mapping unit and the tile", heads=cycles, rows=runs),
        ]

    def notes(self) -> list[str]:
        """Where the waveforms of failures are."""
        return [f"waveform: {path}" for layer in self.layers for path in layer.summary()["waveforms"]]


@typed
def run_sparse_network(
    file: Path | str,
    *,
    settings: SparseNetworkSettings | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> SparseNetworkResult:
    """Run a sparse network in int8 on the RTL: each layer's map on the mapping unit, its products on the N:M tile; and
    compare maps, products, sums and features with those of torch, and both cores with their models.

    `file` holds the network's vectors (zeroskip.sparseconv.int8.save_vectors). Raises ValueError if the file is wrong
    or does not fit the cores, RuntimeError where the simulator is missing or fails.
    """
    start = time.monotonic()
    file = Path(file)
    settings = settings or SparseNetworkSettings()
    progress(Step(task="loading the vectors"))
    from zeroskip.cosim.simulator import Simulator, require_tools
    from zeroskip.cosim.sparseconv.play import run_network, tile_geometry
    from zeroskip.model.mapping.layer_npz import naming
    from zeroskip.model.sparseconv.vectors_file import load

    simulator = Simulator(settings.simulator)
    require_tools(simulator)
    vectors = load(file)
    with naming(file):
        layers = run_network(
            vectors,
            width=settings.width,
            tile=tile_geometry(m=settings.m, n=settings.n),
            simulator=simulator,
            seed=seed,
            announce=lambda task: progress(Step(task=task)),
            on_products=lambda done, total: progress(
                Step(task="running on the RTL", done=done, total=total, unit="products")
            ),
        )
    return SparseNetworkResult(file=file, settings=settings, layers=tuple(layers), seconds=time.monotonic() - start)
