"""`zeroskip search`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zeroskip.api.compare import TRIALS, CompareSettings, compare
from zeroskip.api.search import SearchSettings, search
from zeroskip.commands import options
from zeroskip.commands.console import Kept, show, working
from zeroskip.commands.core_options import CoreOptions, with_core_options
from zeroskip.model.cores import core_of_cost
from zeroskip.model.search.choices import METHODS, WORK_UNITS, Granularity, Order
from zeroskip.model.search.settings import AmcSettings, NetAdaptSettings
from zeroskip.model.search.views.side_files import journal_of

AMC_PANEL, NETADAPT_PANEL, COMPARE_PANEL = "AMC", "NetAdapt", "Compare"
PANELS = {"amc": AMC_PANEL, "netadapt": NETADAPT_PANEL, "compare": COMPARE_PANEL}


@with_core_options("SearchOptions")
def search_command(
    context: typer.Context,
    method: Annotated[
        Literal["sensitivity", "amc", "netadapt", "compare"],
        typer.Argument(help="The search method; compare runs them all, and simple rules, side by side."),
    ],
    network: options.Network,
    data: options.LabelledData,
    output: Annotated[
        Path, typer.Option(help="Plan to write (.json), or comparison; pictures and tables are written next to it.")
    ],
    cores: CoreOptions,
    budget: Annotated[
        float, typer.Option(help="Cost that the plan may have, as a fraction of the dense cost.")
    ] = SearchSettings.budget,
    weights: options.Weights = None,
    granularity: Annotated[
        Granularity, typer.Option(help="Prune single weights, weights by the N:M pattern, or whole channels.")
    ] = "weights",
    pattern: options.Pattern = SearchSettings.pattern,
    cost: options.Cost = SearchSettings.cost,
    allow_uncompilable: Annotated[
        bool,
        typer.Option(
            "--allow-uncompilable", help="Also count a core's cycles for a network that cannot be compiled for it."
        ),
    ] = False,
    refit: options.Refit = SearchSettings.refit,
    criterion: Annotated[
        Order, typer.Option(help="Remove channels by what is lost after the fit (auto), or by their magnitudes.")
    ] = SearchSettings.criterion,
    workers: options.Workers = "1",
    device: options.Device = "cpu",
    resume: options.Resume = False,
    episodes: Annotated[
        int, typer.Option(help="Plans that the agent tries.", rich_help_panel=AMC_PANEL)
    ] = AmcSettings.episodes,
    warm_up: Annotated[
        int | None,
        typer.Option(
            help="Plans before the agent's first.", show_default="a quarter of the episodes", rich_help_panel=AMC_PANEL
        ),
    ] = None,
    reward: Annotated[
        Literal["loss", "error", "cost"],
        typer.Option(
            help="Reward -loss, -error, or -error * log(cost), which also rewards low cost.", rich_help_panel=AMC_PANEL
        ),
    ] = "loss",
    stages: Annotated[
        int,
        typer.Option(
            help="Searches in a row, each with a smaller budget; for very small budgets.", rich_help_panel=AMC_PANEL
        ),
    ] = AmcSettings.stages,
    step: Annotated[
        float | None,
        typer.Option(
            help="Fraction of the dense cost that the first step saves.",
            show_default="30 steps to the budget",
            rich_help_panel=NETADAPT_PANEL,
        ),
    ] = None,
    decay: Annotated[
        float, typer.Option(help="Factor from each step to the next.", rich_help_panel=NETADAPT_PANEL)
    ] = NetAdaptSettings.decay,
    pick: Annotated[
        Literal["loss", "ratio", "accuracy"],
        typer.Option(
            help="Choose the proposal with the least rise of the loss, or the least accuracy lost, per saved cost; or "
            "the most accurate one.",
            rich_help_panel=NETADAPT_PANEL,
        ),
    ] = "loss",
    iterations: Annotated[
        int, typer.Option(help="Training batches for each proposal.", rich_help_panel=NETADAPT_PANEL)
    ] = NetAdaptSettings.iterations,
    short_rate: Annotated[
        float, typer.Option(help="Learning rate of this short training.", rich_help_panel=NETADAPT_PANEL)
    ] = NetAdaptSettings.learning_rate,
    budgets: Annotated[
        str | None,
        typer.Option(
            help="Budgets at which all is compared, such as 0.5,0.25.",
            show_default="--budget alone",
            rich_help_panel=COMPARE_PANEL,
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Trials of each search.", rich_help_panel=COMPARE_PANEL)
    ] = CompareSettings.seeds,
    tunings: Annotated[
        int, typer.Option(min=1, help="Fine-tunings of each plan.", rich_help_panel=COMPARE_PANEL)
    ] = CompareSettings.tunings,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Also the pruners of Torch-Pruning, for channels.", rich_help_panel=COMPARE_PANEL),
    ] = False,
    epochs: Annotated[
        int, typer.Option(min=0, help="Epochs of fine-tuning.", rich_help_panel=COMPARE_PANEL)
    ] = CompareSettings.epochs,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of fine-tuning.", rich_help_panel=COMPARE_PANEL)
    ] = CompareSettings.learning_rate,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Find how much of each layer to prune, within a budget of what the network costs.

    The test split is not used. A fifth of the training samples measures accuracy, at most 5,000 of them, except for
    the last plans of AMC, which all of the fifth measures.
    """
    for name, panel in PANELS.items():
        # A comparison takes the options of all methods.
        if method not in (name, "compare"):
            options.refuse_panel(context, panel, f"search {method}")
    if granularity != "nm":
        options.refuse(context, "pattern", f"--granularity {granularity}")
    core = core_of_cost(cost)
    cores.require_for(None if core is None else core.name, f"--cost {cost}")
    sizes = None if core is None else cores.of(core.name)
    settings = SearchSettings(
        method=METHODS[0] if method == "compare" else method,
        budget=budget,
        granularity=granularity,
        pattern=pattern,
        cost=cost,
        sizes={} if sizes is None else dataclasses.asdict(sizes),
        allow_uncompilable=allow_uncompilable,
        refit=refit,
        criterion=criterion,
        amc=AmcSettings(
            episodes=episodes,
            warm_up=max(1, episodes // 4) if warm_up is None else warm_up,
            reward=reward,
            stages=stages,
        ),
        netadapt=NetAdaptSettings(step=step, decay=decay, pick=pick, iterations=iterations, learning_rate=short_rate),
    )
    run: dict[str, Any] = {
        "weights": weights,
        "output": output,
        "resume": resume,
        "workers": workers,
        "device": device,
        "seed": seed,
    }
    how = "continue with --resume"
    if method == "compare":
        with working(Kept(TRIALS, output.with_suffix(".trials"), how)) as progress:
            comparison = CompareSettings(
                search=settings,
                budgets=_numbers(budgets),
                seeds=seeds,
                tunings=tunings,
                peers=peers,
                epochs=epochs,
                learning_rate=learning_rate,
            )
            result: Any = compare(network, data, settings=comparison, progress=progress, **run)
    else:
        with working(Kept(WORK_UNITS[method], journal_of(output), how)) as progress:
            result = search(network, data, settings=settings, progress=progress, **run)
    show(result.summary(), result.rows(), title=f"{network}: {method}", as_json=as_json)


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in (text or "").split(",") if part)
    except ValueError:
        raise ValueError(f"budgets must be numbers with commas between them, such as 0.5,0.25, not {text!r}") from None
