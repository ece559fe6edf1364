"""`zeroskip.search`: how much of each layer to prune, within a budget of what the network costs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.api.checks import require_settings, typed
from zeroskip.api.inputs import Data, Network, data_of, network_of, on_device, sources_of
from zeroskip.api.paths import optional_path, require_json, require_writable, reserves
from zeroskip.model.cores import CORES, DEFAULT, core_of_cost, core_of_storage, load_costs
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.search.choices import WORK_UNITS, Granularity, Method, Order
from zeroskip.model.search.progress import ReportProgress, SearchProgress
from zeroskip.model.search.settings import AmcSettings, NetAdaptSettings, require_budget
from zeroskip.model.search.views.side_files import PICTURE, adapted_weights, journal_of, side_files
from zeroskip.model.temporary import TemporaryFolder

if TYPE_CHECKING:
    from torch import nn

    from zeroskip.model.data.dataset import Dataset
    from zeroskip.model.network.samples import SampleForm
    from zeroskip.model.search.evaluation import Evaluator
    from zeroskip.model.search.methods.run_method import MethodResult
    from zeroskip.model.search.plan import Plan
    from zeroskip.model.search.setup import Setup

_LOG = logging.getLogger(__name__)

CACHE = ".search"
"""The folder next to the plan, with results that other searches can reuse."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What is searched, and how.

    The plan may cost the fraction `budget` of the dense `cost`: "macs", "params" (weights), "bytes", "latency" (seconds
    on this machine's CPU), or the cycles of a core, such as "eie-cycles", on its geometry, of which `sizes` are fields
    that differ from their defaults. `granularity` is "weights", "channels", or "nm" for the N:M `pattern`. `method` is
    "sensitivity", "amc" (He et al., ECCV 2018) or "netadapt" (Yang et al., ECCV 2018), the last two with settings of
    their own. Cycles are searched for networks that can be compiled for the core; with `allow_uncompilable` for all.
    With `refit`, the weights that are left are fitted by least squares before accuracy is measured; then channels go in
    the order of what is lost after the fit (`criterion` "auto"), or by their magnitudes ("l1").
    """

    method: Method = "netadapt"
    budget: float = 0.5
    granularity: Granularity = "weights"
    pattern: str = "2:4"
    cost: str = CORES[DEFAULT].costs[0]
    sizes: Mapping[str, int] = field(default_factory=dict)
    allow_uncompilable: bool = False
    refit: bool = True
    criterion: Order = "auto"
    amc: AmcSettings = field(default_factory=AmcSettings)
    netadapt: NetAdaptSettings = field(default_factory=NetAdaptSettings)

    def __post_init__(self) -> None:
        require_settings(self, method=Method, granularity=Granularity, criterion=Order)
        require_budget(self.budget)

    def geometries(self) -> dict[str, Any]:
        """The geometry of the core that the cost needs, by its name; empty where it needs none. Raises ValueError if
        `sizes` are not those of this core."""
        core = core_of_cost(self.cost)
        if self.sizes and core is None:
            raise ValueError(f"sizes mean nothing with the cost {self.cost!r}, which counts no cycles of a core")
        pattern = self.pattern if self.granularity == "nm" else "2:4"
        if self.cost == "bytes":
            core = core_of_storage(self.granularity)
        return {} if core is None else {core.name: load_costs(core.name).search_geometry(pattern, self.sizes)}


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchResult:
    """The plan that was found, which `zeroskip.finetune` takes.

    `cost` has the dense cost ("dense") and the plan's ("plan") by the cost table; for cycles and seconds also those of
    the whole network by the exact model ("exact_dense", "exact"), or None where the table is exact or the network
    cannot be compiled. `density` is the fraction of all weights that is kept, `not_prunable` names the layers that
    cannot be pruned at this granularity, and `kept_whole` has the reasons why channels of a layer must stay.
    `accuracy` are fractions of the validation samples, "dense" and "plan", before fine-tuning; `evaluations` counts the
    accuracies that were measured, `reused` those that were known from earlier searches. `loss` is for sensitivity
    analysis, else None: how much the loss of the "plan" is above the dense one, in nats, if the losses of the groups
    add up, and a "bound" that no plan within the budget is below. That plan is the knapsack's; `source` says where the
    plan of the result comes from: "knapsack", a simple rule whose plan has the lower loss, or, with AMC, "random",
    "agent" or "neighbour"; None for NetAdapt. `learning` is for AMC, else None: by the source of its plans, such as
    "random" and "agent", the number of "plans", their mean "accuracy", that of the "last" 20, and how many after the
    warm-up were better than all before ("improvements"). `adapted` is the trained network with which NetAdapt ends,
    None for other methods; `adapted_from` is the hash of the weights from which it started.
    """

    plan: Plan
    cost: dict[str, float | None]
    density: float
    not_prunable: list[str]
    kept_whole: dict[str, str]
    accuracy: dict[str, float]
    evaluations: int
    reused: int
    source: str | None
    loss: dict[str, float] | None
    learning: dict[str, dict[str, float]] | None
    adapted: nn.Module | None
    adapted_from: str | None
    output: Path | None
    files: list[Path]
    """The files written next to the plan."""
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What `zeroskip search --json` prints."""
        return {
            "plan": None if self.output is None else str(self.output),
            "layers": self.plan.densities,
            "granularity": self.plan.granularity,
            "cost": {"name": self.plan.cost, **self.cost, "reached": self.plan.reached, "budget": self.plan.budget},
            "density": self.density,
            "not_prunable": self.not_prunable,
            "kept_whole": self.kept_whole,
            "accuracy": self.accuracy,
            "evaluations": self.evaluations,
            "reused": self.reused,
            "source": self.source,
            "loss": self.loss,
            "learning": self.learning,
            "files": [str(path) for path in self.files],
            "seconds": self.seconds,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same as (label, value) for people."""
        plan, cost = self.plan, self.cost
        rows = [
            (f"layer {layer.name}", f"{layer.density:.1%} of {' x '.join(map(str, layer.shape))}")
            for layer in plan.layers
        ]
        if self.not_prunable:
            rows.append(("layers that cannot be pruned", ", ".join(self.not_prunable)))
        rows += [
            ("weights kept", f"{self.density:.1%}"),
            (f"{plan.cost}, dense", f"{cost['dense']:,.6g}"),
            (f"{plan.cost}, plan", f"{cost['plan']:,.6g} ({plan.reached:.1%} of dense, budget {plan.budget:.1%})"),
        ]
        if (exact := cost["exact"]) is not None and (dense := cost["exact_dense"]) is not None:
            difference = exact / (cost["plan"] or 1) - 1
            whole = f"{exact:,.6g} ({exact / dense:.1%} of dense; the table differs by {difference:+.1%})"
            rows.append((f"{plan.cost}, plan, exact model", whole))
        rows += [
            ("accuracy, dense", f"{self.accuracy['dense']:.2%}"),
            ("accuracy, plan before fine-tuning", f"{self.accuracy['plan']:.2%}"),
            *self._source_row(),
            ("accuracies measured, reused", f"{self.evaluations:,}, {self.reused:,}"),
        ]
        if self.output is not None:
            rows.append(("written to", ", ".join(str(path) for path in (self.output, *self.files))))
        return rows

    def _source_row(self) -> list[tuple[str, str]]:
        rows = [] if self.source is None else [("the plan comes from", self.source)]
        if self.loss is not None:
            loss = f"{self.loss['plan']:.4f} nats above dense; no plan is below {self.loss['bound']:.4f}"
            rows.append(("loss of the knapsack, by the curves", loss))
        return rows


@typed
@reserves("output", beside=side_files)
def search(
    network: Network,
    data: Data,
    *,
    weights: Path | str | None = None,
    settings: SearchSettings | None = None,
    output: Path | str | None = None,
    resume: bool = False,
    workers: int | str = 1,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = silent,
) -> SearchResult:
    """Search for a pruning plan: a density for each layer, within a budget of what the network costs.

    `network` is a trained nn.Module, which is not changed, or "module:factory" with `weights`, a safetensors file of
    its state_dict. `data` has inputs (n, ...) float32 and labels (n,) of classes; its test split is not used. A fifth
    of the training samples measures accuracy, at most 5,000 of them.

    The plan is written to `output` (.json), with pictures and tables next to it, and all measurements to a journal,
    OUTPUT.journal: with `resume` a search that was cut short continues from it. Cost tables and accuracies that other
    searches can reuse are kept in the folder `.search` next to it. Without `output` nothing is written. Accuracies are
    measured in `workers` processes, or by Ray with "ray"; the result does not depend on them. With the `device` "cuda",
    or "cuda:N", networks run on a GPU, one at a time; costs are counted on the CPU. A search continues on the kind of
    device on which it was begun.

    Raises ValueError if network, data and settings do not fit each other, where the budget cannot be met (with the
    smallest cost that can be reached) or where the journal is of another search; and OSError where a file cannot be
    read or written.
    """
    start = time.monotonic()
    weights = optional_path(weights)
    output = optional_path(output)
    settings = settings or SearchSettings()
    if output is not None:
        _require_outputs(output, settings.method, sources_of(data, weights))
    with on_device(device), _journal_path(output, resume) as path:
        from zeroskip.model.search.storage.journal import Journal
        from zeroskip.model.search.workers import parse_workers

        processes = parse_workers(str(workers))
        if device != "cpu" and processes != 1:
            raise ValueError(
                f"workers must be 1 on the device {device}, which runs one network at a time, not {workers}"
            )
        module, _ = network_of(network, weights, progress)
        dataset = data_of(data, seed, progress, weights)
        dense = check_compilable(module, dataset, settings, progress)
        setup = prepared(module, dataset, settings, seed=seed, output=output, device=device, progress=progress)
        if setup.table.reused:
            _LOG.info(f"cost tables of {setup.table.reused} layers reused from {path.parent / CACHE}")
        methods = check_budget(setup, settings)
        configuration = f"{setup.configuration} {settings.method} {settings.budget} {methods}"
        journal = Journal(path, configuration, resume=resume)
        if journal.known:
            _LOG.info(f"resumed from {path}: {len(journal.known):,} accuracies are known")
        evaluator = setup.evaluator(journal, processes, kept=setup.accuracies)
        from zeroskip.model.search.methods.run_method import run_method

        found = run_method(
            settings.method,
            setup,
            settings.budget,
            settings=methods,
            evaluator=evaluator,
            seed=seed,
            progress=in_steps(progress, WORK_UNITS[settings.method]),
        )
        progress(Step(task="measuring the plan"))
        return _result(setup, settings, found, evaluator, dense, output, start)


def prepared(
    module: nn.Module,
    dataset: Dataset,
    settings: SearchSettings,
    *,
    seed: int,
    output: Path | None,
    device: str,
    progress: Progress,
) -> Setup:
    """Prepares the searches of one network by one seed on a device, and fills the cost table."""
    from zeroskip.model.network.pattern import Pattern
    from zeroskip.model.search.setup import prepare

    progress(Step(task="filling the cost table"))
    return prepare(
        module,
        dataset,
        granularity=str(Pattern.parse(settings.pattern)) if settings.granularity == "nm" else settings.granularity,
        cost=settings.cost,
        geometries=settings.geometries(),
        seed=seed,
        cache=None if output is None else output.parent / CACHE,
        refit=settings.refit,
        by_magnitude=settings.criterion == "l1",
        device=device,
        progress=progress,
    )


def check_compilable(module: nn.Module, dataset: Dataset, settings: SearchSettings, progress: Progress) -> float | None:
    """The exact cycles of the dense network, where they are the cost and must be known; else None. Raises ValueError if
    the data do not fit the network, and if cycles are searched for a network that cannot be compiled, unless the
    settings allow it."""
    from zeroskip.model.pruning.data_checks import require_prunable

    require_prunable(module, dataset)
    if settings.allow_uncompilable:
        return None
    from zeroskip.model.search.costs.exact import require_compilable
    from zeroskip.model.search.setup import SAMPLE

    progress(Step(task="compiling the dense network"))
    return require_compilable(
        settings.cost,
        module,
        dataset.train_inputs[:SAMPLE],
        settings.geometries(),
        remedy="change it, choose another cost, or search all the same with --allow-uncompilable "
        "(allow_uncompilable=True)",
    )


def check_budget(setup: Setup, settings: SearchSettings) -> Any:
    """The settings of the methods. Raises ValueError if the budget, or NetAdapt's steps to it, cannot be."""
    from zeroskip.model.search.settings import MethodSettings
    from zeroskip.model.search.spaces.space import require_reachable

    require_reachable(setup.space, setup.table, settings.budget, setup.space.least())
    if settings.method in ("netadapt", "compare"):
        settings.netadapt.first_step(settings.budget)
    return MethodSettings(amc=settings.amc, netadapt=settings.netadapt)


def in_steps(progress: Progress, unit: str) -> ReportProgress:
    """Turns the progress of a search into Steps."""

    def report(at: SearchProgress) -> None:
        facts = {"tried": at.trying, "accuracy": f"{at.accuracy:.2%}"}
        if at.best is not None:
            facts["best"] = f"{at.best:.2%}"
        if at.cost is not None:
            facts["at cost"] = f"{at.cost:.1%}"
        progress(Step(task="searching", done=at.done, total=at.total, unit=unit, facts=facts))

    return report


def _require_outputs(output: Path, method: str, read: list[Path]) -> None:
    require_json(output)
    require_writable(output, *read, suffix=".json")
    if method == "netadapt":
        require_writable(adapted_weights(output), *read, suffix=".safetensors")


@contextmanager
def _journal_path(output: Path | None, resume: bool) -> Iterator[Path]:
    """The path of the journal; without an output it is deleted at the end."""
    if output is not None:
        yield journal_of(output)
    elif resume:
        raise ValueError("resume needs an output: the journal is kept next to it")
    else:
        with TemporaryFolder() as folder:
            yield folder / "journal"


def _result(
    setup: Setup,
    settings: SearchSettings,
    found: MethodResult,
    evaluator: Evaluator,
    dense: float | None,
    output: Path | None,
    start: float,
) -> SearchResult:
    """Measures the plan that was found, and writes what belongs to it. `dense` is the dense network's exact cost, where
    it is known."""
    from zeroskip.model.device import CPU, moved
    from zeroskip.model.network.samples import SampleForm
    from zeroskip.model.search.methods.amc import AmcResult
    from zeroskip.model.search.methods.netadapt import NetAdaptResult
    from zeroskip.model.search.spaces.space import cost_share

    space, table, densities = setup.space, setup.table, found.densities
    reached = cost_share(space, table, densities)
    plan = space.plan(densities, method=settings.method, cost=table.cost, budget=settings.budget, reached=reached)
    dense = setup.exact_cost(setup.module) if dense is None else dense
    left = setup.exact_cost(space.remove(space.masked(densities), densities))
    both = dense is not None and left is not None
    accuracy = {"dense": evaluator.accuracy({}), "plan": evaluator.accuracy(densities)}
    if setup.accuracies is not None and evaluator.reused:
        _LOG.info(f"{evaluator.reused:,} accuracies reused from {setup.accuracies.path}")
    return SearchResult(
        plan=plan,
        cost={
            "dense": table.dense,
            "plan": plan.reached * table.dense,
            "exact_dense": dense if both else None,
            "exact": left if both else None,
        },
        density=space.kept(densities),
        not_prunable=[
            layer.name for layer in setup.layers if not any(layer.name in group.layers for group in space.groups)
        ],
        kept_whole=dict(space.whole),
        accuracy=accuracy,
        evaluations=evaluator.measured,
        reused=evaluator.reused,
        source=found.source,
        loss=None if found.packed is None else {"plan": found.packed.damage, "bound": found.packed.bound},
        learning=found.details.learning() if isinstance(found.details, AmcResult) else None,
        adapted=moved(found.details.module, CPU) if isinstance(found.details, NetAdaptResult) else None,
        adapted_from=found.details.dense if isinstance(found.details, NetAdaptResult) else None,
        output=output,
        files=[] if output is None else _write(plan, found, output, SampleForm.of(setup.dataset.train_inputs)),
        seconds=time.monotonic() - start,
    )


def _write(plan: Plan, found: MethodResult, output: Path, samples: SampleForm) -> list[Path]:
    """Writes the plan last, so that a plan's other files always exist; returns the other files."""
    from zeroskip.model.search.plan import save_plan
    from zeroskip.model.search.views.detail_files import save_details
    from zeroskip.model.search.views.pictures import of_plan, save_picture

    files = [*save_details(found, output, samples), save_picture(of_plan(plan), output.with_suffix(PICTURE))]
    save_plan(plan, output)
    return files
