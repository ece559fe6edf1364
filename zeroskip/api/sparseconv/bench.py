"""Speed of sparse convolution beside other libraries: `zeroskip bench sparseconv`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zeroskip.api.checks import require_at_least, require_settings, typed
from zeroskip.api.paths import require_writable, reserves
from zeroskip.api.tables import Table, yes
from zeroskip.model.progress import Progress, Step, silent

PARTS = ("scenes", "network", "grouping", "growth", "mapping")
"""Layers on scenes beside peers, a whole MinkUNet, groupings, larger and larger surfaces, the mapping unit on RTL."""
SCENES = ("surface", "shuffled", "street", "autzen")
"""A synthetic height field, sorted and with its rows in random order, and two sorted LiDAR scans
(zeroskip.model.data.scans)."""
Device = Literal["cpu", "cuda"]
_MAPPED = ("surface", "street")
_GROWTH = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True, kw_only=True)
class SparseconvBenchSettings:
    """The `parts` that run (of PARTS; none means all) on `scenes` (of SCENES); `channels` in and out of the layers;
    `repeats`, of whose times the median counts; the `device` of scenes, network and growth (cpu or cuda; peers run on a
    CPU only); and the `widths` of the mapping units."""

    parts: tuple[str, ...] = ()
    scenes: tuple[str, ...] = SCENES
    channels: tuple[int, int] = (32, 64)
    repeats: int = 9
    device: Device = "cpu"
    widths: tuple[int, ...] = (4, 8, 16, 32)

    def __post_init__(self) -> None:
        require_settings(self, device=Device)
        require_at_least(self, repeats=1)
        for name, known in (("parts", PARTS), ("scenes", SCENES)):
            if unknown := [value for value in getattr(self, name) if value not in known]:
                raise ValueError(f"{name} must be some of {', '.join(known)}, not {unknown[0]!r}")
        if min(self.channels) < 1:
            raise ValueError(f"channels must be at least 1, not {min(self.channels)}")
        for width in self.widths:
            if not 1 <= width <= 64 or width & (width - 1):
                raise ValueError(f"widths must be powers of two from 1 to 64, not {width}")


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseconvBenchResult:
    """`figures` as `zeroskip bench sparseconv --json` prints them."""

    figures: dict[str, Any]

    @property
    def equal(self) -> bool:
        """Whether all sums agree with those of the peers, all bits are the same in every run, and the mapping unit
        finds the maps of the software in the cycles of its model."""
        units = self.figures.get("mapping_unit", [])
        network = self.figures.get("network", {"error": 0.0})
        return (
            all(row["equal"] for row in self.figures.get("scenes", []))
            and self.figures.get("deterministic", True)
            and network["error"] <= 1e-5
            and all(row["equal"] and row["model_equal"] for row in units)
        )

    def summary(self) -> dict[str, Any]:
        """What `zeroskip bench sparseconv --json` prints."""
        return self.figures

    def tables(self) -> list[Table]:
        """The same for people."""
        made = {
            "scenes": self._scenes,
            "network": self._network,
            "grouping": self._grouping,
            "growth": self._growth,
            "mapping_unit": self._units,
        }
        return [table() for name, table in made.items() if name in self.figures]

    def notes(self) -> list[str]:
        """Scans that could not be had, and whether results are deterministic."""
        notes = [f"{name} is left out: {reason}" for name, reason in self.figures.get("missing", {}).items()]
        if "deterministic" in self.figures:
            notes.append(f"equal bits in 20 runs, with 1 and 2 threads: {yes(self.figures['deterministic'])}")
        return notes

    def _scenes(self) -> Table:
        rows = []
        for row in self.figures["scenes"]:
            own = {f"{step}_ms": row[f"{step}_ms"] for step in ("map", "conv", "end_to_end", "train")}
            rows.append((f"{row['name']}, {row['voxels']:,} voxels", "zeroskip", *_times(own), ""))
            for name, peer in row["peers"].items():
                ratios = row["ratios"][name]
                said = ", ".join(f"{step.replace('_', ' ')} {ratios[step]:.2f}" for step in ratios)
                rows.append(("", name, *_times(peer), said))
            rows.append(("", "the products alone", "", _ms(row["matmul_ms"]), "", "", ""))
        heads = ("scene", "library", "map, ms", "conv, ms", "end to end, ms", "train, ms", "times slower")
        return Table(title="Submanifold layer, 3 x 3 x 3, float32", heads=heads, rows=rows)

    def _network(self) -> Table:
        row = self.figures["network"]
        cells = (row["name"], f"{row['voxels']:,}", _ms(row["forward_ms"]), _ms(row["torch_forward_ms"]))
        heads = ("network", "voxels", "forward, ms", "plain torch, ms", "times slower")
        return Table(title=f"MinkUNet on {row['scene']}", heads=heads, rows=[(*cells, f"{row['ratio']:.2f}")])

    def _grouping(self) -> Table:
        rows = [
            (
                f"{row['voxels']:,}",
                row["execution"],
                "" if row["groups"] is None else f"{row['groups']}",
                "" if row["padding"] is None else f"{row['padding']:.1%}",
                _ms(row["conv_ms"]),
            )
            for row in self.figures["grouping"]
        ]
        heads = ("voxels", "execution", "groups", "padding", "conv, ms")
        return Table(title="Ways to execute", heads=heads, rows=rows)

    def _growth(self) -> Table:
        names = ("map_ms", "torch_map_ms", "conv_ms", "torch_conv_ms")
        rows = [(f"{row['voxels']:,}", *(_ms(row[name]) for name in names)) for row in self.figures["growth"]]
        heads = ("voxels", "map, ms", "plain torch", "conv, ms", "plain torch")
        return Table(title="Growth of a surface", heads=heads, rows=rows)

    def _units(self) -> Table:
        rows = [
            (
                row["scene"],
                f"{row['width']}",
                f"{row['cycles']:,}",
                f"{row['over_ideal']:.2%}",
                f"{row['triples']:,}",
                _ms(row["ms_at_100_mhz"]),
                _ms(row["software_ms"]),
                yes(row["equal"]),
                yes(row["model_equal"]),
            )
            for row in self.figures["mapping_unit"]
        ]
        heads = (
            *("scene", "width", "cycles", "over ideal", "triples", "100 MHz, ms", "software, ms"),
            *("equal", "model"),
        )
        return Table(title="Mapping unit on RTL", heads=heads, rows=rows)


def _ms(time: float | None) -> str:
    return "" if time is None else f"{time:.2f}"


def _times(of: dict[str, float]) -> list[str]:
    return [_ms(of.get(f"{step}_ms")) for step in ("map", "conv", "end_to_end", "train")]


@typed
@reserves("picture")
def bench_sparseconv(
    *,
    settings: SparseconvBenchSettings | None = None,
    picture: Path | str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> SparseconvBenchResult:
    """Measure maps, convolutions, training steps, a network, groupings and growth, interleaved with plain torch and the
    peers that are installed (`pip install zeroskip[peers]`), and run the mapping unit on RTL.

    `picture` is a PNG file in which the figures are drawn.

    Raises RuntimeError where a peer fails, or the simulator is missing; OSError where the picture cannot be written.
    """
    settings = settings or SparseconvBenchSettings()
    parts = settings.parts or PARTS
    if picture is not None:
        require_writable(Path(picture), suffix=".png")
    progress(Step(task="starting"))
    import torch

    from zeroskip.model.sparseconv.bench.groupings import measure_groupings
    from zeroskip.model.sparseconv.bench.measure import deterministic, measure_growth, measure_scene
    from zeroskip.model.sparseconv.bench.network import measure_network
    from zeroskip.model.sparseconv.bench.peers import not_installed
    from zeroskip.model.sparseconv.bench.scenes import Scene, scan, shuffled, surface

    device = settings.device
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be cpu where torch sees no GPU, not cuda")
    synthetic = {"surface": surface, "shuffled": shuffled}
    scenes: dict[str, Scene] = {}
    missing: dict[str, str] = {}
    for name in settings.scenes:
        progress(Step(task=f"loading {name}"))
        try:
            scenes[name] = synthetic[name]() if name in synthetic else scan(name)
        except RuntimeError as error:
            missing[name] = str(error)
    common: dict[str, Any] = {"repeats": settings.repeats, "seed": seed}
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "missing": missing,
    }
    if "scenes" in parts:
        missing |= dict.fromkeys(not_installed(), "not installed; pip install zeroskip[peers]")
        figures["scenes"] = [
            measure_scene(scene.on(device), settings.channels, **common, progress=progress) for scene in scenes.values()
        ]
        progress(Step(task="equal bits"))
        figures["deterministic"] = deterministic(surface().on(device), settings.channels, runs=20, seed=seed)
    if "network" in parts:
        progress(Step(task="a whole MinkUNet"))
        figures["network"] = measure_network(surface().on(device), **common)
    if "grouping" in parts:
        progress(Step(task="groupings"))
        figures["grouping"] = measure_groupings(settings.channels, **common)
    if "growth" in parts:
        figures["growth"] = measure_growth(_GROWTH, settings.channels, device=device, **common, progress=progress)
    if "mapping" in parts:
        from zeroskip.cosim.simulator import Simulator, require_tools
        from zeroskip.cosim.sparseconv.bench import measure_units

        require_tools(Simulator.VERILATOR)
        mapped = [scenes[name] for name in _MAPPED if name in scenes]
        figures["mapping_unit"] = [
            row for scene in mapped for row in measure_units(scene, widths=settings.widths, **common, progress=progress)
        ]
    if picture is not None:
        from zeroskip.model.search.views.pictures import save_picture
        from zeroskip.model.sparseconv.bench.picture import of_bench

        save_picture(of_bench(figures), Path(picture))
    return SparseconvBenchResult(figures=figures)
