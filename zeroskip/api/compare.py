"""`zeroskip.compare`: the search methods and simple policies side by side."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zeroskip.api.checks import require_at_least, require_positive, require_settings, typed
from zeroskip.api.inputs import Data, Network, data_of, network_of, on_device, sources_of
from zeroskip.api.paths import optional_path, require_json, require_writable, reserves
from zeroskip.api.search import SearchSettings, check_budget, check_compilable, in_steps, prepared
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning.defaults import WEIGHT_DECAY
from zeroskip.model.search.settings import require_budget

_LOG = logging.getLogger(__name__)

TRIALS = "trials"
"""The unit of the progress of a comparison."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """All searches have the settings `search` (its `method` does not matter), each for `seeds` seeds; `budgets` are
    those of the exact cost at which all is compared, or none for that of `search` alone. Every plan is fine-tuned for
    `epochs` at `learning_rate`, `tunings` times with other orders of the samples. With `peers`, the pruners of
    Torch-Pruning are compared too, for channels."""

    search: SearchSettings = field(default_factory=SearchSettings)
    budgets: tuple[float, ...] = ()
    seeds: int = 3
    tunings: int = 2
    peers: bool = False
    epochs: int = 3
    learning_rate: float = 0.005

    def __post_init__(self) -> None:
        require_settings(self)
        require_at_least(self, seeds=1, tunings=1, epochs=0)
        require_positive(self, "learning_rate")
        for budget in self.budgets:
            require_budget(budget)
        if len(set(self.budgets)) < len(self.budgets):
            raise ValueError(f"budgets must differ from each other, not {', '.join(map(str, self.budgets))}")
        if self.peers and self.search.granularity != "channels":
            raise ValueError(
                f"peers must be off for {self.search.granularity}: Torch-Pruning removes channels alone, not True"
            )

    @property
    def all_budgets(self) -> tuple[float, ...]:
        """The budgets, from the largest to the smallest."""
        return tuple(sorted(self.budgets or (self.search.budget,), reverse=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class CompareResult:
    """For each of the `budgets`, the "budget" and the "policies" by name: the largest "cost" over the seeds by the
    table, as a fraction of the dense cost, and the largest "exact" one, or None where the table is exact; the mean
    accuracies on the test split "before" and "after" fine-tuning, with the standard deviations "std_before" and "std";
    the mean CPU "seconds" of a search, and the share of these that is not evaluation, "overhead" (None for what is no
    search); and the "trials" one by one. A name with "+fit" is a rule, or another library's pruner, with the fit of the
    weights that are left, which all searches have. `dense` is the dense network's accuracy, `exact_dense` its exact
    cost. `sizes` are those of the core that differ from their defaults, `samples` the numbers of those for training
    and for testing."""

    cost: str
    granularity: str
    sizes: dict[str, int]
    samples: dict[str, int]
    settings: dict[str, Any]
    dense: float
    exact_dense: float | None
    budgets: list[dict[str, Any]]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What `zeroskip search compare --json` prints, and what is written."""
        return dataclasses.asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        rows = [("dense accuracy", f"{self.dense:.2%}")]
        for one in self.budgets:
            rows.append((f"{one['budget']:.1%} of the {self.cost}", "cost, accuracy before, after fine-tuning"))
            for name, policy in one["policies"].items():
                before = f"{policy['before']:.2%} ± {policy['std_before']:.2%}"
                after = f"{policy['after']:.2%} ± {policy['std']:.2%}"
                cost = policy["cost"] if policy["exact"] is None else policy["exact"]
                rows.append((name, f"{cost:.1%}, {before}, {after}"))
        return rows


def _require_peers() -> None:
    if importlib.util.find_spec("torch_pruning") is None:
        raise ValueError("peers must be off without Torch-Pruning, not True: install zeroskip[peers]")


def _picture(output: Path) -> Path:
    return output.with_suffix(".png")


def _trials(output: Path) -> Path:
    """The folder of the plans and journals of the trials."""
    return output.with_suffix(".trials")


