"""The gain of searching in cycles of the EIE array: `zeroskip bench search`. Imports nothing heavy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zeroskip.api.checks import require_at_least, require_positive, require_settings, typed
from zeroskip.api.eie.compile import PES
from zeroskip.api.inputs import Data, Network, data_of, in_turn, network_of, one_thread, sources_of
from zeroskip.api.paths import optional_path, require_json, require_writable, reserves
from zeroskip.api.tables import Table, yes
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning.defaults import WEIGHT_DECAY
from zeroskip.model.search.settings import NetAdaptSettings, require_budget

BenchGranularity = Literal["weights", "channels"]
"""What the plans prune: single weights, or whole channels."""


@dataclass(frozen=True, kw_only=True)
class SearchBenchSettings:
    """The first plan may have the fraction `budget` of the dense cycles on an array of `pes`; each step of NetAdapt
    saves the fraction `step` of the dense cost, None for 30 steps. Each plan is fine-tuned by `seeds` seeds, for
    `epochs` at `learning_rate`, and the first of these networks runs on the RTL for so many `images`."""

    budget: float = 0.4
    granularity: BenchGranularity = "weights"
    step: float | None = None
    epochs: int = 5
    learning_rate: float = 0.005
    seeds: int = 3
    images: int = 50
    pes: int = PES

    def __post_init__(self) -> None:
        require_settings(self, granularity=BenchGranularity)
        require_budget(self.budget)
        require_at_least(self, epochs=0, seeds=1, images=1, pes=1)
        require_positive(self, "step", "learning_rate")


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchBenchResult:
    """A row for each cost in `plans`, as `zeroskip bench search --json` prints them."""

    network: str
    settings: SearchBenchSettings
    plans: list[dict[str, Any]]
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every output and every cycle is right."""
        return all(map(_equal, self.plans))

    def summary(self) -> dict[str, Any]:
        """What `zeroskip bench search --json` prints, and what is written."""
        return {
            "network": self.network,
            "budget": self.settings.budget,
            "granularity": self.settings.granularity,
            "pes": self.settings.pes,
            "plans": self.plans,
            "seconds": self.seconds,
        }

    def tables(self) -> list[Table]:
        """The same for people."""
        rows = [
            (
                row["cost"],
                f"{row['kept']:.2%}",
                f"{row['costs']['macs']:.1%}",
                f"{row['rtl_cycles']:,.0f}",
                f"{row['cycles_ratio']:.2f}",
                f"{row['accuracy']['after']:.2%} ± {row['accuracy']['std']:.2%}",
                yes(_equal(row)),
            )
            for row in self.plans
        ]
        heads = ("searched for", "weights", "MACs", "cycles", "ratio", "accuracy", "equal")
        title = f"{self.network}: plans for each cost, {self.settings.pes} PEs"
        return [Table(title=title, heads=heads, rows=rows)]

    def notes(self) -> list[str]:
        """What the columns mean."""
        return [
            "weights and MACs that are kept, RTL cycles per image, their ratio to those of the first plan, accuracy on "
            "the test split after fine-tuning",
            f"dense: {self.plans[0]['accuracy']['dense']:.2%}",
        ]


def _journals(output: Path) -> dict[str, Path]:
    """The path of the journal of the search for each cost."""
    from zeroskip.api.eie.plans_on_rtl import COSTS

    return {cost: Path(f"{output}.{cost}.journal") for cost in COSTS}


@typed
@reserves("output", beside=lambda output: _journals(output).values())
def bench_search(
    network: Network,
    data: Data,
    *,
    output: Path | str,
    weights: Path | str | None = None,
    settings: SearchBenchSettings | None = None,
    resume: bool = False,
    workers: int | str = 1,
    progress: Progress = silent,
) -> SearchBenchResult:
    """Search by NetAdapt for EIE cycles, MACs and parameters, with the same number of kept weights, and run the plans
    on the RTL.

    The arguments are those of `zeroskip.search`; a journal for each cost is kept next to `output`. Raises ValueError
    and OSError as that does.
    """
    start = time.monotonic()
    settings = settings or SearchBenchSettings()
    output, weights = Path(output), optional_path(weights)
    require_json(output)
    require_writable(output, *sources_of(data, weights), suffix=".json")
    with one_thread():
        from zeroskip.api.eie.plans_on_rtl import COSTS, SearchBench
        from zeroskip.api.eie.plans_on_rtl import bench_search as search_and_run
        from zeroskip.cosim.simulator import Simulator, require_tools
        from zeroskip.model.eie.geometry import EieGeometry
        from zeroskip.model.files import save_json
        from zeroskip.model.pruning.training import TrainingSettings
        from zeroskip.model.search.costs.exact import require_compilable
        from zeroskip.model.search.setup import SAMPLE, prepare
        from zeroskip.model.search.storage.journal import Journal
        from zeroskip.model.search.workers import parse_workers

        require_tools(Simulator.VERILATOR)
        module, _ = network_of(network, weights, progress)
        dataset = data_of(data, 0, progress)
        geometries = {"eie": EieGeometry(pes=settings.pes)}
        require_compilable(
            COSTS[0], module, dataset.train_inputs[:SAMPLE], geometries, remedy="only what compiles can run on the RTL"
        )
        progress(Step(task="filling the cost table"))
        setup = prepare(
            module,
            dataset,
            granularity=settings.granularity,
            cost=COSTS[0],
            geometries=geometries,
            seed=0,
            cache=output.parent / ".search",
            progress=progress,
        )
        # All steps of one size: searches for one cost share them, whatever their budget, and any budget is reached.
        step = NetAdaptSettings(step=settings.step, decay=1.0).first_step(settings.budget)
        netadapt = NetAdaptSettings(step=step, decay=1.0)
        what = SearchBench(
            setup=setup,
            budget=settings.budget,
            settings=netadapt,
            training=TrainingSettings(
                epochs=settings.epochs, learning_rate=settings.learning_rate, weight_decay=WEIGHT_DECAY, batch_size=64
            ),
            seeds=settings.seeds,
            images=settings.images,
            workers=parse_workers(str(workers)),
        )

        def journal(cost: str) -> Journal:
            return Journal(_journals(output)[cost], f"{setup.configuration} {netadapt} {cost}", resume=resume)

        plans = search_and_run(
            what,
            journal,
            simulator=Simulator.VERILATOR,
            progress=in_turn(progress, len(COSTS) * (2 + settings.seeds), "steps"),
        )
        name = network if isinstance(network, str) else type(network).__name__
        result = SearchBenchResult(network=name, settings=settings, plans=plans, seconds=time.monotonic() - start)
        save_json(output, result.summary())
    return result


def _equal(row: dict[str, Any]) -> bool:
    return bool(row["mismatches"] == 0 and row["cycle_model_equal"])
