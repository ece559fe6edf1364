"""`zeroskip search`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

from model import options
from model.console import require_writable, show
from model.data.npz import load_npz
from model.data.split import held_out
from model.formats.geometry import EieGeometry
from model.formats.pattern import Pattern
from model.formats.tile import mode_geometry
from model.loading import load_factory, load_weights
from model.search.display import live
from model.search.evaluation import Evaluator
from model.search.exact import exact_cost
from model.search.journal import Journal
from model.search.plan import CHANNELS, WEIGHTS, save_plan
from model.search.sensitivity import save_scan, scan, solve
from model.search.setup import SAMPLE, prepare
from model.search.workers import parse_workers

AMC_PANEL, NETADAPT_PANEL, COMPARE_PANEL = "AMC", "NetAdapt", "Compare"

Network = Annotated[str, typer.Argument(metavar="MODULE:FACTORY", help="What makes the network, an nn.Module.")]
Weights = Annotated[
    Path | None, typer.Option(help="Safetensors file of the state_dict; without, the factory's own weights.")
]
Data = Annotated[Path, typer.Option(help="NPZ file with inputs and labels.")]


def search_command(
    method: Annotated[
        Literal["sensitivity"], typer.Argument(help="How to search, or compare, which holds all methods side by side.")
    ],
    network: Network,
    data: Data,
    output: Annotated[Path, typer.Option(help="The plan to write (.json); what belongs to it is written beside it.")],
    budget: Annotated[float, typer.Option(help="Fraction of the dense cost to reach.")],
    weights: Weights = None,
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
    workers: Annotated[str, typer.Option(help="Processes that measure: a number, or ray.")] = "1",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the journal of a search that was cut short.")
    ] = False,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Find how much of each layer may go, within a budget of what it costs.

    The part of the data that is left out as a test set serves for nothing here. Of the rest a fifth, 5,000 samples at
    most, measures accuracy.
    """
    start = time.monotonic()
    torch.set_num_threads(1)
    require_writable(output, data)
    chosen = {"weights": WEIGHTS, "channels": CHANNELS}.get(granularity) or str(Pattern.parse(pattern))
    nm = Pattern.parse(pattern) if granularity == "nm" else Pattern()
    array = EieGeometry(pes=pes)
    tile = mode_geometry(
        generation="A100", dtype="fp16", out="fp32", m=m, n=n, keep=nm.keep, group=nm.group, pair=nm.pair
    )
    module = load_factory(network)
    if weights is not None:
        load_weights(module, weights)
    inputs, labels = load_npz(data, labels_required=True)
    assert labels is not None
    setup = prepare(
        module,
        held_out(data, inputs, labels, seed),
        granularity=chosen,
        cost=cost,
        array=array,
        tile=tile,
        seed=seed,
        cache=output.parent / ".costs",
    )
    journal = Journal(Path(f"{output}.journal"), f"{setup.configuration} {method} {budget}", resume=resume)
    space, table = setup.space, setup.table
    evaluator = Evaluator(space, setup.part, journal, parse_workers(workers))
    with live(f"{network}: {method}") as progress:
        found = scan(evaluator, progress=progress)
    densities = solve(found, space, table, budget)
    files = save_scan(found, output)
    accuracy = {"dense": evaluator.accuracy({}), "plan": evaluator.accuracy(densities)}
    total = table.total(space.points(densities))
    plan = space.plan(densities, method=method, cost=cost, budget=budget, reached=total / table.dense)
    pruned = space.remove(space.masked(densities), densities)
    exact = exact_cost(cost, pruned, setup.dataset.train_inputs[:SAMPLE], array, tile)
    save_plan(plan, output)
    summary: dict[str, Any] = {
        "plan": str(output),
        "layers": plan.densities,
        "granularity": chosen,
        "cost": {
            "name": cost,
            "dense": table.dense,
            "plan": total,
            "reached": plan.reached,
            "budget": budget,
            "exact": exact,
        },
        "density": space.kept(densities),
        "accuracy": accuracy,
        "evaluations": evaluator.measured,
        "files": [str(path) for path in files],
        "seconds": time.monotonic() - start,
    }
    rows = [
        (f"layer {layer.name}", f"{layer.density:.1%} of {' x '.join(map(str, layer.shape))}") for layer in plan.layers
    ]
    rows += [
        ("weights kept", f"{summary['density']:.1%}"),
        (f"{cost}, dense", f"{table.dense:,.6g}"),
        (f"{cost}, plan", f"{total:,.6g} ({plan.reached:.1%}, budget {budget:.1%})"),
    ]
    if exact is not None:
        rows.append(("whole network, exact model", f"{exact:,.6g} ({exact / total - 1:+.1%} to the table's sum)"))
    rows += [
        ("accuracy, dense", f"{accuracy['dense']:.2%}"),
        ("accuracy, plan before fine-tuning", f"{accuracy['plan']:.2%}"),
        ("evaluations", f"{evaluator.measured:,}"),
        ("written", ", ".join(str(path) for path in (output, *files))),
    ]
    show(summary, rows, title=f"{network}: {method}", as_json=as_json)


def add_commands(app: typer.Typer) -> None:
    app.command("search")(search_command)
