"""`zeroskip.compare`: the search methods and simple policies side by side."""

from __future__ import annotations

import dataclasses
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zeroskip.api.checks import require_at_least, require_positive, require_settings, typed
from zeroskip.api.inputs import Data, Network, data_of, network_of, one_thread, sources_of
from zeroskip.api.paths import optional_path, require_json, require_writable, reserves
from zeroskip.api.search import SearchSettings, check_budget, check_compilable, in_steps, prepared
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.pruning.defaults import WEIGHT_DECAY

_LOG = logging.getLogger(__name__)

TRIALS = "trials"
"""The unit of the progress of a comparison."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """All methods are compared with the settings `search` (its `method` does not matter), each for `seeds` seeds.
    Every plan is fine-tuned for `epochs` at `learning_rate`."""

    search: SearchSettings = field(default_factory=SearchSettings)
    seeds: int = 3
    epochs: int = 3
    learning_rate: float = 0.005

    def __post_init__(self) -> None:
        require_settings(self)
        require_at_least(self, seeds=1, epochs=0)
        require_positive(self, "learning_rate")


@dataclass(frozen=True, kw_only=True, eq=False)
class CompareResult:
    """The `policies` by name: the largest "cost" over the seeds, as a fraction of the dense cost, and the largest
    "exact" one or None; the mean accuracies on the test split "before" and "after" fine-tuning, with the standard
    deviations "std_before" and "std"; the mean "seconds" of a search; and the "trials" one by one. `dense` is the dense
    network's accuracy."""

    budget: float
    cost: str
    granularity: str
    dense: float
    policies: dict[str, dict[str, Any]]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What `zeroskip search compare --json` prints, and what is written."""
        return dataclasses.asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        rows = [(f"dense accuracy; budget of {self.cost}", f"{self.dense:.2%}; {self.budget:.1%}")]
        for name, policy in self.policies.items():
            after = f"{policy['after']:.2%} ± {policy['std']:.2%}"
            exact = "" if policy["exact"] is None else f" (exact model {policy['exact']:.1%})"
            values = f"{policy['cost']:.1%}{exact}, {policy['before']:.2%}, {after}"
            rows.append((f"{name}: cost, accuracy before, after fine-tuning", values))
        return rows


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
    seed: int = 0,
    progress: Progress = silent,
) -> CompareResult:
    """Compare all search methods and simple policies: same network, budget and fine-tuning, several seeds.

    The arguments are those of `zeroskip.search`. The result is written to `output` (.json), with a picture next to it;
    the plans and journals of the trials go to the folder OUTPUT with the suffix `.trials`. With `resume` a comparison
    that was cut short continues. `workers` trials run at once.

    Raises ValueError and OSError as `zeroskip.search` does.
    """
    start = time.monotonic()
    output, weights = Path(output), optional_path(weights)
    settings = settings or CompareSettings()
    search = settings.search
    require_json(output)
    require_writable(output, *sources_of(data, weights), suffix=".json")
    folder = _trials(output)
    with one_thread():
        from zeroskip.model.files import save_json
        from zeroskip.model.pruning.training import TrainingSettings
        from zeroskip.model.search.methods.compare import Comparison, dense_accuracy
        from zeroskip.model.search.methods.compare import compare as compare_policies
        from zeroskip.model.search.views.pictures import of_comparison, save_picture
        from zeroskip.model.search.workers import parse_workers

        processes = parse_workers(str(workers))
        module, _ = network_of(network, weights, progress)
        dataset = data_of(data, seed, progress, weights)

        def prepare(by: int) -> Any:
            return prepared(module, dataset, search, seed=by, output=output, progress=silent)

        exact_dense = check_compilable(module, dataset, search, progress)
        progress(Step(task="filling the cost table"))
        setup = prepare(seed)
        methods = check_budget(setup, search)
        search.netadapt.first_step(search.budget)
        if resume and (begun := len([*folder.glob("*.journal")])):
            _LOG.info(f"resumed from {folder}: {begun} trials were begun")
        what = Comparison(
            prepare=prepare,
            exact_dense=setup.exact_cost(setup.module) if exact_dense is None else exact_dense,
            module=module,
            dataset=dataset,
            budget=search.budget,
            settings=methods,
            training=TrainingSettings(
                epochs=settings.epochs, learning_rate=settings.learning_rate, weight_decay=WEIGHT_DECAY, batch_size=64
            ),
            folder=folder,
            configuration=f"{setup.configuration} compare {search.budget} {methods}",
            resume=resume,
        )
        progress(Step(task="searching"))
        policies = compare_policies(
            what, range(seed, seed + settings.seeds), workers=processes, progress=in_steps(progress, TRIALS)
        )
        result = CompareResult(
            budget=search.budget,
            cost=search.cost,
            granularity=setup.space.granularity,
            dense=dense_accuracy(module, dataset),
            policies=policies,
            seconds=time.monotonic() - start,
        )
        save_picture(of_comparison(policies, result.dense), _picture(output))
        save_json(output, result.summary())
    return result
