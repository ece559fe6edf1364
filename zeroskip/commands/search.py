"""`zeroskip search`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zeroskip.commands import options
from zeroskip.commands.console import require_json, require_writable, show
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma.pattern import Pattern

if TYPE_CHECKING:
    from zeroskip.model.search.setup import Setup

AMC_PANEL, NETADAPT_PANEL, COMPARE_PANEL = "AMC", "NetAdapt", "Compare"
PANELS = {"amc": AMC_PANEL, "netadapt": NETADAPT_PANEL, "compare": COMPARE_PANEL}


def search_command(
    context: typer.Context,
    method: Annotated[
        Literal["sensitivity", "amc", "netadapt", "compare"],
        typer.Argument(help="How to search; compare holds these and hand-made policies side by side."),
    ],
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[
        Path, typer.Option(help="The plan to write (.json), or the comparison; what belongs to it stands beside it.")
    ],
    budget: Annotated[float, typer.Option(help="Fraction of the dense cost to reach.")] = 0.5,
    weights: options.Weights = None,
    granularity: Annotated[
        Literal["weights", "nm", "channels"],
        typer.Option(help="Prune single weights, N:M by the pattern, or whole channels."),
    ] = "weights",
    pattern: options.NmPattern = "2:4",
    cost: Annotated[
        Literal["eie-cycles", "mma-cycles", "macs", "params", "bytes", "latency"],
        typer.Option(help="What the budget counts."),
    ] = "eie-cycles",
    pes: options.Pes = 8,
    m: options.TileRows = 4,
    n: options.TileColumns = 4,
    workers: options.Workers = "1",
    resume: options.Resume = False,
    episodes: Annotated[int, typer.Option(help="Plans that the agent tries.", rich_help_panel=AMC_PANEL)] = 400,
    warm_up: Annotated[
        int | None, typer.Option(help="Of these, random ones; a quarter unless given.", rich_help_panel=AMC_PANEL)
    ] = None,
    reward: Annotated[
        Literal["error", "cost"],
        typer.Option(help="-error, or -error * log(cost), which also saves.", rich_help_panel=AMC_PANEL),
    ] = "error",
    stages: Annotated[
        int, typer.Option(help="Searches that follow one another, for extreme budgets.", rich_help_panel=AMC_PANEL)
    ] = 1,
    step: Annotated[
        float | None,
        typer.Option(
            help="Fraction of the dense cost that is pruned first; for 30 iterations unless given.",
            rich_help_panel=NETADAPT_PANEL,
        ),
    ] = None,
    decay: Annotated[float, typer.Option(help="Of each step to the next.", rich_help_panel=NETADAPT_PANEL)] = 0.96,
    pick: Annotated[
        Literal["accuracy", "ratio"],
        typer.Option(help="Most accurate, or least lost for what is saved.", rich_help_panel=NETADAPT_PANEL),
    ] = "ratio",
    iterations: Annotated[
        int, typer.Option(help="Batches that a proposal is trained by.", rich_help_panel=NETADAPT_PANEL)
    ] = 10,
    short_rate: Annotated[
        float, typer.Option(help="Learning rate of that training.", rich_help_panel=NETADAPT_PANEL)
    ] = 0.01,
    seeds: Annotated[int, typer.Option(min=1, help="Trials of each policy.", rich_help_panel=COMPARE_PANEL)] = 3,
    epochs: Annotated[int, typer.Option(min=0, help="Of fine-tuning.", rich_help_panel=COMPARE_PANEL)] = 3,
    learning_rate: Annotated[float, typer.Option(help="Of fine-tuning.", rich_help_panel=COMPARE_PANEL)] = 0.005,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Find how much of each layer may go, within a budget of what the network costs.

    The part of the data that is left out as a test set serves for nothing here. Of the rest a fifth measures accuracy,
    5,000 samples of it at most, but for AMC's last plans.
    """
    import torch

    from zeroskip.commands.search_display import live
    from zeroskip.model.data.named import load_data
    from zeroskip.model.eie.core import CORE as EIE
    from zeroskip.model.loading import load_network
    from zeroskip.model.mma.core import CORE as MMA
    from zeroskip.model.mma.geometry import mode_geometry
    from zeroskip.model.pruning.training import TrainingSettings
    from zeroskip.model.search.methods.compare import Comparison, compare, dense_accuracy
    from zeroskip.model.search.methods.run_method import run_method
    from zeroskip.model.search.settings import AmcSettings, MethodSettings, NetAdaptSettings
    from zeroskip.model.search.setup import prepare
    from zeroskip.model.search.spaces.space import cost_share, require_reachable
    from zeroskip.model.search.storage.journal import Journal
    from zeroskip.model.search.views.detail_files import adapted_weights, save_details
    from zeroskip.model.search.views.reports import report_comparison, report_plan
    from zeroskip.model.search.workers import parse_workers

    for name, panel in PANELS.items():
        # A comparison takes the options of all methods.
        if name != method and method != "compare":
            options.refuse_panel(context, panel, f"search {method}")
    if granularity != "nm":
        options.refuse(context, "pattern", f"--granularity {granularity}")
    for name, needed in (("pes", "eie-cycles"), ("m", "mma-cycles"), ("n", "mma-cycles")):
        if cost != needed:
            options.refuse(context, name, f"--cost {cost}")
    start = time.monotonic()
    torch.set_num_threads(1)
    require_json(output)
    read = [Path(data), *([] if weights is None else [weights])]
    require_writable(output, *read)
    if method == "netadapt":
        require_writable(adapted_weights(output), *read)
    processes = parse_workers(workers)
    settings = MethodSettings(
        amc=AmcSettings(
            episodes=episodes,
            warm_up=max(1, episodes // 4) if warm_up is None else warm_up,
            reward=reward,
            stages=stages,
        ),
        netadapt=NetAdaptSettings(step=step, decay=decay, pick=pick, iterations=iterations, learning_rate=short_rate),
    )
    nm = Pattern.parse(pattern) if granularity == "nm" else Pattern()
    tile = mode_geometry(
        generation="A100", dtype="fp16", out="fp32", m=m, n=n, keep=nm.keep, group=nm.group, pair=nm.pair
    )
    geometries = {EIE.name: EieGeometry(pes=pes), MMA.name: tile}
    module, _ = load_network(network, weights)
    dataset = load_data(data, seed)

    def prepared(by: int) -> Setup:
        return prepare(
            module,
            dataset,
            granularity=str(nm) if granularity == "nm" else granularity,
            cost=cost,
            geometries=geometries,
            seed=by,
            cache=output.parent / ".search",
        )

    setup = prepared(seed)
    space, table = setup.space, setup.table
    require_reachable(space, table, budget, space.least())
    if method in ("netadapt", "compare"):
        settings.netadapt.first_step(budget)
    configuration = f"{setup.configuration} {method} {budget} {settings}"
    title = f"{network}: {method}"
    if method == "compare":
        what = Comparison(
            prepare=prepared,
            exact_dense=setup.exact_cost(setup.module),
            module=module,
            dataset=dataset,
            budget=budget,
            settings=settings,
            training=TrainingSettings(epochs=epochs, learning_rate=learning_rate, weight_decay=2e-4, batch_size=64),
            folder=output.with_suffix(".trials"),
            configuration=configuration,
            resume=resume,
        )
        with live(title) as progress:
            policies = compare(what, range(seed, seed + seeds), workers=processes, progress=progress)
        report = report_comparison(
            policies,
            output,
            budget=budget,
            cost=cost,
            granularity=space.granularity,
            dense=dense_accuracy(module, dataset),
            seconds=time.monotonic() - start,
        )
    else:
        journal = Journal(Path(f"{output}.journal"), configuration, resume=resume)
        evaluator = setup.evaluator(journal, processes, kept=setup.accuracies)
        with live(title) as progress:
            found = run_method(
                method, setup, budget, settings=settings, evaluator=evaluator, seed=seed, progress=progress
            )
        densities = found.densities
        reached = cost_share(space, table, densities)
        pruned = space.remove(space.masked(densities), densities)
        whole, left = setup.exact_cost(setup.module), setup.exact_cost(pruned)
        report = report_plan(
            space.plan(densities, method=method, cost=cost, budget=budget, reached=reached),
            output,
            dense=table.dense,
            exact=None if whole is None or left is None else (whole, left),
            kept=space.kept(densities),
            whole=[one.name for one in setup.layers if not any(one.name in group.layers for group in space.groups)],
            accuracy={"dense": evaluator.accuracy({}), "plan": evaluator.accuracy(densities)},
            evaluations=evaluator.measured,
            found=save_details(found, output),
            seconds=time.monotonic() - start,
        )
    summary, rows = report
    show(summary, rows, title=title, as_json=as_json)