@typed
@reserves("output", beside=lambda output: [_picture(output), _trials(output)])
def compare(
    network: Network,
    data: Data,
    *,
    output: Path | str,
    weights: Path | str | None = None,
    settings: CompareSettings | None = None,
    resume: bool = False,
    workers: int | str = 1,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = silent,
) -> CompareResult:
    """Compare all search methods and simple rules: same network, exact cost and fine-tuning, several seeds.

    The arguments are those of `zeroskip.search`. The result is written to `output` (.json), with a picture next to it;
    the plans and journals of the trials go to the folder OUTPUT with the suffix `.trials`. With `resume` a comparison
    that was cut short continues. `workers` trials run at once,
    also on a GPU.

    Raises ValueError and OSError as `zeroskip.search` does.
    """
    start = time.monotonic()
    output, weights = Path(output), optional_path(weights)
    settings = settings or CompareSettings()
    search = settings.search
    require_json(output)
    require_writable(output, *sources_of(data, weights), suffix=".json")
    folder = _trials(output)
    with on_device(device):
        from zeroskip.model.device import kind_of
        from zeroskip.model.files import save_json
        from zeroskip.model.pruning.training import TrainingSettings
        from zeroskip.model.search.methods.compare import Comparison, dense_accuracy
        from zeroskip.model.search.methods.compare import compare as compare_policies
        from zeroskip.model.search.views.compared import of_comparison
        from zeroskip.model.search.views.pictures import save_picture
        from zeroskip.model.search.workers import parse_workers

        processes = parse_workers(str(workers))
        module, _ = network_of(network, weights, progress)
        dataset = data_of(data, seed, progress, weights)

        def prepare(by: int) -> Any:
            return prepared(module, dataset, search, seed=by, output=output, device=device, progress=silent)

        def raw(by: int) -> Any:
            return prepared(module, dataset, unfitted, seed=by, output=output, device=device, progress=silent)

        unfitted = dataclasses.replace(search, refit=False)
        if settings.peers:
            _require_peers()
        exact_dense = check_compilable(module, dataset, search, progress)
        progress(Step(task="filling the cost table"))
        # On the CPU: where this process has used CUDA, it cannot start others that do.
        setup = prepared(module, dataset, search, seed=seed, output=output, device="cpu", progress=silent)
        for budget in settings.all_budgets:
            methods = check_budget(setup, dataclasses.replace(search, budget=budget))
            search.netadapt.first_step(budget)
        if exact_dense is None:
            exact_dense = setup.exact_cost(setup.module)
        if resume and (begun := len([*folder.glob("*.journal")])):
            _LOG.info(f"resumed from {folder}: {begun} trials were begun")
        what = Comparison(
            prepare=prepare,
            raw=raw if search.refit else None,
            exact_dense=exact_dense,
            module=module,
            dataset=dataset,
            settings=methods,
            training=TrainingSettings(
                epochs=settings.epochs, learning_rate=settings.learning_rate, weight_decay=WEIGHT_DECAY, batch_size=64
            ),
            tunings=settings.tunings,
            peers=settings.peers,
            folder=folder,
            configuration=f"{setup.configuration} compare {methods} {kind_of(device)}",
            resume=resume,
            device=device,
        )
        progress(Step(task="searching"))
        found = compare_policies(
            what,
            setup.space.granularity,
            settings.all_budgets,
            range(seed, seed + settings.seeds),
            workers=processes,
            progress=in_steps(progress, TRIALS),
        )
        result = CompareResult(
            cost=search.cost,
            granularity=setup.space.granularity,
            sizes=dict(search.sizes),
            samples={"train": len(dataset.train_labels), "test": len(dataset.test_labels)},
            settings={
                "seeds": settings.seeds,
                "tunings": settings.tunings,
                "epochs": settings.epochs,
                "learning_rate": settings.learning_rate,
                "episodes": search.amc.episodes,
                "step": search.netadapt.step,
                "device": device,
            },
            dense=dense_accuracy(module, dataset, device),
            exact_dense=exact_dense,
            budgets=[{"budget": budget, "policies": policies} for budget, policies in found.items()],
            seconds=time.monotonic() - start,
        )
        save_picture(of_comparison(result.budgets, result.dense, result.cost), _picture(output))
        save_json(output, result.summary())
    return result
